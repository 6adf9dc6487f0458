import { NmktError } from '../errors.js';
import { sha256Hex, type Bytes, type Sha256 } from '../hash.js';
import { parameterShapes } from '../learning/params.js';
import { decodeParams, encodeParams } from '../learning/safetensors.js';
import type { ParamSet } from '../learning/types.js';
import type { JobState, RoundState } from '../market/state.js';
import type { RoundGrant } from '../protocol/grant.js';
import { fetchBase } from './base-model.js';
import type { TrainerEnv } from './trainer.js';

/** The model that a trainer starts a round from: kept for the next one, whose own may come as a difference to it, and for what this trainer shows of its work. */

const BASE_FILE = 'base.safetensors';

export async function openBase(
  env: Pick<TrainerEnv, 'relays' | 'chunks' | 'signal' | 'files'>,
  state: JobState,
  { round, open }: RoundState,
  grant: RoundGrant,
): Promise<ParamSet> {
  const { rounds, spot } = state.job!.content;
  const known = (hash: Sha256) => keptBase(env, state, hash);
  const { relays, chunks, signal } = env;
  const kept = await known(open.content.base.sha256);
  if (kept !== undefined) return kept;
  const keyOf = (index: number) => keyIn(grant, index);
  const base = await fetchBase({ relays, chunks, signal, keyOf, known }, state, round);
  if (round + 1 < rounds || spot !== null) await env.files.write(BASE_FILE, encodeParams(base));
  return base;
}

/** The model that the last round started from; undefined where the home has another one, or none. */
export async function keptBase(
  { files }: Pick<TrainerEnv, 'files'>,
  { job }: JobState,
  hash: Sha256,
): Promise<ParamSet | undefined> {
  const file = await files.read(BASE_FILE);
  const isThat = file !== undefined && sha256Hex(file) === hash;
  return isThat ? decodeParams(file, parameterShapes(job!.content.model)) : undefined;
}

/** @throws NmktError `wrong-key` */
function keyIn({ round, key, before = [] }: RoundGrant, index: number): Bytes {
  const found = index === round ? key : before[round - 1 - index];
  if (found !== undefined) return found;
  throw new NmktError('wrong-key', `the model of round ${round + 1} is a difference to one that cannot be opened`, {
    expected: `the keys of the ${round - index} rounds before it`,
    got: `${before.length}`,
    remedy: 'ask the customer for a grant with all of them',
  });
}
