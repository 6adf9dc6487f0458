import { z } from 'zod';
import { join } from 'node:path';
import type { Disk } from '../disk/disk.js';
import { makeFolder, readIfThere, replaceFile } from '../disk/durable.js';
import { sha256Hex } from '../hash.js';
import { decodeParams, encodeParams } from '../learning/safetensors.js';
import { stateShapes } from '../learning/train-state.js';
import type { HyperParameters, ModelSpec, TrainState } from '../learning/types.js';

/**
 * A training that was stopped, in two files: the state, named after its step, and checkpoint.json, which names it with its hash. The state is
 * there before its name, so a crash at any moment leaves the last whole checkpoint.
 */
export interface Checkpoint {
  readonly state: TrainState;
  /** Hash of everything the training follows from. */
  readonly request: string;
  readonly engine: string;
  /** Of training so far, over all runs. */
  readonly wallMs: number;
}

const INDEX = 'checkpoint.json';
const MODE = 0o666;
const index = z.object({
  version: z.literal(1),
  request: z.string(),
  engine: z.string(),
  step: z.int().min(1),
  sha256: z.string(),
  wallMs: z.number().min(0),
});
type Index = z.output<typeof index>;

const stateName = (step: number): string => `checkpoint-${step}.safetensors`;

export async function writeCheckpoint(disk: Disk, dir: string, checkpoint: Checkpoint): Promise<void> {
  const { state, ...about } = checkpoint;
  const before = await readIndex(disk, dir);
  const bytes = encodeParams(state.tensors);
  const next: Index = { version: 1, ...about, step: state.step, sha256: sha256Hex(bytes) };
  await replaceFile(disk, join(dir, stateName(state.step)), bytes, MODE);
  await replaceFile(disk, join(dir, INDEX), `${JSON.stringify(next)}\n`, MODE);
  if (before !== undefined && before.step !== state.step) await removeState(disk, dir, before.step);
}

/**
 * The checkpoint in a folder, if it is one of this training.
 *
 * @returns undefined where there is none, or one of another training, or a file that is not as it was written
 */
export async function readCheckpoint(
  disk: Disk,
  dir: string,
  request: string,
  training: { readonly model: ModelSpec; readonly hyper: HyperParameters },
): Promise<Checkpoint | undefined> {
  const found = await readIndex(disk, dir);
  if (found?.request !== request) return undefined;
  const bytes = await readIfThere(disk, join(dir, stateName(found.step)));
  if (bytes === undefined || sha256Hex(bytes) !== found.sha256) return undefined;
  const tensors = decodeParams(new Uint8Array(bytes), stateShapes(training.model, training.hyper));
  const { engine, wallMs, step } = found;
  return { state: { step, tensors }, request, engine, wallMs };
}

/** After the model is there. */
export async function removeCheckpoint(disk: Disk, dir: string): Promise<void> {
  const found = await readIndex(disk, dir);
  if (found === undefined) return;
  await disk.remove(join(dir, INDEX));
  await removeState(disk, dir, found.step);
}

/** Before hours of training: the folder can be written. */
export async function prepareFolder(disk: Disk, dir: string): Promise<void> {
  await makeFolder(disk, dir, 0o777);
}

async function readIndex(disk: Disk, dir: string): Promise<Index | undefined> {
  const bytes = await readIfThere(disk, join(dir, INDEX));
  try {
    return bytes === undefined ? undefined : index.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    return undefined;
  }
}

async function removeState(disk: Disk, dir: string, step: number): Promise<void> {
  await disk.remove(join(dir, stateName(step))).catch(() => undefined);
}
