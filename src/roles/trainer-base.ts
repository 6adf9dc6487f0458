import { NmktError } from '../errors.js';
import { sha256Hex, type Bytes, type Sha256 } from '../hash.js';
import { parameterShapes } from '../learning/params.js';
import { decodeParams, encodeParams } from '../learning/safetensors.js';
import type { ParamSet } from '../learning/types.js';
import type { JobState, RoundState } from '../market/state.js';
import type { RoundGrant } from '../protocol/grant.js';
import { fetchBase } from './base-model.js';
import type { TrainerEnv } from './trainer.js';

/** The model that a trainer starts a round from: kept for the next one, whose own may come as a difference to it. */

const BASE_FILE = 'base.safetensors';

export async function openBase(
  env: TrainerEnv,
  state: JobState,
  { round, open }: RoundState,
  grant: RoundGrant,
): Promise<ParamSet> {
  const shapes = parameterShapes(state.job!.content.model);
  const known = async (hash: Sha256): Promise<ParamSet | undefined> => {
    const file = await env.files.read(BASE_FILE);
    return file !== undefined && sha256Hex(file) === hash ? decodeParams(file, shapes) : undefined;
  };
  const { relays, chunks, signal } = env;
  const kept = await known(open.content.base.sha256);
  if (kept !== undefined) return kept;
  const keyOf = (index: number) => keyIn(grant, index);
  const base = await fetchBase({ relays, chunks, signal, keyOf, known }, state, round);
  if (round + 1 < state.job!.content.rounds) await env.files.write(BASE_FILE, encodeParams(base));
  return base;
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
