import { NmktError } from '../errors.js';
import { sha256Hex, type Pubkey, type Sha256 } from '../hash.js';
import { encodeParams } from '../learning/safetensors.js';
import { trainingSeed } from '../learning/seeds.js';
import { segmentCount, stateHash, stateShapes, stepCount } from '../learning/train-state.js';
import { decodeParams } from '../learning/safetensors.js';
import type { Examples, ParamSet, TrainState } from '../learning/types.js';
import type { Finding } from '../market/acceptance.js';
import { committedEnd } from '../market/spot-rules.js';
import { drawnSegmentOf, type JobState, type RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import type { ScoreRow } from '../protocol/score.js';
import type { SealedUpdate } from '../protocol/submission.js';
import type { Engine, Relays, TrainRequest, TrainResult } from '../ports.js';
import { isUnproven } from './missing.js';
import { isOwnTrouble } from './patience.js';
import { fetchCanonical, stateLabel } from './round-blobs.js';

/** Repeats segments of a training on the same engine: equal requests give equal bits there, so a difference proves another training. */

/** The training that a trainer agreed to, from its base to its update. */
export interface AgreedTraining {
  readonly terms: Pick<JobTerms, 'model' | 'hyper' | 'spot'>;
  readonly base: ParamSet;
  readonly examples: Examples;
  /** The job's, 32 bytes. */
  readonly seed: Uint8Array;
  readonly round: number;
  readonly shard: number;
  readonly trainer: Pubkey;
}

function requestOf({ terms, base, examples, seed, round, shard, trainer }: AgreedTraining): TrainRequest {
  return {
    model: terms.model,
    hyper: terms.hyper,
    weights: base,
    examples,
    seed: trainingSeed(seed, round, shard, trainer),
  };
}

/**
 * In a job with spot checks, before anything is concluded from the bits of a training: by who committed to it and who repeats it.
 *
 * @throws NmktError `training-failed` when a kernel took part whose bits differ between machines: then a difference proves nothing
 */
export function assertRepeatable({ inexact }: Pick<TrainResult, 'inexact'>): void {
  if (inexact === undefined) return;
  throw new NmktError('training-failed', 'this training does not repeat to the bit, and the job checks bits', {
    remedy: 'post the job with --verification floor, or with another model',
    expected: 'kernels with the same bits on every machine',
    got: inexact.join(', '),
  });
}

/** Hashes that a reveal of this training lists, were it trained with `everySteps`. */
export function checkpointCount({ hyper, spot }: Pick<JobTerms, 'hyper' | 'spot'>, rows: number): number {
  return spot === null ? 0 : segmentCount(stepCount(hyper, rows), spot.everySteps) - 1;
}

/**
 * What a segment ends in: the hash of the state after it, of the update after the last one.
 *
 * @param before  the state before the segment; null exactly for segment 0
 */
export async function repeatSegment(
  engine: Pick<Engine, 'train'>,
  training: AgreedTraining,
  segment: number,
  before: TrainState | null,
  signal?: AbortSignal,
): Promise<Sha256> {
  return trainTo(engine, training, (segment + 1) * training.terms.spot!.everySteps, before, signal);
}

/** The hash of the state after a step, of the update after the last one. */
async function trainTo(
  engine: Pick<Engine, 'train'>,
  training: AgreedTraining,
  step: number,
  from: TrainState | null,
  signal?: AbortSignal,
): Promise<Sha256> {
  const toStep = Math.min(step, stepCount(training.terms.hyper, training.examples.rows));
  let end: TrainState | undefined;
  const result = await engine.train(
    { ...requestOf(training), toStep, ...(from !== null && { from }) },
    undefined,
    signal,
    (state) => (end = state),
  );
  assertRepeatable(result);
  return end === undefined ? sha256Hex(encodeParams(result.weights)) : stateHash(end);
}

/** What a segment ends in when the training is repeated from its base. */
export function endOf(
  engine: Pick<Engine, 'train'>,
  training: AgreedTraining,
  segment: number,
  signal?: AbortSignal,
): Promise<Sha256> {
  return trainTo(engine, training, (segment + 1) * training.terms.spot!.everySteps, null, signal);
}

/** All segments in one go. @returns the first that ends in something else than was committed, or null */
export async function repeatAll(
  engine: Pick<Engine, 'train'>,
  training: AgreedTraining,
  committed: EventOf<'reveal'>['content'],
  signal?: AbortSignal,
): Promise<{ readonly segment: number; readonly hash: Sha256 } | null> {
  const ends: Sha256[] = [];
  const request = { ...requestOf(training), stateEvery: training.terms.spot!.everySteps };
  const result = await engine.train(request, undefined, signal, (state) => ends.push(stateHash(state)));
  assertRepeatable(result);
  ends.push(sha256Hex(encodeParams(result.weights)));
  const segment = ends.findIndex((hash, index) => hash !== committedEnd(committed, index));
  return segment < 0 ? null : { segment, hash: ends[segment]! };
}

export interface OpenedStates {
  /** Drawn updates; null: the segment begins at the base. */
  readonly drawn: ReadonlyMap<Pubkey, { readonly segment: number; readonly before: TrainState | null }>;
  readonly findings: ReadonlyMap<Pubkey, Finding>;
}

/**
 * The states before the drawn segments. A list of checkpoints of another length than the training has, or a state that does not
 * open to what was committed, is a finding about its trainer.
 *
 * @param sealed  of the updates that opened
 * @param rowsOf  examples of a shard, from the snapshot
 * @param nowSec  what was due for long counts as missing when half of the relays say so
 */
export async function openDrawnStates(
  relays: Relays,
  state: JobState,
  round: RoundState,
  sealed: ReadonlyMap<Pubkey, SealedUpdate>,
  rowsOf: (shard: number) => number,
  nowSec: number,
  signal?: AbortSignal,
): Promise<OpenedStates> {
  const drawn = new Map<Pubkey, { segment: number; before: TrainState | null }>();
  const findings = new Map<Pubkey, Finding>();
  const terms = state.job!.content;
  if (terms.spot === null) return { drawn, findings };
  const blame = (trainer: Pubkey, detail: string) =>
    findings.set(trainer, { rule: 'spot-check', detail: detail.replace(/[^\x20-\x7e]/g, ' ').slice(0, 300) });
  for (const [trainer, { state: blob }] of sealed) {
    const { content } = round.listedReveals.get(trainer)!;
    const { checkpoints, shard } = content;
    const wanted = checkpointCount(terms, rowsOf(shard));
    if (checkpoints.length !== wanted) {
      blame(trainer, `${checkpoints.length} checkpoints, the training has ${wanted}`);
      continue;
    }
    const segment = drawnSegmentOf(state, round, trainer, checkpoints.length);
    if (segment === null) continue;
    try {
      const before = segment === 0 ? null : await openState(relays, state, round, trainer, segment, blob, signal);
      drawn.set(trainer, { segment, before });
    } catch (error) {
      if (isOwnTrouble(error)) throw error;
      if (isUnproven(error, nowSec - round.revealList!.createdAt)) throw error;
      blame(trainer, `the state before segment ${segment}: ${(error as Error).message}`);
    }
  }
  return { drawn, findings };
}

async function openState(
  relays: Relays,
  state: JobState,
  round: RoundState,
  trainer: Pubkey,
  segment: number,
  blob: SealedUpdate['state'],
  signal?: AbortSignal,
): Promise<TrainState> {
  if (blob === null) throw new RangeError('it is not in the reveal');
  const { model, hyper, spot } = state.job!.content;
  const { checkpoints, shard } = round.listedReveals.get(trainer)!.content;
  const shapes = stateShapes(model, hyper);
  const label = stateLabel(state.jobId, round.round, shard, trainer);
  const bytes = await fetchCanonical(relays, { ...blob, label }, shapes, signal);
  const opened = { step: segment * spot!.everySteps, tensors: decodeParams(bytes, shapes) };
  const hash = stateHash(opened);
  if (hash !== checkpoints[segment - 1])
    throw new RangeError(`it hashes to ${hash.slice(0, 16)}, committed was ${checkpoints[segment - 1]!.slice(0, 16)}`);
  return opened;
}

/**
 * Repeats what was drawn, and all of what looks like a replay.
 *
 * @returns by trainer, what its row of the scores says; empty when this is not the engine that the job names
 */
export async function repeatDrawn(
  engine: Engine,
  round: RoundState,
  drawn: OpenedStates['drawn'],
  suspects: ReadonlySet<Pubkey>,
  trainingOf: (trainer: Pubkey, shard: number) => Promise<AgreedTraining>,
  signal?: AbortSignal,
): Promise<ReadonlyMap<Pubkey, NonNullable<ScoreRow['spot']>>> {
  const found = new Map<Pubkey, NonNullable<ScoreRow['spot']>>();
  for (const [trainer, { content }] of round.listedReveals) {
    const due = drawn.get(trainer);
    if (due === undefined && !suspects.has(trainer)) continue;
    const training = await trainingOf(trainer, content.shard);
    if (training.terms.spot?.engine !== engine.id) return new Map();
    if (suspects.has(trainer)) {
      const segment = due?.segment ?? content.checkpoints.length;
      const different = await repeatAll(engine, training, content, signal);
      found.set(trainer, different ?? { segment, hash: committedEnd(content, segment)! });
    } else if (due !== undefined)
      found.set(trainer, {
        segment: due.segment,
        hash: await repeatSegment(engine, training, due.segment, due.before, signal),
      });
  }
  return found;
}
