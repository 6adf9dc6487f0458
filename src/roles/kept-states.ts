import { fromHex, sha256, type Sha256 } from '../hash.js';
import { stateHash, stepCount } from '../learning/train-state.js';
import type { EngineId, TrainState } from '../learning/types.js';
import type { RoundState } from '../market/state.js';
import type { JobTerms } from '../protocol/job.js';
import type { TrainerEnv } from './trainer.js';
import { decodePartFile, decodeStateFile, encodePartFile, encodeStateFile } from './trainer-files.js';

/** States of one training on disk: those that an interrupted run left, and the keeping of the next ones. */
export interface KeptStates {
  /** Between two that are handed to `take`. */
  readonly everySteps: number;
  /** Where an interrupted training goes on, to the same bytes. */
  readonly last: TrainState | undefined;
  /** Hashes to commit to; none where nobody will ask. */
  readonly checkpoints: readonly Sha256[];
  take(state: TrainState): void;
  /** All that were taken are on disk. */
  written(): Promise<void>;
}

type Keeper = Pick<TrainerEnv, 'files' | 'clock'>;

/** A state between two segments, by its number from 1: the draw may ask for any. */
const stateFile = (round: RoundState, shard: number, segment: number) =>
  `state-${round.open.id}-${shard}-${segment}.safetensors`;
/** Where nobody asks, the last state of the last training is enough. */
const PART_FILE = 'training.bin';
/** Parts of a training that nobody checks, and how old the file may get before it is written anew. */
const [PARTS, PART_MS] = [20, 10_000];

export async function findState(
  { files }: Pick<TrainerEnv, 'files'>,
  round: RoundState,
  shard: number,
  terms: JobTerms,
  segment: number,
): Promise<TrainState | undefined> {
  const file = await files.read(stateFile(round, shard, segment));
  return file === undefined ? undefined : decodeStateFile(file, terms, segment * terms.spot!.everySteps);
}

/** @param training  rows of the shard, and what the bytes depend on besides the round: seed and engine */
export async function keptStates(
  env: Keeper,
  round: RoundState,
  shard: number,
  terms: JobTerms,
  training: { readonly rows: number; readonly seed: Uint8Array; readonly engine: EngineId },
): Promise<KeptStates> {
  return terms.spot === null ? lastState(env, round, terms, training) : everyState(env, round, shard, terms);
}

async function everyState(env: Keeper, round: RoundState, shard: number, terms: JobTerms): Promise<KeptStates> {
  const checkpoints: Sha256[] = [];
  const { write, written } = inOrder(env);
  let last: TrainState | undefined;
  for (;;) {
    const next = await findState(env, round, shard, terms, checkpoints.length + 1);
    if (next === undefined) break;
    checkpoints.push(stateHash(next));
    last = next;
  }
  const take = (state: TrainState): void => {
    const segment = checkpoints.push(stateHash(state));
    write(stateFile(round, shard, segment), encodeStateFile(state));
  };
  return { everySteps: terms.spot!.everySteps, last, checkpoints, take, written };
}

async function lastState(
  env: Keeper,
  round: RoundState,
  terms: JobTerms,
  { rows, seed, engine }: Parameters<typeof keptStates>[4],
): Promise<KeptStates> {
  const tag = sha256(fromHex(round.open.id), seed, engine);
  const { write, written } = inOrder(env);
  const file = await env.files.read(PART_FILE);
  const last = file === undefined ? undefined : decodePartFile(file, terms, tag);
  let keptMs = env.clock.nowMs();
  const take = (state: TrainState): void => {
    if (env.clock.nowMs() - keptMs < PART_MS) return;
    keptMs = env.clock.nowMs();
    write(PART_FILE, encodePartFile(state, tag));
  };
  const everySteps = Math.ceil(stepCount(terms.hyper, rows) / PARTS);
  return { everySteps, last, checkpoints: [], take, written };
}

/** Writes one after the other; the first that fails ends it, and `written` says so. */
function inOrder({ files }: Keeper): {
  readonly write: (name: string, bytes: Uint8Array) => void;
  readonly written: () => Promise<void>;
} {
  let last: Promise<void> = Promise.resolve();
  return {
    write(name, bytes) {
      last = last.then(() => files.write(name, bytes));
      last.catch(() => undefined); // whoever awaits `written` hears it
    },
    written: () => last,
  };
}
