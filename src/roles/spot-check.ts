import { NmktError } from '../errors.js';
import { sha256Hex, type Pubkey, type Sha256 } from '../hash.js';
import { encodeUpdate } from '../learning/codec/codec.js';
import { decodeDifference } from '../learning/codec/difference.js';
import { uncodedOf, uncodedShapes, type Uncoded } from '../learning/codec/uncoded.js';
import { parameterShapes, paramsHash } from '../learning/params.js';
import { trainingSeed } from '../learning/seeds.js';
import { segmentCount, stateHash, stateShapes, stepCount } from '../learning/train-state.js';
import { decodeParams } from '../learning/safetensors.js';
import type { Examples, ParamSet, TrainState } from '../learning/types.js';
import type { Finding } from '../market/acceptance.js';
import { firstDivergence } from '../market/bisect.js';
import { drawnSegmentOf, committedEnd, workEnd } from '../market/spot-rules.js';
import type { JobState, RoundState } from '../market/state.js';
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
  readonly terms: Pick<JobTerms, 'model' | 'hyper' | 'spot' | 'codec'>;
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

/** Where a segment begins: between two steps of the training, at the trained model that is encoded, or (null) at the base. */
export type SegmentStart = TrainState | Uncoded | null;

/** Hashes that a reveal of this training lists, were it trained with `everySteps`: one less than there are segments. */
export function checkpointCount(
  { hyper, spot, codec }: Pick<JobTerms, 'hyper' | 'codec'> & { readonly spot: { readonly everySteps: number } | null },
  rows: number,
): number {
  if (spot === null) return 0;
  const training = segmentCount(stepCount(hyper, rows), spot.everySteps);
  return codec.name === 'f32' ? training - 1 : training;
}

/**
 * What a segment ends in: the hash of the state after it, of the trained model after the last one, of the update after the encoding.
 *
 * @param before  what the segment starts from; null exactly for segment 0
 */
export async function repeatSegment(
  engine: Pick<Engine, 'train'>,
  training: AgreedTraining,
  segment: number,
  before: SegmentStart,
  signal?: AbortSignal,
): Promise<Sha256> {
  if (before !== null && 'trained' in before) return encodedEnd(training, before);
  return trainTo(engine, training, (segment + 1) * training.terms.spot!.everySteps, before, signal);
}

function encodedEnd(
  { terms, base, seed, round, shard, trainer }: AgreedTraining,
  { trained, residual }: Uncoded,
): Sha256 {
  const own = trainingSeed(seed, round, shard, trainer);
  const encoded = encodeUpdate(terms.codec, base, trained, residual, own);
  return workEnd(sha256Hex(encoded.bytes), encoded.residual === null ? undefined : paramsHash(encoded.residual));
}

/** The hash of the state after a step, of the trained model after the last one. */
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
  return end === undefined ? paramsHash(result.weights) : stateHash(end);
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

/** The whole training from its base: what each of its segments ends in, the last one in the trained model. */
async function trainAll(
  engine: Pick<Engine, 'train'>,
  training: AgreedTraining,
  signal: AbortSignal | undefined,
): Promise<{ readonly ends: readonly Sha256[]; readonly trained: ParamSet }> {
  const ends: Sha256[] = [];
  const request = { ...requestOf(training), stateEvery: training.terms.spot!.everySteps };
  const result = await engine.train(request, undefined, signal, (state) => ends.push(stateHash(state)));
  assertRepeatable(result);
  ends.push(paramsHash(result.weights));
  return { ends, trained: result.weights };
}

/**
 * What a drawn segment of an update ends in that stays closed, and with it the state that the segment starts from.
 *
 * @returns null where repeating the training does not lead to that state: to another one than was committed, or to a residual, which
 *          comes from rounds before
 */
export async function endUnopened(
  engine: Pick<Engine, 'train'>,
  training: AgreedTraining,
  { checkpoints, residual }: EventOf<'reveal'>['content'],
  segment: number,
  signal?: AbortSignal,
): Promise<Sha256 | null> {
  const isEncoding = training.terms.codec.name !== 'f32' && segment === checkpoints.length;
  if (isEncoding && residual !== undefined && residual.before !== null) return null;
  const { ends, trained } = await trainAll(engine, training, signal);
  if (segment > 0 && ends[segment - 1] !== checkpoints[segment - 1]) return null;
  return isEncoding ? encodedEnd(training, { trained, residual: null }) : (ends[segment] ?? null);
}

/**
 * All segments of the training in one go.
 *
 * @returns one that ends in something else than was committed, see `firstDivergence`, with the ends of all; or null
 */
export async function repeatAll(
  engine: Pick<Engine, 'train'>,
  training: AgreedTraining,
  committed: EventOf<'reveal'>['content'],
  signal?: AbortSignal,
): Promise<{ readonly segment: number; readonly hash: Sha256; readonly ends: readonly Sha256[] } | null> {
  const { ends } = await trainAll(engine, training, signal);
  const promised = ends.map((_, index) => committedEnd(committed, index)!);
  const segment = firstDivergence(promised, ends);
  return segment === null ? null : { segment, hash: ends[segment]!, ends };
}

export interface OpenedStates {
  /** By shard: drawn updates; null: the segment begins at the base. */
  readonly drawn: ReadonlyMap<number, { readonly segment: number; readonly before: SegmentStart }>;
  readonly findings: ReadonlyMap<number, Finding>;
}

/**
 * The states before the drawn segments. A list of checkpoints of another length than the training has, or a state that does not
 * open to what was committed, is a finding about its trainer.
 *
 * @param base    the model of the round, to which states may come as differences
 * @param sealed  of the updates that opened
 * @param rowsOf  examples of a shard, from the snapshot
 * @param nowSec  what was due for long counts as missing when half of the relays say so
 */
export async function openDrawnStates(
  relays: Relays,
  state: JobState,
  round: RoundState,
  base: ParamSet,
  sealed: ReadonlyMap<number, SealedUpdate>,
  rowsOf: (shard: number) => number,
  nowSec: number,
  signal?: AbortSignal,
): Promise<OpenedStates> {
  const drawn = new Map<number, { segment: number; before: SegmentStart }>();
  const findings = new Map<number, Finding>();
  const terms = state.job!.content;
  if (terms.spot === null) return { drawn, findings };
  const blame = (shard: number, detail: string) =>
    findings.set(shard, { rule: 'spot-check', detail: detail.replace(/[^\x20-\x7e]/g, ' ').slice(0, 300) });
  for (const [shard, { state: blob }] of sealed) {
    const { author, content } = round.listedReveals.get(shard)!;
    const { checkpoints } = content;
    const wanted = checkpointCount(terms, rowsOf(shard));
    if (checkpoints.length !== wanted) {
      blame(shard, `${checkpoints.length} checkpoints, the training has ${wanted}`);
      continue;
    }
    const segment = drawnSegmentOf(state, round, { trainer: author, shard }, checkpoints.length);
    if (segment === null) continue;
    try {
      const before = segment === 0 ? null : await openState(relays, state, round, base, shard, segment, blob, signal);
      drawn.set(shard, { segment, before });
    } catch (error) {
      if (isOwnTrouble(error)) throw error;
      if (isUnproven(error, nowSec - round.revealList!.createdAt)) throw error;
      blame(shard, `the state before segment ${segment}: ${(error as Error).message}`);
    }
  }
  return { drawn, findings };
}

/** The state before a segment of a listed update, as committed. @throws RangeError where it is another one */
export async function openState(
  relays: Relays,
  state: JobState,
  round: RoundState,
  base: ParamSet,
  shard: number,
  segment: number,
  blob: SealedUpdate['state'],
  signal?: AbortSignal,
): Promise<TrainState | Uncoded> {
  if (blob === null) throw new RangeError('it is not in the reveal');
  const { model, hyper, spot, codec } = state.job!.content;
  const { author, content } = round.listedReveals.get(shard)!;
  const { checkpoints, residual } = content;
  const isEncoding = codec.name !== 'f32' && segment === checkpoints.length;
  const before = residual?.before ?? null;
  const shapes = isEncoding ? uncodedShapes(parameterShapes(model), before !== null) : stateShapes(model, hyper);
  const label = stateLabel(state.jobId, round.round, shard, author);
  const bytes = await fetchCanonical(relays, { ...blob, label }, shapes, signal);
  const tensors = blob.coding === undefined ? decodeParams(bytes, shapes) : decodeDifference(base, bytes, shapes);
  const opened = isEncoding ? uncodedOf(tensors) : { step: segment * spot!.everySteps, tensors };
  checkHash('trained' in opened ? paramsHash(opened.trained) : stateHash(opened), checkpoints[segment - 1]!);
  if ('trained' in opened && opened.residual !== null) checkHash(paramsHash(opened.residual), before!);
  return opened;
}

function checkHash(got: Sha256, committed: Sha256): void {
  if (got !== committed)
    throw new RangeError(`it hashes to ${got.slice(0, 16)}, committed was ${committed.slice(0, 16)}`);
}

/**
 * Repeats what was drawn, and all of what looks like a replay.
 *
 * @param onForged  told the ends of a training that was repeated as a whole and ends elsewhere
 * @returns by shard, what its row of the scores says; empty when this is not the engine that the job names
 */
export async function repeatDrawn(
  engine: Engine,
  round: RoundState,
  drawn: OpenedStates['drawn'],
  suspects: ReadonlySet<number>,
  trainingOf: (trainer: Pubkey, shard: number) => Promise<AgreedTraining>,
  signal?: AbortSignal,
  onForged: (reveal: EventOf<'reveal'>, ends: readonly Sha256[]) => Promise<void> = async () => undefined,
): Promise<ReadonlyMap<number, NonNullable<ScoreRow['spot']>>> {
  const found = new Map<number, NonNullable<ScoreRow['spot']>>();
  for (const [shard, reveal] of round.listedReveals) {
    const { author, content } = reveal;
    const due = drawn.get(shard);
    if (due === undefined && !suspects.has(shard)) continue;
    const training = await trainingOf(author, shard);
    if (training.terms.spot?.engine !== engine.id) return new Map();
    const different = suspects.has(shard) ? await repeatAll(engine, training, content, signal) : null;
    if (different !== null) await onForged(reveal, different.ends);
    const isEncoding = due?.before != null && 'trained' in due.before;
    const segment = due?.segment ?? content.checkpoints.length - (training.terms.codec.name === 'f32' ? 0 : 1);
    const isRepeated = suspects.has(shard) && !isEncoding;
    const hash = isRepeated
      ? committedEnd(content, segment)!
      : await repeatSegment(engine, training, segment, due!.before, signal);
    found.set(shard, different === null ? { segment, hash } : { segment: different.segment, hash: different.hash });
  }
  return found;
}
