import { nip44 } from 'nostr-tools';
import { z } from 'zod';
import { sealBlob, type SealedBlob } from '../../src/blob/blob.js';
import { contentKey, datasetContext, epochPrk, labelContext, shardKey, uploadSecret } from '../../src/blob/keys.js';
import { sha256, utf8, type EventId, type Sha256 } from '../../src/hash.js';
import { chainCommitment, seedCommitment } from '../../src/learning/seeds.js';
import type { DataSchema, ModelSpec } from '../../src/learning/types.js';
import type { NostrEvent } from '../../src/ports.js';
import { encodeSealedModel } from '../../src/protocol/arena/submission.js';
import { buildArtifactListing } from '../../src/protocol/artifact.js';
import { buildListing, buildSnapshot, type DatasetManifest } from '../../src/protocol/dataset.js';
import type { ContentOf, EventName } from '../../src/protocol/events.js';
import { encodeGrant, grantHash, type Grant } from '../../src/protocol/grant.js';
import { encodeLocator, locatorHash } from '../../src/protocol/locator.js';
import { invoiceHash } from '../../src/protocol/claim.js';
import { lockId } from '../../src/protocol/stake.js';
import { buildOffer, type OfferContent } from '../../src/protocol/offer.js';
import type { Pointer } from '../../src/protocol/pointer.js';
import { sealedBidContent } from '../../src/protocol/sealed-bid.js';
import { publicKey, signEvent } from '../../src/schnorr.js';
import {
  ENGINE,
  PRICE_MSAT,
  START_SEC,
  TERMS,
  customer,
  grantOf,
  hashOf,
  people,
  scriptJob,
  spotTerms,
  type JobScript,
  type Person,
} from '../support/job-script.js';
import { accusedJob, correct, drawJudges, judge, listComplaint, wholeRun } from '../support/dispute-script.js';
import { inOrder } from '../support/validator-contents.js';
import { GROUP_KEY, placeOf, scriptAlliance } from '../support/alliance-script.js';
import { scriptArena } from '../support/arena-script.js';
import { sealedScript } from '../support/sealed-script.js';

/** Valid events and messages of every kind, with fixed keys and times and blobs that really open. */

const pointerOf = ({ pointer }: SealedBlob): Pointer => ({ ...pointer, ids: [...pointer.ids] });

const times = { baseTimeSec: START_SEC - 86_400, expirationSec: START_SEC + 30 * 86_400 };

/** NIP-44 v2 with a fixed nonce. */
function seal(from: Person, to: Person, text: string): string {
  const key = nip44.v2.utils.getConversationKey(from.secret, to.pubkey);
  return nip44.v2.encrypt(text, key, sha256('nonce', text));
}

// A dataset epoch of two shards: one chunk each.
const salt = sha256('salt');
const prk = epochPrk(salt, sha256('dataset key'));
const shards = [0, 1].map((part) =>
  sealBlob(utf8(`shard ${part}`), {
    key: shardKey(prk, part),
    uploadSecret: uploadSecret(prk),
    context: datasetContext(salt),
    part,
    ...times,
    baseTimeSec: times.baseTimeSec - part * 3_600,
    inline: 'never',
  }),
);
const blind = sha256('blind');
const locator = encodeLocator({ upload: publicKey(uploadSecret(prk)), shards: shards.map(pointerOf) });

const iris: DataSchema = {
  task: 'classification',
  shape: [4],
  inputs: 4,
  dtype: 'F32',
  scale: 1,
  outputs: 3,
  classes: ['setosa', 'versicolor', 'virginica'],
  columns: [
    { kind: 'numeric', name: 'petal length', mean: '3.758000000', stdDev: '1.759404000', fill: '4.350000000' },
    { kind: 'categorical', name: 'garden', values: ['', 'north', 'south'] },
  ],
  label: 'species',
};
const houses: DataSchema = {
  task: 'regression',
  shape: [2],
  inputs: 2,
  dtype: 'F32',
  scale: 1,
  outputs: 1,
  target: { name: 'price', mean: '250000.000000000', stdDev: '90000.500000000' },
};
const manifest: DatasetManifest = {
  name: 'iris',
  part: 'train',
  schema: iris,
  salt,
  listing: 'private',
  shards: shards.map(({ pointer: { size, chunks, commit } }) => ({ examples: 60, size, chunks, commit })),
  locator: locatorHash(locator, blind),
};
const images: DatasetManifest = {
  ...manifest,
  name: 'digits',
  part: 'a',
  schema: { task: 'classification', shape: [8, 8], inputs: 64, dtype: 'U8', scale: 255, outputs: 10 },
};

/** Texts, by each tokenizer; the merges are `ab`, then `abc`. */
const texts: readonly (readonly [string, Pick<DataSchema, 'outputs' | 'dtype' | 'text'>])[] = [
  ['a text by characters', { outputs: 4, dtype: 'U8', text: { tokenizer: 'char', characters: '\nab🦉' } }],
  ['a text by bytes', { outputs: 256, dtype: 'U8', text: { tokenizer: 'byte' } }],
  ['a text by byte pairs', { outputs: 258, dtype: 'F32', text: { tokenizer: 'bpe', merges: 'AGEAYgEAAGM=' } }],
];
const ofText = (own: (typeof texts)[number][1]): DatasetManifest => ({
  ...manifest,
  schema: { task: 'classification', shape: [8], inputs: 8, scale: 1, ...own },
});

export const snapshot = signEvent(buildSnapshot(manifest, START_SEC - 600), customer.secret);
const snapshots: Samples['snapshot'] = [
  ['a table in two shards', snapshot],
  ['images of bytes for evaluation', signEvent(buildSnapshot(images, START_SEC - 599), customer.secret)],
  [
    'a table for regression',
    signEvent(buildSnapshot({ ...manifest, name: 'houses', part: 'b', schema: houses }, START_SEC - 598), customer.secret),
  ],
  ...texts.map(
    ([name, own], i) => [name, signEvent(buildSnapshot(ofText(own), START_SEC - 597 + i), customer.secret)] as const,
  ),
];

// A job: its models and updates.
const secret = (name: string) => sha256('blob secret', name);
function blobOf(name: string, label: string): SealedBlob {
  const context = labelContext(label);
  const key = contentKey(secret(name));
  return sealBlob(utf8(name), { key, uploadSecret: uploadSecret(secret(name)), context, part: 0, ...times, inline: 'allow' });
}
const seed = sha256('seed');
const update = (round: number, shard: number, script: JobScript) =>
  blobOf(`update ${round} ${shard}`, `update/${script.jobId}/${round}/${shard}/${people[shard]!.pubkey}`);

const INVOICE = `lnbcrt210n1${hashOf('invoice')}`;
const script = scriptJob({
  trainers: 2,
  spares: 1,
  rounds: 1,
  terms: {
    title: 'iris, two seats',
    dataset: snapshot.id,
    seedCommitment: seedCommitment(seed),
    chainCommitment: chainCommitment(sha256('chain secret'), 1),
  },
  alter: {
    'open/0': (content: ContentOf<'open'>, so) => {
      const blob = blobOf('model 0', `base/${so.jobId}/0`);
      return { ...content, base: pointerOf(blob), inline: blob.inline };
    },
    'reveal/0/0': (content: ContentOf<'reveal'>, so) => {
      const blob = update(0, 0, so);
      const key = Buffer.from(contentKey(secret('update 0 0'))).toString('hex');
      const sealed = seal(people[0]!, customer, JSON.stringify({ key, pointer: pointerOf(blob), state: null }));
      return { ...content, sealed, inline: blob.inline };
    },
    'claim/0/0': (content: ContentOf<'claim'>) => ({
      ...content,
      invoiceHash: invoiceHash(INVOICE),
      sealed: seal(people[0]!, customer, JSON.stringify({ invoice: INVOICE })),
    }),
  },
  after: {
    'claim/0/1': (so) => {
      const { payout, settlement, amountMsat } = so.at('claim/0/1', 'claim').content;
      const claim = so.raw('claim/0/1').id;
      so.say(people[1]!, 'unpaid', 'unpaid', { settlement, payout, claim, amountMsat });
      const reason = 'the invoice expired';
      so.say(people[1]!, 'claim-void', 'claim-void', { claim, payout, paymentHash: hashOf('hash'), reason });
    },
  },
});

/** With spot checks; the second trainer committed to states that its training does not reach. */
const checked = scriptJob({
  trainers: 3,
  rounds: 1,
  terms: { title: 'iris, spot checks', dataset: snapshot.id, seedCommitment: seedCommitment(seed), ...spotTerms(1) },
  alter: {
    'scores/0': (content: ContentOf<'scores'>) => ({
      ...content,
      scores: content.scores.map((row) =>
        row.shard === 1 ? { ...row, spot: { segment: row.spot!.segment, hash: hashOf('repeated') } } : row,
      ),
    }),
    'close/0': (content: ContentOf<'close'>, so) => {
      const [row] = content.accepted.splice(1, 1);
      const { spot } = so.at('scores/0', 'scores').content.scores[1]!;
      const detail = `segment ${spot!.segment} ends elsewhere when it is repeated`;
      return { ...content, rejected: [{ ...row, rule: 'spot-check', detail }] };
    },
  },
  after: {
    'scores/0': (so) => {
      const scores = so.at('scores/0', 'scores');
      const { trainer, shard, submission, spot } = scores.content.scores[1]!;
      const { checkpoints, updateHash } = so.at('reveal/0/1', 'reveal').content;
      so.say(customer, 'fraud', 'fraud', {
        ...{ round: 0, shard, trainer, submission, scores: scores.id, segment: spot!.segment },
        ...{ committed: [...checkpoints, updateHash][spot!.segment]!, repeated: spot!.hash },
      });
    },
  },
});

/** The other ends of a job. */
const late = scriptJob({ trainers: 2, spares: 1, rounds: 2, alter: { 'commit/0/0': () => null, 'commit/0/1': () => null } });
const early = scriptJob({ trainers: 2, spares: 1, until: 'award' });
early.say(people[2]!, 'withdrawn', 'withdrawn', { reason: 'out of time' });
const award = early.raw('award').id;
early.say(people[0]!, 'grant-bad', 'grant-bad', { award, shard: 0, rule: 'key', detail: 'another key commitment' });
early.say(people[1]!, 'resign', 'resign', { reason: 'maintenance' });
early.say(customer, 'replace', 'replace', {
  shard: 0,
  out: people[0]!.pubkey,
  reason: 'grant-bad',
  in: { trainer: people[2]!.pubkey, bid: early.raw('bid/2').id, priceMsat: PRICE_MSAT, grant: grantOf(people[2]!, 0) },
});
early.say(customer, 'replace', 'replace-none', { shard: 1, out: people[1]!.pubkey, reason: 'resigned', in: null });
early.say(people[3]!, 'bid', 'bid/3', { priceMsat: PRICE_MSAT, capacity: 1, engine: ENGINE, throughput: 5_000, expires: TERMS.deadline });
early.say(customer, 'replace', 'replace-late', {
  ...{ shard: 1, out: null, reason: 'vacant' },
  in: { trainer: people[3]!.pubkey, bid: early.raw('bid/3').id, priceMsat: PRICE_MSAT, grant: grantOf(people[3]!, 1) },
});
early.say(customer, 'cancel', 'cancel', { reason: 'no trainer left' });
/** One stakes, another stands behind it for a while. */
const staked = scriptJob({ trainers: 2, spares: 1, until: 'award' });
const lockOf = (who: Person, operator: Person) => lockId(staked.jobId, who.pubkey, operator.pubkey, 0);
const [operator, delegator] = [people[0]!, people[4]!];
staked.say(operator, 'stake', 'stake', { lock: lockOf(operator, operator), amountMsat: 3_000_000n, role: 'trainer', sigmaPpm: 400_000 });
staked.say(delegator, 'delegate', 'delegate', { lock: lockOf(delegator, operator), amountMsat: 1_000_000n, operator: operator.pubkey });
const stakeRow = { operator: operator.pubkey, role: 'trainer' as const, ownMsat: 3_000_000n, sigmaPpm: 400_000 };
staked.say(customer, 'stake-table', 'table', {
  interval: 0,
  events: [staked.raw('stake').id, staked.raw('delegate').id],
  rows: [{ ...stakeRow, delegatedMsat: 1_000_000n }],
});
staked.say(delegator, 'withdraw', 'withdraw', { of: staked.raw('delegate').id });
staked.say(customer, 'stake-table', 'table-after', {
  interval: 3,
  events: [staked.raw('withdraw').id],
  rows: [{ ...stakeRow, delegatedMsat: 0n }],
});
/** Two of three bidders stake before the award. */
const asking = scriptJob({
  trainers: 2,
  spares: 1,
  until: 'award',
  terms: {
    keyRelease: 'staked',
    stake: { trainerMsat: 2_000n, validatorMsat: 0n, delegatedPpm: 500_000, maxDelegated: 4, intervalSec: 3_600 },
  },
  after: {
    job: (so) => {
      const rows = people.slice(0, 2).map((who, i) => {
        so.say(who, 'stake', `stake/${i}`, { ...lockIn(so, who), amountMsat: 3_000n, role: 'trainer', sigmaPpm: 400_000 });
        return { operator: who.pubkey, role: 'trainer' as const, ownMsat: 3_000n, delegatedMsat: 0n, sigmaPpm: 400_000 };
      });
      so.say(customer, 'stake-table', 'table', { interval: 0, events: [so.raw('stake/0').id, so.raw('stake/1').id], rows });
    },
  },
  alter: {
    'bid/0': (bid: ContentOf<'bid'>, so: JobScript) => ({ ...bid, ...lockIn(so, people[0]!) }),
    'bid/1': (bid: ContentOf<'bid'>, so: JobScript) => ({ ...bid, ...lockIn(so, people[1]!) }),
    award: ({ bids, ...rest }: ContentOf<'award'>) => ({
      ...rest,
      bids: bids.map((row, i) =>
        i < 2 ? { ...row, stakeMsat: 3_000n } : { ...row, outcome: 'refused' as const, rule: 'unstaked' as const },
      ),
    }),
  },
});
/** One of them commits twice to its seat of the only round, and another says so. */
const slashed = scriptJob({
  trainers: 2,
  rounds: 1,
  until: 'slash',
  terms: { stake: { trainerMsat: 2_000n, validatorMsat: 0n, delegatedPpm: 0, maxDelegated: 0, intervalSec: 60 } },
  after: {
    ...asking.options.after,
    'commit/0/1': (so) => {
      const said = so.at('commit/0/1', 'commit').content;
      so.say(people[1]!, 'commit', 'commit/again', { ...said, commitment: hashOf('another update') });
      const evidence = ['commit/0/1', 'commit/again'].map((step) => so.raw(step).id);
      so.say(people[0]!, 'slash', 'slash', { ...lockIn(so, people[1]!), evidence });
    },
  },
  alter: {
    ...asking.options.alter,
    award: ({ bids, ...rest }: ContentOf<'award'>) => ({ ...rest, bids: bids.map((row) => ({ ...row, stakeMsat: 3_000n })) }),
  },
});
function lockIn(so: JobScript, who: Person) {
  return { lock: lockId(so.jobId, who.pubkey, who.pubkey, 0) };
}
const open = scriptJob({
  rounds: 1,
  terms: {
    title: 'mlp, open model',
    model: { model: 'mlp', task: 'regression', inputs: 2, outputs: 1, hidden: [16, 8] },
    hyper: { optimizer: 'sgd', learningRate: 0.05, batch: 16, localSteps: 100 },
    access: 'open',
    audit: 'open',
    award: 'deadline',
    strictLoss: true,
    acceptedEngines: ['wasm', 'cpu'],
    relays: ['wss://relay.example', 'ws://127.0.0.1:7777'],
  },
  alter: {
    artifact: (content: ContentOf<'artifact'>, so) => {
      const blob = blobOf('artifact', `artifact/${so.jobId}`);
      const model = { model: 'mlp', task: 'regression', inputs: 2, outputs: 1, hidden: [16, 8] };
      const key = contentKey(secret('artifact'));
      return { ...content, model, schema: houses, weights: pointerOf(blob), inline: blob.inline, key, accuracyPpm: null };
    },
  },
});
const trusted = scriptJob({
  rounds: 1,
  until: 'close/0',
  terms: { aggregation: 'fltrust', leastWorkPpm: 500_000 },
  alter: {
    award: (content: ContentOf<'award'>) => ({ ...content, rule: { name: 'fltrust', f: 0, m: 0 } }),
    'close/0': (content: ContentOf<'close'>, so) => {
      const { lossPpm, accuracyPpm, ...rest } = content;
      const root = pointerOf(blobOf('root', `root/${so.jobId}/0`));
      return { ...rest, root, lossPpm, accuracyPpm };
    },
  },
});
/** Three validators, of which one does not reveal; with spot checks. */
const validated = scriptJob({
  ...{ trainers: 2, rounds: 1, validators: 3 },
  terms: { title: 'iris, three validators', dataset: snapshot.id, seedCommitment: seedCommitment(seed), ...spotTerms(1) },
  alter: { 'score-reveal/0/2': () => null },
});

/** One of three says that each loss is twice as large, on the engine of the others; they complain. */
/** Three updates are sold, the last of them under a wrong key. */
const sold = scriptJob({
  ...{ trainers: 3, validators: 1, rounds: 1, rail: 'key-sale', until: 'sold/0', wrongKeys: [2] },
  terms: { payoutFloorMsat: 1_000n },
});
const lied = scriptJob({
  ...{ trainers: 2, rounds: 1, validators: 3 },
  terms: { title: 'iris, a lie', dataset: snapshot.id, seedCommitment: seedCommitment(seed), ...spotTerms(1) },
  sheets: { 1: (honest) => ({ ...honest, scores: honest.scores.map((row) => ({ ...row, lossPpm: 2 * row.lossPpm })) }) },
});
const [complainer] = inOrder(lied, 3);
const subject = lied.raw('score-reveal/0/1').id;
lied.say(complainer!, 'complaint', 'complaint', {
  ...{ round: 0, shard: 0, subject, engine: ENGINE, found: { what: 'score', field: 'lossPpm', ppm: 600_000 } },
  detail: 'signed was 1200000',
});
lied.say(complainer!, 'complaint', 'complaint-segment', {
  ...{ round: 0, shard: 1, subject, engine: ENGINE, found: { what: 'segment', segment: 2, hash: hashOf('end') } },
  detail: '',
});

/** A trainer disputes that it is a fraud; the first that is drawn says that it is right. */
const disputed = accusedJob({ terms: { title: 'iris, a dispute', dataset: snapshot.id, seedCommitment: seedCommitment(seed) } });
listComplaint(disputed);
drawJudges(disputed);
judge(disputed, 0, null);
correct(disputed);
const whole = accusedJob({ terms: { title: 'iris, repeated as a whole', dataset: snapshot.id }, alter: wholeRun });
const unanswered = accusedJob({ terms: { title: 'iris, nobody to repeat', dataset: snapshot.id } });
listComplaint(unanswered);
drawJudges(unanswered, []);

/** Three trainers, three validators. */
const arena = scriptArena({
  terms: { title: 'iris, an arena', dataset: snapshot.id },
  alter: {
    'submit/0/0': (content: ContentOf<'submit'>, so) => {
      const blob = blobOf('arena model', `model/${so.jobId}/0`);
      const plaintext = encodeSealedModel({
        ...{ key: contentKey(secret('arena model')), salt: sha256('submission salt'), pointer: pointerOf(blob) },
        metrics: { lossPpm: 400_000, accuracyPpm: 900_000 },
      });
      return { ...content, sealed: seal(people[0]!, customer, plaintext) };
    },
  },
});
/** By stake, with delegators; one of three validators reveals nothing. */
const stakedArena = scriptArena({
  arena: { sides: { sides: 'byStake', gPpm: 100_000 }, bestStakes: 10, bestValidators: 2 },
  terms: { stake: { trainerMsat: 0n, validatorMsat: 0n, delegatedPpm: 500_000, maxDelegated: 4, intervalSec: 3_600 } },
  alter: { 'scores/0/0': () => null },
});
stakedArena.say(people[3]!, 'enter', 'enter', { expires: START_SEC + 86_400, lock: hashOf('lock') });
const empty = scriptArena({ trainers: [] });

/** Two of six propose, four vote; in `kept` all of them against, in `deserted` nobody comes. */
const alliance = scriptAlliance({ terms: { title: 'iris, an alliance' } });
const stakedAlliance = scriptAlliance({
  members: [],
  terms: { stake: { trainerMsat: 10_000n, validatorMsat: 0n, delegatedPpm: 500_000, maxDelegated: 4, intervalSec: 3_600 } },
  alliance: { proposers: { sharePpm: 500_000 }, allianceSlashPpm: 10_000 },
});
const kept = scriptAlliance({ losses: () => [800_000, 900_000] });
const deserted = scriptAlliance({ members: [] });
const [proposer, voter] = (({ roles }) => (roles?.state === 'drawn' ? [roles.proposers[0]!, roles.voters[0]!] : []))(alliance.state.rounds[0]!).map(placeOf);
const keptVoter = kept.parsed.findIndex(({ type }) => type === 'vote');

/** Two trainers, three shards: the first takes two. */
const several = scriptJob({
  trainers: 2,
  until: 'award',
  terms: { trainers: 3, shardsPerTrainer: 2 },
  alter: {
    'bid/0': (content: ContentOf<'bid'>) => ({ ...content, capacity: 2 }),
    award: ({ bids, winners, rule }: ContentOf<'award'>) => ({
      bids: bids.map((row, i) => (i === 0 ? { ...row, shards: 2 } : row)),
      winners: [...winners, { ...winners[0]!, shard: 2, grant: grantOf(people[0]!, 2) }],
      rule,
    }),
  },
});
/** Two of three bidders are new; one seat is theirs. The third is known from an earlier job. */
const known = scriptJob({
  trainers: 2,
  spares: 1,
  until: 'award',
  terms: { trainers: 3, newKeyShare: 333_333 },
  alter: {
    award: ({ bids, winners, rule }: ContentOf<'award'>) => ({
      bids: [
        { ...bids[2]!, attempts: 2, successes: 2, effectiveMsat: (PRICE_MSAT * 4n) / 3n, outcome: 'won' as const },
        bids[0]!,
        { ...bids[1]!, outcome: 'spare' as const },
      ],
      winners: [
        { ...winners[0]!, trainer: people[2]!.pubkey, bid: bids[2]!.bid, grant: grantOf(people[2]!, 0) },
        { ...winners[0]!, shard: 1, grant: grantOf(people[0]!, 1) },
      ],
      rule,
      withheld: 1,
      counted: [script.raw('receipt/0/1').id],
    }),
  },
});
/** Asked are 10, 18 and 14 sat; the price is 18 sat for both winners. */
const hidden = sealedScript([10_000n, 18_000n, 14_000n], { payment: 'uniform' }, new Map(), (i, content) =>
  seal(people[i]!, customer, JSON.stringify(z.encode(sealedBidContent, content))),
);
hidden.script.say(customer, 'award', 'award', hidden.award);
/** The customer takes the dearer bids. */
const byHand = scriptJob({
  trainers: 2,
  spares: 1,
  until: 'award',
  terms: { award: 'manual' },
  alter: {
    award: ({ bids, winners, rule }: ContentOf<'award'>) => ({
      bids: bids.map((row, i) => ({ ...row, outcome: i === 0 ? ('spare' as const) : ('won' as const) })),
      winners: [2, 1].map((who, shard) => ({
        ...{ ...winners[0]!, shard, trainer: people[who]!.pubkey, bid: bids[who]!.bid },
        grant: grantOf(people[who]!, shard),
      })),
      rule,
    }),
  },
});
const picky = scriptJob({ trainers: 1, until: 'job', terms: { keyRelease: 'known', minBidPow: 20, maxHolders: 1 } });
const free = scriptJob({ rail: 'none', trainers: 1, rounds: 1 });
const partial = scriptJob({
  rounds: 1,
  terms: { quorum: 1 },
  alter: { 'commit/0/0': () => null, 'reveal/0/1': () => null },
});

/** Its first claim asks for more than was promised. */
const refused = scriptJob({
  rounds: 1,
  until: 'claim/0/0',
  alter: { 'claim/0/0': (content: ContentOf<'claim'>) => ({ ...content, invoiceHash: invoiceHash(INVOICE) }) },
});
const { payout: refusedPayout } = refused.at('claim/0/0', 'claim').content;
refused.say(customer, 'claim-bad', 'claim-bad', {
  ...{ claim: refused.raw('claim/0/0').id, payout: refusedPayout, rule: 'amount', invoice: INVOICE },
  detail: 'the invoice is over another amount: expected 21000 msat, got 2100000 msat',
});

/** The first job with other models, each as the wire has it. */
const models: readonly (readonly [string, ModelSpec])[] = [
  [
    'of a convolutional model',
    { ...{ model: 'cnn', task: 'classification', inputs: 64, outputs: 10 }, shape: [8, 8, 1], filters: [6], hidden: [12] },
  ],
  ['of a transformer', { model: 'gpt', task: 'classification', inputs: 8, outputs: 258, layers: 2, heads: 2, width: 16 }],
  ['of a long short-term memory', { model: 'lstm', task: 'classification', inputs: 8, outputs: 4, layers: 1, width: 16 }],
  [
    'of layers',
    {
      ...{ model: 'sequential', task: 'classification', inputs: 18, outputs: 2, shape: [3, 3, 2] },
      stack: [
        { kind: 'conv', filters: 2, kernel: [2, 2], strides: [1, 2], padding: 'same', bias: true },
        { kind: 'relu' },
        { kind: 'max-pool', size: [2, 1], strides: [1, 1], padding: 'valid' },
        { kind: 'average-pool', size: [1, 2], strides: [2, 2], padding: 'same' },
        { kind: 'flatten' },
        { kind: 'dense', units: 2, bias: false },
      ],
    },
  ],
];
const modelJobs = models.map(([name, model]): Sample => {
  const job = script.raw('job');
  const content = JSON.stringify({ ...(JSON.parse(job.content) as object), model });
  return [name, signEvent({ ...job, content }, customer.secret)];
});

const near = scriptJob({
  trainers: 1,
  rounds: 1,
  until: 'job',
  terms: { hyper: { optimizer: 'adamw', learningRate: 0.01, weightDecay: 0.1, clipNorm: 1, proximal: 0.01, batch: 32, epochs: 2 } },
});

/** The round after it, whose model comes as the difference to its own. */
function ofDifference(open: NostrEvent): NostrEvent {
  const { base, trainers, until } = JSON.parse(open.content) as { base: { sha256: string }; trainers: []; until: number };
  const difference = { coding: 'ordered-words', to: base.sha256, sha256: hashOf('difference'), size: 40 };
  const content = JSON.stringify({
    ...{ round: 1, base: { ...base, sha256: hashOf('model 1') }, difference, trainers, until },
  });
  const tags = open.tags.map((tag) => (tag[0] === 'round' ? ['round', '1'] : tag));
  return signEvent({ ...open, tags, content }, customer.secret);
}

type Sample = readonly [name: string, event: NostrEvent];
const offer: OfferContent = {
  ...{ role: 'trainer', network: 'sandbox', engine: ENGINE, throughput: 52_000, leastMsat: PRICE_MSAT, tflopMsat: null, perJobPpm: 0 },
  ...{ models: ['logreg', 'mlp', 'cnn'], maxParams: 20_000_000, maxBytes: 1_073_741_824, maxSeconds: 3_600, shards: 1 },
  ...{ expires: START_SEC + 7_200, relays: ['wss://relay.example'] },
};

export type Samples = Record<EventName | 'snapshot' | 'listing' | 'artifact-listing' | 'offer' | 'chunk', readonly Sample[]>;

const artifact = script.raw('artifact');

export const samples: Samples = {
  snapshot: snapshots,
  listing: [['the snapshot under an address', signEvent(buildListing(snapshot, 'iris'), customer.secret)]],
  chunk: [['a shard that fits one chunk', shards[0]!.events[0]!]],
  job: [
    ['paid by instalments', script.raw('job')],
    ['with spot checks', checked.raw('job')],
    ['a regression with local steps, open to all', open.raw('job')],
    ['without payment', free.raw('job')],
    ...modelJobs,
    ['whose trainers stay near the model of the round', near.raw('job')],
    ['by a rule with a root update', trusted.raw('job')],
    ['with two shards for a trainer', several.raw('job')],
    ['with few seats for new keys', known.raw('job')],
    ['with sealed bids and one price', hidden.script.raw('job')],
    ['awarded by hand', byHand.raw('job')],
    ['for known keys, with proof of work', picky.raw('job')],
    ['with validators', validated.raw('job')],
    ['that buys keys', sold.raw('job')],
    ['for trainers that stake', asking.raw('job')],
    ['with disputes', disputed.raw('job')],
  ],
  bid: [['at a price', script.raw('bid/0')], ['for nothing', free.raw('bid/0')], ['for two shards', several.raw('bid/0')], ['with a stake', asking.raw('bid/0')]],
  'sealed-bid': [['for nobody but the customer', hidden.script.raw('sealed/0')]],
  withdrawn: [['after the bid', early.raw('withdrawn')]],
  award: [['two winners and a spare', script.raw('award')], ['by a rule with a root update', trusted.raw('award')], ['two shards of three to one trainer', several.raw('award')], ['a known key first, and a seat withheld from new ones', known.raw('award')], ['of sealed bids at one price', hidden.script.raw('award')], ['with validators', validated.raw('award')], ['without who has no stake', asking.raw('award')]],
  replace: [['by the best spare', early.raw('replace')], ['by nobody', early.raw('replace-none')], ['by a late bid', early.raw('replace-late')]],
  cancel: [['with a reason', early.raw('cancel')]],
  ready: [['the shard opened', script.raw('ready/0')]],
  'grant-bad': [['another key', early.raw('grant-bad')]],
  resign: [['with a reason', early.raw('resign')]],
  open: [['with the base inside', script.raw('open/0')], ['with a pointer only', late.raw('open/0')], ['with a difference', ofDifference(late.raw('open/0'))]],
  seen: [['two commitments', script.raw('seen/0')], ['nothing new', late.raw('seen/0')]],
  list: [['of commitments', script.raw('commits/0')], ['of reveals', script.raw('reveals/0')], ['of reveals that validators score', validated.raw('reveals/0')], ['of commitments to scores', validated.raw('score-commits/0')], ['of revealed scores', validated.raw('score-reveals/0')]],
  draw: [['the first of the chain', checked.raw('draw/0')], ['with nonces', validated.raw('draw/0')]],
  register: [['for as long as the job', validated.raw('register/0')], ['for disputes, too', disputed.raw('register/0')]],
  nonce: [['of round 0', validated.raw('nonce/0/0')]],
  complaint: [['about a number', lied.raw('complaint')], ['about a segment', lied.raw('complaint-segment')]],
  'key-fraud': [['a key that was not signed', sold.raw('key-fraud/0/2')]],
  sold: [['two of three accepted', sold.raw('sold/0')]],
  'validator-fraud': [['a loss that two of three contradict', lied.raw('validator-fraud/0/1')]],
  dispute: [['of a fraud in round 0', disputed.raw('dispute')]],
  'dispute-nonce': [['the first of its chain', disputed.raw('dispute-nonce/0')]],
  'dispute-draw': [['by three nonces', disputed.raw('dispute-draw')], ['by none', unanswered.raw('dispute-draw')]],
  verdict: [['as committed', disputed.raw('verdict/0')]],
  'score-commit': [['of round 0', validated.raw('score-commit/0/0')]],
  close: [['all accepted', script.raw('close/0')], ['one accepted, two rejected', partial.raw('close/0')], ['a proven fraud', checked.raw('close/0')], ['with a root update', trusted.raw('close/0')]],
  void: [['no quorum', late.raw('void/0')]],
  commit: [['of round 0', script.raw('commit/0/0')]],
  reveal: [['with the update inside', script.raw('reveal/0/0')], ['with chunks elsewhere', script.raw('reveal/0/1')], ['with checkpoints', checked.raw('reveal/0/1')], ['for sale', sold.raw('reveal/0/0')]],
  scores: [['of two updates', script.raw('scores/0')], ['with repeated segments', checked.raw('scores/0')], ['of a validator', validated.raw('score-reveal/0/0')]],
  settlement: [['of two payees', script.raw('settlement/0')], ['with fees', validated.raw('settlement/0')], ['a correction', disputed.raw('correction')]],
  claim: [['with a sealed invoice', script.raw('claim/0/0')]],
  'claim-bad': [['an invoice over another amount', refused.raw('claim-bad')]],
  'claim-void': [['of an expired invoice', script.raw('claim-void')]],
  receipt: [['paid', script.raw('receipt/0/0')]],
  received: [['countersigned', script.raw('received/0/0')]],
  fraud: [['a segment that ends elsewhere', checked.raw('fraud')], ['of a whole training', whole.raw('fraud')]],
  unpaid: [['a valid claim not paid in time', script.raw('unpaid')]],
  stake: [['of a trainer', staked.raw('stake')]],
  delegate: [['behind a trainer', staked.raw('delegate')]],
  withdraw: [['of a delegation', staked.raw('withdraw')]],
  slash: [['of two commitments to one seat', slashed.raw('slash')]],
  'stake-table': [['of one operator', staked.raw('table')], ['after a withdrawal', staked.raw('table-after')]],
  artifact: [['sealed for the customer', artifact], ['open to all', open.raw('artifact')]],
  'arena-job': [['with fixed sides', arena.raw('job')], ['by stake, the best only', stakedArena.raw('job')]],
  enter: [['with the lock of a stake', stakedArena.raw('enter')]],
  submit: [['to the interim stage', arena.raw('submit/0/0')], ['to the final one', arena.raw('submit/1/1')]],
  'arena-seen': [['three submissions', arena.raw('seen/0')], ['none', empty.raw('seen/0')]],
  'arena-list': [['three submissions', arena.raw('list/0')], ['none', empty.raw('list/0')]],
  'alias-root': [['three aliases', arena.raw('root/0')]],
  'alias-table': [['three aliases', arena.raw('table/0')], ['none', empty.raw('table/0')]],
  'arena-scores': [['of three aliases', arena.raw('scores/0/0')]],
  ranking: [['three trainers', arena.raw('ranking/0')], ['nobody', empty.raw('ranking/0')]],
  'arena-settlement': [['trainers and validators', arena.raw('settlement/0')], ['all of it back', empty.raw('settlement/0')]],
  'alliance-job': [['of equal members', alliance.raw('job')], ['with a share of proposers and stake', stakedAlliance.raw('job')]],
  'alliance-open': [['six members', alliance.raw('open/0')], ['nobody', deserted.raw('open/0')]],
  roles: [['of six nonces', alliance.raw('roles/0')], ['of none', deserted.raw('roles/0')]],
  proposal: [['inline', alliance.raw(`proposal/0/${proposer}`)]],
  vote: [['for', alliance.raw(`vote/0/${voter}`)], ['against', kept.events[keptVoter]!]],
  'alliance-settlement': [['accepted', alliance.raw('settlement/0')], ['kept', kept.raw('settlement/0')], ['of a round with too few', deserted.raw('settlement/0')]],
  'artifact-listing': [
    ['the artifact under the address of its job', signEvent(buildArtifactListing(artifact, script.jobId), customer.secret)],
  ],
  offer: [
    ['of a trainer', signEvent(buildOffer(offer, START_SEC), people[0]!.secret)],
    ['by the work, dearer when busy', signEvent(buildOffer({ ...offer, tflopMsat: 12_000_000n, perJobPpm: 250_000 }, START_SEC), people[0]!.secret)],
    ['of a validator', signEvent(buildOffer({ ...offer, role: 'validator', models: ['mlp'] }, START_SEC), people[1]!.secret)],
  ],
};

const grantTime = { notAfter: START_SEC + 86_400 };
export const grants: Record<
  'shard-grant' | 'round-grant' | 'round-grant-of-difference' | 'eval-grant' | 'update-grant' | 'update-grant-of-nothing' | 'segment-grant' | 'segment-grant-of-the-first' | 'group-grant' | 'model-grant' | 'model-grant-of-nothing',
  Grant
> = {
  'shard-grant': {
    purpose: 'shard',
    job: script.jobId,
    snapshot: snapshot.id,
    shard: 0,
    key: shardKey(prk, 0),
    seed,
    locator,
    blind,
    ...grantTime,
  },
  'round-grant': {
    purpose: 'round',
    job: script.jobId,
    round: 0,
    key: contentKey(secret('model 0')),
    ...grantTime,
  },
  'round-grant-of-difference': {
    purpose: 'round',
    job: script.jobId,
    round: 2,
    key: contentKey(secret('model 2')),
    before: [contentKey(secret('model 1')), contentKey(secret('model 0'))],
    ...grantTime,
  },
  'eval-grant': {
    ...{ purpose: 'eval', job: validated.jobId, snapshot: snapshot.id, key: shardKey(prk, 0), scoring: sha256('scoring') },
    ...{ locator, blind, ...grantTime },
  },
  'update-grant': {
    ...{ purpose: 'update', job: script.jobId, submission: script.raw('reveal/0/0').id, ...grantTime },
    update: { key: contentKey(secret('update 0 0')), pointer: pointerOf(update(0, 0, script)), state: null },
  },
  'update-grant-of-nothing': {
    ...{ purpose: 'update', job: script.jobId, submission: script.raw('reveal/0/1').id, update: null, ...grantTime },
  },
  'segment-grant': {
    ...{ purpose: 'segment', job: disputed.jobId, draw: disputed.raw('dispute-draw').id, ...grantTime },
    state: { key: contentKey(secret('update 0 0')), pointer: pointerOf(update(0, 0, script)), coding: 'ordered-words' },
  },
  'segment-grant-of-the-first': {
    ...{ purpose: 'segment', job: disputed.jobId, draw: disputed.raw('dispute-draw').id, state: null, ...grantTime },
  },
  'group-grant': { purpose: 'group', job: alliance.jobId, key: GROUP_KEY, ...grantTime },
  'model-grant': {
    ...{ purpose: 'model', job: arena.jobId, root: arena.raw('root/0').id, alias: 2, ...grantTime },
    model: { key: sha256('model key'), pointer: pointerOf(update(0, 0, script)) },
  },
  'model-grant-of-nothing': {
    ...{ purpose: 'model', job: arena.jobId, root: arena.raw('root/0').id, alias: 0, model: null, ...grantTime },
  },
};
export const encodedGrants = Object.entries(grants).map(([name, grant]) => {
  const content = encodeGrant(grant);
  return { name, content, hash: grantHash(content) };
});
export const sampleLocator = { encoded: locator, blind, promised: manifest.locator };
export const derivedFrom: { job: EventId; settlement: EventId; trainer: string; engine: string; base: Sha256 } = {
  job: script.jobId,
  settlement: script.raw('settlement/0').id,
  trainer: people[0]!.pubkey,
  engine: ENGINE,
  base: script.at('open/0', 'open').content.base.sha256,
};
