import { z } from 'zod';
import { isNmktError, NmktError } from '../errors.js';
import { concatBytes, fromHex, sha256Hex, type Pubkey, type Sha256 } from '../hash.js';
import { encodeParams } from '../learning/safetensors.js';
import { seedCommitment, trainingSeed } from '../learning/seeds.js';
import type { Examples } from '../learning/types.js';
import type { Assignment, JobState, PayoutState, RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { RoundGrant, ShardGrant } from '../protocol/grant.js';
import { openLocator } from '../protocol/locator.js';
import { sealedClaim } from '../protocol/claim.js';
import { claimHash } from '../protocol/settlement.js';
import { commitmentOf, sealedUpdate } from '../protocol/submission.js';
import { chunkExpiry } from './customer-actions.js';
import { openShard } from './epoch.js';
import type { Received } from './inbox.js';
import { modelOf } from './measure.js';
import { baseLabel, blobSecrets, fetchParams, publishParams, updateLabel } from './round-blobs.js';
import { measureThroughput } from './throughput.js';
import type { TrainerEnv } from './trainer.js';
import { INVOICE_EXPIRY_SEC } from './trainer-decide.js';

/** What a trainer carries out: each signs at most one event, after everything it needs is durable. */

const TRAINING_SECRET_BYTES = 64;

/** What a bid needs: the `bid` command makes one without serving the job. */
export interface BidEnv extends Pick<TrainerEnv, 'book' | 'engine'> {
  readonly terms: Pick<TrainerEnv['terms'], 'priceMsat'>;
}

export async function bid(env: BidEnv): Promise<void> {
  const engine = await env.engine();
  const job = env.book.state().job!;
  await env.book.sign(
    'bid',
    {
      priceMsat: env.terms.priceMsat,
      capacity: 1,
      engine: engine.id,
      throughput: await measureThroughput(engine, job.content),
      expires: job.content.deadline,
    },
    [job.author],
  );
}

type GrantRule = EventOf<'grant-bad'>['content']['rule'];

/** Opens locator, key and shard; the answer says `ready`, or which rule the grant breaks. */
export async function answerGrant(
  env: TrainerEnv,
  state: JobState,
  seat: Assignment,
  received: Received<ShardGrant>,
): Promise<void> {
  const answer = { award: seat.award, shard: seat.shard };
  try {
    env.shard.examples = await openGrantedShard(env, state, received.grant);
  } catch (error) {
    const rule = grantRule(error);
    if (rule === null) throw error;
    await env.book.sign(
      'grant-bad',
      { ...answer, rule, detail: (error as Error).message.replace(/[^\x20-\x7e]/g, ' ').slice(0, 300) },
      [state.job!.author],
    );
    return;
  }
  await env.book.sign('ready', { ...answer, grant: seat.grant }, [state.job!.author]);
}

/** Which rule a failure breaks; null: not the customer's fault (unreachable, interrupted), try again. */
function grantRule(error: unknown): GrantRule | null {
  if (!(error instanceof NmktError)) return null;
  switch (error.code) {
    case 'wrong-key':
      return 'key';
    case 'hash-mismatch':
      return 'hash';
    case 'bad-event':
      return 'locator';
    case 'bad-blob':
    case 'too-large':
      return 'blob';
    case 'shape-mismatch':
      return 'rows';
    default:
      return null;
  }
}

async function openGrantedShard(env: TrainerEnv, state: JobState, grant: ShardGrant): Promise<Examples> {
  const { manifest } = env.snapshot;
  const locator = openLocator(grant.locator, grant.blind, manifest.locator);
  if (seedCommitment(grant.seed) !== state.job!.content.seedCommitment)
    throw new NmktError('hash-mismatch', 'the seed in the grant is not the one the job committed to', {
      expected: state.job!.content.seedCommitment,
      got: seedCommitment(grant.seed),
      remedy: 'nothing: the grant is refused',
    });
  const declared = manifest.shards[grant.shard];
  if (
    declared === undefined ||
    locator.shards.length !== manifest.shards.length ||
    locator.shards[grant.shard]!.commit !== declared.commit
  )
    throw new NmktError('wrong-key', 'the locator names another key commitment than the snapshot', {
      expected: declared?.commit ?? `a shard below ${manifest.shards.length}`,
      got: locator.shards[grant.shard]?.commit ?? 'none',
      remedy: 'nothing: the grant is refused',
    });
  env.progress.update(`fetching shard ${grant.shard}`);
  const examples = await openShard(env.relays, manifest, locator, grant.shard, grant.key, {
    signal: env.signal,
    onProgress: (done, total) => env.progress.update(`fetching shard ${grant.shard}: ${done} of ${total} chunks`),
  });
  if (examples.rows !== declared.examples)
    throw new NmktError('shape-mismatch', 'the shard holds another number of examples than the snapshot says', {
      expected: `${declared.examples} rows`,
      got: `${examples.rows}`,
      remedy: 'nothing: the grant is refused',
    });
  return examples;
}

/** What must survive a crash between commitment and reveal: salt and content secret, then the update's bytes. */
const updateFile = (round: RoundState) => `update-${round.open.id}.bin`;

/** Has this home the bytes and the salt of its commitment? Another home of the same key may have made another one. */
export async function hasCommitted(env: TrainerEnv, state: JobState, round: RoundState): Promise<boolean> {
  const file = await env.files.read(updateFile(round));
  if (file === undefined) return false;
  const made = round.commits.get(env.signer.pubkey);
  return made === undefined || commitmentIn(file, env, state, round, made.content.shard) === made.content.commitment;
}

function commitmentIn(
  file: Uint8Array,
  { signer }: Pick<TrainerEnv, 'signer'>,
  { jobId }: JobState,
  { round, open }: RoundState,
  shard: number,
): Sha256 {
  const { salt, bytes } = splitFile(file);
  return commitmentOf({
    ...{ job: jobId, round, shard, trainer: signer.pubkey, salt },
    baseHash: open.content.base.sha256,
    updateHash: sha256Hex(bytes),
  });
}

export async function train(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  seat: Assignment,
  shardGrant: Received<ShardGrant> | undefined,
  roundGrant: Received<RoundGrant>,
): Promise<void> {
  const job = state.job!;
  let file = await env.files.read(updateFile(round));
  if (file === undefined) {
    if (shardGrant === undefined)
      throw new NmktError('not-ready', 'the shard grant has not arrived again', {
        remedy: 'wait: the customer’s relay still has it',
      });
    const bytes = await trainUpdate(env, state, round, seat.shard, shardGrant.grant, roundGrant.grant);
    // A commitment cannot be retrained: secret and bytes are durable before it is signed.
    file = concatBytes(env.random(TRAINING_SECRET_BYTES), bytes);
    await env.files.write(updateFile(round), file);
  }
  // The job may have ended while it trained.
  if (env.book.state().cancelled !== null) return;
  const commitment = commitmentIn(file, env, state, round, seat.shard);
  await env.book.sign('commit', { round: round.round, shard: seat.shard, open: round.open.id, commitment }, [
    job.author,
  ]);
}

/** salt 32, content secret 32, canonical bytes of the update. */
function splitFile(file: Uint8Array): {
  readonly salt: Uint8Array;
  readonly secret: Uint8Array;
  readonly bytes: Uint8Array;
} {
  return {
    salt: file.slice(0, 32),
    secret: file.slice(32, TRAINING_SECRET_BYTES),
    bytes: file.slice(TRAINING_SECRET_BYTES),
  };
}

async function trainUpdate(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  shard: number,
  shardGrant: ShardGrant,
  roundGrant: RoundGrant,
): Promise<Uint8Array> {
  const job = state.job!;
  const { base, inline } = round.open.content;
  const weights = await fetchParams(
    env.relays,
    { pointer: base, inline, key: roundGrant.key, label: baseLabel(job.id, round.round) },
    job.content.model,
    env.signal,
  );
  env.shard.examples ??= await openGrantedShard(env, state, shardGrant);
  const engine = await env.engine();
  const name = `round ${round.round + 1} of ${job.content.rounds}`;
  const result = await engine.train(
    {
      model: job.content.model,
      weights,
      examples: env.shard.examples,
      hyper: job.content.hyper,
      seed: trainingSeed(shardGrant.seed, round.round, shard, env.signer.pubkey),
    },
    (done, total, loss) => env.progress.update(`${name}: step ${done} of ${total}, loss ${loss.toFixed(4)}`),
    env.signal,
  );
  return encodeParams(result.weights);
}

export async function reveal(env: TrainerEnv, state: JobState, round: RoundState, shard: number): Promise<void> {
  const job = state.job!;
  const me = env.signer.pubkey;
  const { salt, secret, bytes } = splitFile((await env.files.read(updateFile(round)))!);
  const { key } = blobSecrets(secret, 'update', round.round);
  const { pointer, inline } = await publishParams(
    env.relays,
    modelOf(bytes, job.content.model),
    {
      secret,
      purpose: 'update',
      index: round.round,
      label: updateLabel(job.id, round.round, shard, me),
      dateSec: job.createdAt,
      expirationSec: chunkExpiry(job.content.deadline),
    },
    env.signal,
  );
  const sealed = await env.signer.encrypt(job.author, JSON.stringify(z.encode(sealedUpdate, { key, pointer })));
  await env.book.sign(
    'reveal',
    {
      round: round.round,
      shard,
      list: round.commitList!.id,
      commit: round.listedCommits.get(me)!.id,
      salt,
      baseHash: round.open.content.base.sha256,
      updateHash: sha256Hex(bytes),
      engine: (await env.engine()).id,
      sealed,
      ...(inline === undefined ? {} : { inline }),
    },
    [job.author],
  );
}

function hashOfClaim(state: JobState, round: RoundState, payout: PayoutState, payee: Pubkey) {
  return claimHash({
    job: state.jobId,
    settlement: round.settlement!.id,
    payout: payout.payout,
    payee,
    amountMsat: payout.amountMsat,
  });
}

export async function claim(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  payout: PayoutState,
): Promise<string | null> {
  if (env.wallet === null) return 'no wallet is set: the payout cannot be claimed';
  const { invoice } = await env.wallet.makeInvoice({
    msat: payout.amountMsat,
    descriptionHash: hashOfClaim(state, round, payout, env.signer.pubkey),
    expirySec: INVOICE_EXPIRY_SEC,
  });
  const sealed = await env.signer.encrypt(state.job!.author, JSON.stringify({ invoice }));
  await env.book.sign(
    'claim',
    { settlement: round.settlement!.id, payout: payout.payout, amountMsat: payout.amountMsat, sealed },
    [state.job!.author],
  );
  return null;
}

/**
 * Signs that a claim's invoice is unpaid and will never be: only then may the customer pay by another one. Not while the own
 * wallet has the money, or cannot say.
 */
export async function voidClaim(env: TrainerEnv, state: JobState, payout: PayoutState): Promise<string | null> {
  const { id, content } = payout.claim!;
  if (env.wallet === null) return 'no wallet is set: whether the claim was paid cannot be seen';
  const text = await env.signer.decrypt(state.job!.author, content.sealed);
  const paymentHash = env.paymentHashOf(sealedClaim.parse(JSON.parse(text)).invoice) as Sha256;
  const { state: found } = await env.wallet.lookup(paymentHash);
  if (found === 'settled') return 'the wallet has the money, the customer has published no receipt yet';
  if (found === 'unknown') return 'the wallet does not say whether the expired invoice was paid';
  await env.book.sign(
    'claim-void',
    { claim: id, payout: payout.payout, paymentHash, reason: 'the invoice has expired' },
    [state.job!.author],
  );
  return null;
}

/** Countersigns only what the own wallet confirms. */
export async function countersign(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  payout: PayoutState,
): Promise<string | null> {
  const receipt = payout.receipt!;
  if (!(await hasArrived(env, receipt.content.paymentHash)))
    return `round ${round.round + 1}: the customer says it paid, the wallet has not seen it yet`;
  await env.book.sign('received', { receipt: receipt.id, payout: payout.payout, amountMsat: payout.amountMsat }, [
    state.job!.author,
  ]);
  return null;
}

async function hasArrived(env: TrainerEnv, paymentHash: string): Promise<boolean> {
  if (env.wallet === null) return false;
  try {
    const found = await env.wallet.lookup(paymentHash);
    return (
      found.state === 'settled' && found.preimage !== undefined && sha256Hex(fromHex(found.preimage)) === paymentHash
    );
  } catch (error) {
    if (isNmktError(error, 'wallet-unreachable')) return false;
    throw error;
  }
}

export async function markUnpaid(env: TrainerEnv, round: RoundState, payout: PayoutState): Promise<void> {
  await env.book.sign('unpaid', {
    settlement: round.settlement!.id,
    payout: payout.payout,
    claim: payout.claim!.id,
    amountMsat: payout.amountMsat,
  });
}
