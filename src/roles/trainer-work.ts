import { z } from 'zod';
import { NmktError } from '../errors.js';
import { sha256Hex, type Sha256 } from '../hash.js';
import { keepsResidual } from '../learning/codec/codec.js';
import { uncodedTensors } from '../learning/codec/uncoded.js';
import { trainingSeed } from '../learning/seeds.js';
import { drawnSegmentOf } from '../market/spot-rules.js';
import type { Assignment, JobState, RoundState } from '../market/state.js';
import type { RoundGrant, ShardGrant } from '../protocol/grant.js';
import type { JobTerms } from '../protocol/job.js';
import { stateKeyOf } from '../protocol/sale.js';
import { commitmentOf, sealedUpdate, type SealedSale, type SealedUpdate } from '../protocol/submission.js';
import { smallest } from './base-model.js';
import type { Received } from './inbox.js';
import { keptStates, findState } from './kept-states.js';
import { describeStep } from './pace.js';
import { blobSecrets, chunkExpiry, publishBytes, publishSealed, stateLabel, updateLabel } from './round-blobs.js';
import { assertRepeatable, type SegmentStart } from './spot-check.js';
import type { TrainerEnv } from './trainer.js';
import { keptBase, openBase } from './trainer-base.js';
import {
  decodeUpdateFile,
  encodeUpdateFile,
  TRAINING_SECRET_BYTES,
  type CommittedWork,
  type Work,
} from './trainer-files.js';
import { openedShard } from './trainer-grant.js';
import { offerOf, ownSale, type OwnSale } from './own-sale.js';
import { encodeWork, findUncoded } from './trainer-residuals.js';
import { takesCommits, whileOpen } from './while-open.js';

/** A round of a trainer: train once, keep what must survive, commit, reveal. */

/** What must survive a crash between commitment and reveal. */
const updateFile = (round: RoundState, shard: number) => `update-${round.open.id}-${shard}.bin`;

/** Has this home the bytes and the salt of its commitment? Another home of the same key may have made another one. */
export async function hasCommitted(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  shard: number,
): Promise<boolean> {
  const work = await readWork(env, state, round, shard);
  if (work === undefined) return false;
  const made = round.commits.get(shard);
  return made === undefined || commitmentTo(work, env, state, round, shard) === made.content.commitment;
}

async function readWork(
  env: TrainerEnv,
  { job }: JobState,
  round: RoundState,
  shard: number,
): Promise<CommittedWork | undefined> {
  const file = await env.files.read(updateFile(round, shard));
  return file === undefined ? undefined : decodeUpdateFile(file, keepsResidual(job!.content.codec));
}

function commitmentTo(
  { salt, bytes, checkpoints, residual }: CommittedWork,
  { signer }: Pick<TrainerEnv, 'signer'>,
  { jobId }: JobState,
  { round, open }: RoundState,
  shard: number,
): Sha256 {
  return commitmentOf({
    ...{ job: jobId, round, shard, trainer: signer.pubkey, checkpoints, salt, residual },
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
  let work = await readWork(env, state, round, seat.shard);
  if (work === undefined) {
    if (shardGrant === undefined)
      throw new NmktError('not-ready', 'the shard grant has not arrived again', {
        remedy: 'wait: the customer’s relay still has it',
      });
    const fresh = await trainUpdate(env, state, round, seat.shard, shardGrant.grant, roundGrant.grant);
    if (fresh === null) return;
    // A commitment cannot be retrained: secret and bytes are durable before it is signed.
    const file = encodeUpdateFile(env.random(TRAINING_SECRET_BYTES), fresh);
    await env.files.write(updateFile(round, seat.shard), file);
    work = decodeUpdateFile(file, keepsResidual(job.content.codec))!;
  }
  // The list may have come, or the job have ended, while it trained.
  if (!takesCommits(env.book.state(), round)) return;
  const commitment = commitmentTo(work, env, state, round, seat.shard);
  await env.book.sign('commit', { round: round.round, shard: seat.shard, open: round.open.id, commitment }, [
    job.author,
  ]);
}

async function trainUpdate(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  shard: number,
  shardGrant: ShardGrant,
  roundGrant: RoundGrant,
): Promise<Work | null> {
  const job = state.job!;
  const weights = await openBase(env, state, round, roundGrant);
  const examples = await openedShard(env, state, shardGrant);
  const engine = await env.engine();
  const name = `job ${job.id.slice(0, 12)}…, round ${round.round + 1} of ${job.content.rounds}`;
  const { spot } = job.content;
  const seed = trainingSeed(shardGrant.seed, round.round, shard, env.signer.pubkey);
  const { rows } = examples;
  const states = await keptStates(env, round, shard, job.content, { rows, seed, engine: engine.id });
  const { last, everySteps } = states;
  if (last !== undefined) env.progress.note(`${name}: going on after step ${last.step}`);
  const startMs = env.clock.nowMs();
  const { model, hyper } = job.content;
  const request = { model, hyper, weights, examples, seed, stateEvery: everySteps, ...(last && { from: last }) };
  const onProgress = (done: number, total: number, loss: number): void => {
    const elapsedMs = env.clock.nowMs() - startMs;
    const at = { from: last?.step ?? 0, done, total, loss, batch: hyper.batch, elapsedMs };
    env.progress.update(`${name}: ${describeStep(at)}`);
  };
  const isOpen = (): boolean => takesCommits(env.book.state(), round);
  const result = await whileOpen(env, isOpen, (signal) =>
    engine.train(request, onProgress, signal, (state) => states.take(state)),
  );
  await states.written();
  if (result === null) {
    env.progress.warn(`${name}: the round goes on without shard ${shard}, its commitments are listed`);
    return null;
  }
  if (spot !== null) assertRepeatable(result);
  const trained = { base: weights, trained: result.weights, seed };
  return encodeWork(env, state, round, shard, trained, states.checkpoints);
}

export async function reveal(env: TrainerEnv, state: JobState, round: RoundState, shard: number): Promise<void> {
  const job = state.job!;
  const me = env.signer.pubkey;
  const { salt, secret, bytes, checkpoints, residual } = (await readWork(env, state, round, shard))!;
  const { key, stateKey } = blobKeysOf(job.content, secret, round.round);
  const { pointer, inline, chunks } = await publishBytes(
    env.relays,
    bytes,
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
  const drawn = drawnSegmentOf(state, round, { trainer: me, shard }, checkpoints.length) ?? 0;
  const shown = {
    pointer,
    state: drawn === 0 ? null : await publishState(env, state, round, shard, drawn, secret),
  };
  const offer =
    job.content.rail === 'key-sale' ? offerOf(job.id, ownSale(secret, round.round, key), { ...shown, chunks }) : null;
  const sealed = await env.signer.encrypt(
    job.author,
    offer?.sealed ??
      JSON.stringify(
        z.encode(sealedUpdate, {
          key,
          pointer,
          state: shown.state === null ? null : { ...shown.state, key: stateKey },
        }),
      ),
  );
  await env.book.sign(
    'reveal',
    {
      round: round.round,
      shard,
      list: round.commitList!.id,
      commit: round.listedCommits.get(shard)!.id,
      salt,
      baseHash: round.open.content.base.sha256,
      updateHash: sha256Hex(bytes),
      engine: (await env.engine()).id,
      checkpoints: [...checkpoints],
      ...(residual !== undefined && { residual }),
      ...(offer !== null && { sale: offer.sale }),
      sealed,
      ...(inline === undefined ? {} : { inline }),
    },
    [job.author],
  );
}

/** What a segment but the first starts from; undefined when this home has lost it. */
export async function findStart(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  shard: number,
  segment: number,
): Promise<Exclude<SegmentStart, null> | undefined> {
  const terms = state.job!.content;
  const work = await readWork(env, state, round, shard);
  return terms.codec.name !== 'f32' && segment === work?.checkpoints.length
    ? findUncoded(env, round, shard, terms, work.residual?.before != null)
    : findState(env, round, shard, terms, segment);
}

/** Of a round that it committed to: the state before a segment, for whom it gives the key to. */
export async function showState(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  shard: number,
  segment: number,
): Promise<SealedUpdate['state']> {
  const work = segment === 0 ? undefined : await readWork(env, state, round, shard);
  const shown = work === undefined ? null : await publishState(env, state, round, shard, segment, work.secret);
  return shown && { ...shown, key: blobKeysOf(state.job!.content, work!.secret, round.round).stateKey };
}

/** What opens update and state; where the update is sold, the state's key follows from the one that is. */
function blobKeysOf({ rail }: JobTerms, secret: Uint8Array, round: number) {
  const { key } = blobSecrets(secret, 'update', round);
  return { key, stateKey: rail === 'key-sale' ? stateKeyOf(key) : blobSecrets(secret, 'state', round).key };
}

/** What it sells of a round that it committed to; undefined where this home has lost it. */
export async function soldIn(env: TrainerEnv, state: JobState, round: RoundState): Promise<OwnSale | undefined> {
  const seat = round.assigned.find(({ trainer }) => trainer === env.signer.pubkey);
  const work = seat && (await readWork(env, state, round, seat.shard));
  if (work === undefined) return undefined;
  return ownSale(work.secret, round.round, blobKeysOf(state.job!.content, work.secret, round.round).key);
}

/** The state before a drawn segment, sealed like the update. Null when the home has lost it: the update will be rejected. */
async function publishState(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  shard: number,
  segment: number,
  secret: Uint8Array,
): Promise<SealedSale['state']> {
  const job = state.job!;
  const before = await findStart(env, state, round, shard, segment);
  if (before === undefined) {
    env.progress.warn(
      `round ${round.round + 1}: the state of shard ${shard} before segment ${segment} is no longer in the home`,
    );
    return null;
  }
  const base = await keptBase(env, state, round.open.content.base.sha256);
  const { bytes, isWhole } = smallest('trained' in before ? uncodedTensors(before) : before.tensors, base ?? null);
  const { pointer } = await publishSealed(
    env.relays,
    bytes,
    {
      key: blobKeysOf(job.content, secret, round.round).stateKey,
      upload: blobSecrets(secret, 'state', round.round).upload,
      label: stateLabel(job.id, round.round, shard, env.signer.pubkey),
      dateSec: job.createdAt,
      expirationSec: chunkExpiry(job.content.deadline),
      inline: 'never',
    },
    env.signal,
  );
  return { pointer, ...(!isWhole && { coding: 'ordered-words' }) };
}
