import { concatBytes, fromHex, hex, sha256, u32be, type Sha256 } from '../hash.js';
import { decodeParams, encodeParams, type NamedShape } from '../learning/safetensors.js';
import { stateShapes } from '../learning/train-state.js';
import type { ParamSet, TrainState } from '../learning/types.js';
import type { JobTerms } from '../protocol/job.js';
import { MAX_CHECKPOINTS, type ResidualHashes } from '../protocol/submission.js';

/** Files of a trainer's round: what it committed to, and the states between the segments of a training. */

export const TRAINING_SECRET_BYTES = 64;

/** A finished training: canonical bytes of the update, hashes of the states between its segments and of what its codec keeps. */
export interface Work {
  readonly bytes: Uint8Array;
  readonly checkpoints: readonly Sha256[];
  readonly residual?: ResidualHashes | undefined;
}

export interface CommittedWork extends Work {
  readonly salt: Uint8Array;
  readonly secret: Uint8Array;
}

const NONE = '00'.repeat(32) as Sha256;

/**
 * salt 32, content secret 32, u32 number of checkpoints, their hashes, where the codec keeps a residual its hashes before (zeros for
 * none) and after, bytes of the update.
 */
export function encodeUpdateFile(secrets: Uint8Array, { bytes, checkpoints, residual }: Work): Uint8Array {
  const hashes = [...checkpoints, ...(residual === undefined ? [] : [residual.before ?? NONE, residual.after])];
  return concatBytes(secrets, u32be(checkpoints.length), ...hashes.map((hash) => fromHex(hash)), bytes);
}

/**
 * @param hasResidual  does the codec of the job keep one?
 * @returns undefined for a file that was never written like that: its commitment can be made no more
 */
export function decodeUpdateFile(file: Uint8Array, hasResidual = false): CommittedWork | undefined {
  const first = TRAINING_SECRET_BYTES + 4;
  if (file.length < first) return undefined;
  const count = new DataView(file.buffer, file.byteOffset).getUint32(TRAINING_SECRET_BYTES);
  const end = first + 32 * (count + (hasResidual ? 2 : 0));
  if (count > MAX_CHECKPOINTS || end > file.length) return undefined;
  const hashAt = (index: number) => hex(file.slice(first + 32 * index, first + 32 * (index + 1))) as Sha256;
  const before = hashAt(count);
  return {
    salt: file.slice(0, 32),
    secret: file.slice(32, TRAINING_SECRET_BYTES),
    checkpoints: Array.from({ length: count }, (_, index) => hashAt(index)),
    ...(hasResidual && { residual: { before: before === NONE ? null : before, after: hashAt(count + 1) } }),
    bytes: file.slice(end),
  };
}

/** A file that went bad must not look like forged work: its own hash stands in front. */
export function encodeStateFile({ tensors }: Pick<TrainState, 'tensors'>): Uint8Array {
  const bytes = encodeParams(tensors);
  return concatBytes(sha256(bytes), bytes);
}

/**
 * @param step  after which the state stands
 * @returns     undefined for a file that is not as it was written
 */
export function decodeStateFile(
  file: Uint8Array,
  { model, hyper }: Pick<JobTerms, 'model' | 'hyper'>,
  step: number,
): TrainState | undefined {
  const tensors = decodeTensorsFile(file, stateShapes(model, hyper));
  return tensors && { step, tensors };
}

/** @returns undefined for a file that is not as `encodeStateFile` wrote it */
export function decodeTensorsFile(file: Uint8Array, shapes: readonly NamedShape[]): ParamSet | undefined {
  const bytes = file.slice(32);
  return hex(sha256(bytes)) === hex(file.subarray(0, 32)) ? decodeParams(bytes, shapes) : undefined;
}

/**
 * The last state of a training that nobody checks: a hash of `tag`, step and bytes, u32 step, bytes.
 *
 * @param tag  hash of what the training follows from
 */
export function encodePartFile({ step, tensors }: TrainState, tag: Uint8Array): Uint8Array {
  const rest = concatBytes(u32be(step), encodeParams(tensors));
  return concatBytes(sha256(tag, rest), rest);
}

/** @returns undefined for the file of another training, or one that is not as it was written */
export function decodePartFile(
  file: Uint8Array,
  { model, hyper }: Pick<JobTerms, 'model' | 'hyper'>,
  tag: Uint8Array,
): TrainState | undefined {
  const rest = file.slice(32);
  if (hex(sha256(tag, rest)) !== hex(file.subarray(0, 32)) || rest.length < 4) return undefined;
  const step = new DataView(rest.buffer, rest.byteOffset).getUint32(0);
  return { step, tensors: decodeParams(rest.slice(4), stateShapes(model, hyper)) };
}
