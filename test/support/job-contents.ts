import { sha256, sha256Hex, type EventId, type Pubkey, type Sha256 } from '../../src/hash.js';
import type { EngineId } from '../../src/learning/types.js';
import type { NostrEvent } from '../../src/ports.js';
import type { ContentOf, EventOf } from '../../src/protocol/events.js';
import type { Pointer } from '../../src/protocol/pointer.js';
import { commitmentOf } from '../../src/protocol/submission.js';
import { buildSnapshot, type DatasetManifest } from '../../src/protocol/dataset.js';
import { publicKey, signEvent } from '../../src/schnorr.js';
import type { JobScript, Seat } from './job-script.js';

/** Who takes part in a scripted job, and what an honest one says at each step: worked out here by hand, not by the rules under test. */

export const START_SEC = 1_760_000_000;
export const PRICE_MSAT = 21_000n;
export const ENGINE = 'wasm/3f2a9c10/4.22.0/x64' as EngineId;

export interface Person {
  readonly secret: Uint8Array;
  readonly pubkey: Pubkey;
}

export function person(name: string): Person {
  const secret = sha256('job-script', name);
  return { secret, pubkey: publicKey(secret) };
}

export const customer = person('customer');
/** In order of their keys: with equal prices trainer i wins shard i, and those without a seat are spares in this order. */
export const people: readonly Person[] = Array.from({ length: 8 }, (_, i) => person(`trainer ${i}`)).sort((a, b) =>
  a.pubkey < b.pubkey ? -1 : 1,
);

export const hashOf = (text: string): Sha256 => sha256Hex('job-script', text);

/** Consistent fields of an inline blob whose content has this hash. */
export function pointerTo(content: Sha256): Pointer {
  const [root, commit] = [sha256Hex('root', content), sha256Hex('commit', content)];
  return { sha256: content, size: 400, packed: 300, chunks: 0, root, commit, ids: [] };
}

export const SCHEMA: DatasetManifest['schema'] = {
  ...{ task: 'classification', shape: [4], inputs: 4, dtype: 'F32', scale: 1, outputs: 3 },
  classes: ['a', 'b', 'c'],
};

/** Shards of 100 examples; their chunks are nowhere. */
function snapshotOf(part: DatasetManifest['part'], shards: number): NostrEvent {
  const commit = (shard: number) => hashOf(`commit ${part} ${shard}`);
  const manifest: DatasetManifest = {
    ...{ name: 'digits', part, schema: SCHEMA, salt: sha256('job-script', part), listing: 'private' },
    shards: Array.from({ length: shards }, (_, i) => ({ examples: 100, size: 2_000, chunks: 1, commit: commit(i) })),
    locator: hashOf(`locator ${part}`),
  };
  return signEvent(buildSnapshot(manifest, START_SEC - 600), customer.secret);
}
/** Of the dataset and the evaluation sets A and B: what every job pins. */
export const SNAPSHOTS = [snapshotOf('train', 8), snapshotOf('a', 1), snapshotOf('b', 1)] as const;
const [dataset, setA, setB] = SNAPSHOTS.map(({ id }) => id) as [EventId, EventId, EventId];

export const TERMS: ContentOf<'job'> = {
  title: 'digits',
  mode: 'federated',
  dataset,
  evalA: { snapshot: setA, rows: 100, commitment: hashOf('a') },
  evalB: { snapshot: setB, rows: 100, commitment: hashOf('b') },
  model: { model: 'logreg', task: 'classification', inputs: 4, outputs: 3, hidden: [] },
  hyper: { optimizer: 'adam', learningRate: 0.01, batch: 32, epochs: 2 },
  rounds: 2,
  trainers: 3,
  quorum: 2,
  network: 'sandbox',
  rail: 'instalments',
  maxPriceMsat: 50_000n,
  budgetMsat: 1_000_000n,
  payoutFloorMsat: 1_000n,
  award: 'full',
  payment: 'pay-as-bid',
  bidWindowSec: 60,
  readyTimeoutSec: 120,
  roundTimeoutSec: 900,
  revealTimeoutSec: 120,
  claimWithinSec: 604_800,
  payWithinSec: 600,
  deadline: START_SEC + 86_400,
  maxReplacements: 2,
  maxHolders: 2,
  keyRelease: 'open',
  verification: 'floor',
  spot: null,
  acceptedEngines: ['wasm'],
  aggregation: 'fedavg',
  attackers: 0,
  outer: { name: 'none' },
  codec: { name: 'f32' },
  strictLoss: false,
  seedCommitment: hashOf('seed'),
  chainCommitment: hashOf('chain'),
  audit: 'granted',
  access: 'customer',
  relays: ['wss://relay.example'],
};

export const grantOf = (who: Person, shard: number): Sha256 => hashOf(`grant ${shard} ${who.pubkey}`);

/** An unknown key counts at twice its price; equal prices go by key, which is the order of `people`. */
export function awardOf(
  script: JobScript,
  winners: readonly Person[],
  spares: readonly Person[],
  priceMsat: bigint,
): ContentOf<'award'> {
  const all = [...winners, ...spares];
  const bidOf = (who: Person) => script.at(`bid/${all.indexOf(who)}`, 'bid').id;
  return {
    bids: all.map((who) => ({
      bid: bidOf(who),
      trainer: who.pubkey,
      priceMsat,
      effectiveMsat: 2n * priceMsat,
      attempts: 0,
      successes: 0,
      outcome: winners.includes(who) ? 'won' : 'spare',
    })),
    winners: winners.map((who, shard) => ({
      trainer: who.pubkey,
      bid: bidOf(who),
      shard,
      priceMsat,
      grant: grantOf(who, shard),
    })),
    rule: { name: 'fedavg', f: 0, m: 0 },
  };
}

export function commitOf(script: JobScript, round: number, who: Person, shard: number): ContentOf<'commit'> {
  const { baseHash, updateHash, checkpoints, salt } = updateOf(script, round, shard);
  const job = script.jobId;
  const commitment = commitmentOf({ job, round, shard, trainer: who.pubkey, baseHash, updateHash, checkpoints, salt });
  return { round, shard, open: script.at(`open/${round}`, 'open').id, commitment };
}

/** Four segments where the job has spot checks. */
export function checkpointsOf(script: JobScript, round: number, shard: number): Sha256[] {
  const count = script.at('job', 'job').content.spot === null ? 0 : 3;
  return Array.from({ length: count }, (_, index) => hashOf(`state ${round} ${shard} ${index + 1}`));
}

function updateOf(script: JobScript, round: number, shard: number) {
  return {
    baseHash: script.at(`open/${round}`, 'open').content.base.sha256,
    updateHash: hashOf(`update ${round} ${shard}`),
    checkpoints: checkpointsOf(script, round, shard),
    salt: sha256(`salt ${round} ${shard}`),
  };
}

export function revealOf(script: JobScript, round: number, _who: Person, shard: number): ContentOf<'reveal'> {
  return {
    round,
    shard,
    list: script.at(`commits/${round}`, 'list').id,
    commit: script.at(`commit/${round}/${shard}`, 'commit').id,
    ...updateOf(script, round, shard),
    engine: ENGINE,
    sealed: Buffer.alloc(99, 2).toString('base64'),
  };
}

/** Four segments, everybody drawn; the chain ends in a secret that the tests know. */
export function spotTerms(rounds: number, ratePpm = 1_000_000): Partial<ContentOf<'job'>> {
  return {
    verification: 'spot',
    spot: { ratePpm, everySteps: 5, engine: ENGINE },
    chainCommitment: sha256Hex(linkOf(rounds, 0)),
  };
}

/** s_round of a chain of `rounds` hashes. */
function linkOf(rounds: number, round: number): Uint8Array {
  return round === rounds ? sha256('chain secret') : sha256('nmkt/1/chain', linkOf(rounds, round + 1));
}

export function drawOf(script: JobScript, round: number): ContentOf<'draw'> {
  const { rounds } = script.at('job', 'job').content;
  return { round, list: script.at(`commits/${round}`, 'list').id, s: linkOf(rounds, round) };
}

/** The segment that the rate of 1 draws, of four. */
export function segmentOf(script: JobScript, round: number, trainer: Pubkey): number {
  const { list, s, nonces = [] } = script.at(`draw/${round}`, 'draw').content;
  const opened = nonces.map((id) => (script.parsed.find((event) => event.id === id) as EventOf<'nonce'>).content.nonce);
  const number = Buffer.alloc(4);
  number.writeUInt32BE(round);
  const raw = (hex: string) => Buffer.from(hex, 'hex');
  const seed = sha256('nmkt/1/draw', 'spot', raw(script.jobId), number, raw(list), s, ...opened);
  return Buffer.from(sha256(seed, sha256(raw(trainer)))).readUInt8(4) >> 6;
}

/** What an honest repetition of it ends in. */
export function repeatedOf(
  script: JobScript,
  round: number,
  trainer: Pubkey,
  shard: number,
): ContentOf<'scores'>['scores'][number]['spot'] {
  if (script.at('job', 'job').content.spot === null) return null;
  const segment = segmentOf(script, round, trainer);
  const ends = [...checkpointsOf(script, round, shard), hashOf(`update ${round} ${shard}`)];
  return { segment, hash: ends[segment]! };
}

/** Loss halves on the own shard and falls by a fifth on other data: D 500,000 ppm, E 300,000 ppm, standard errors of 10,000. */
export function scoreOf(submission: EventId, trainer: Pubkey, shard: number): ContentOf<'scores'>['scores'][number] {
  return {
    submission,
    trainer,
    shard,
    ownBeforePpm: 1_000_000,
    ownAfterPpm: 500_000,
    otherBeforePpm: 1_000_000,
    otherAfterPpm: 800_000,
    ownSePpm: 10_000,
    otherSePpm: 10_000,
    dPpm: 500_000,
    ePpm: 300_000,
    lossPpm: 600_000,
    spot: null,
  };
}

export function scoresOf(script: JobScript, round: number, revealed: readonly Seat[]): ContentOf<'scores'> {
  return {
    round,
    list: script.at(`reveals/${round}`, 'list').id,
    engine: ENGINE,
    data: TERMS.evalA.commitment,
    scores: revealed.map(({ who, shard }) => ({
      ...scoreOf(script.at(`reveal/${round}/${shard}`, 'reveal').id, who.pubkey, shard),
      spot: repeatedOf(script, round, who.pubkey, shard),
    })),
  };
}

export function closeOf(
  script: JobScript,
  round: number,
  seats: readonly Seat[],
  revealed: readonly Seat[],
): ContentOf<'close'> {
  const rest = seats.filter((seat) => !revealed.includes(seat));
  return {
    round,
    list: script.at(`reveals/${round}`, 'list').id,
    scores: script.has(`scores/${round}`) ? script.raw(`scores/${round}`).id : script.raw(`score-reveals/${round}`).id,
    accepted: revealed.map(({ who, shard }) => ({
      submission: script.at(`reveal/${round}/${shard}`, 'reveal').id,
      trainer: who.pubkey,
      shard,
    })),
    rejected: rest.map(({ who, shard }) => ({
      submission: null,
      trainer: who.pubkey,
      shard,
      rule: script.has(`commit/${round}/${shard}`) ? 'no-reveal' : 'absent',
      detail: '',
    })),
    aggregate: hashOf(`model ${round + 1}`),
    lossPpm: 500_000,
    accuracyPpm: 900_000,
  };
}
