import { fromHex, sha256Hex, type Sha256 } from '../hash.js';
import { initialParams, paramsHash } from '../learning/params.js';
import { decodeCanonical, encodeParams } from '../learning/safetensors.js';
import { initialisationSeed } from '../learning/seeds.js';
import type { ParamSet } from '../learning/types.js';
import { countedIn, outcomeOf, type JobState, type RoundState } from '../market/state.js';
import { NmktError } from '../errors.js';
import { fetchBase } from './base-model.js';
import type { CustomerEnv } from './customer-env.js';
import { modelOf, openUpdates } from './measure.js';
import { nextModel, rulesOf, type NextModel } from './next-model.js';
import { rootOf } from './root-update.js';
import { blobSecrets } from './round-blobs.js';
import { openableIn, updateKeysOf } from './sold-keys.js';

/** Global models by hash: kept in the home, else fetched from the round that opened with it, else aggregated again. */

const fileOf = (hash: Sha256) => `model-${hash}.safetensors`;

export async function keepModel(env: CustomerEnv, params: ParamSet): Promise<Sha256> {
  const hash = paramsHash(params);
  await env.files.write(fileOf(hash), encodeParams(params));
  return hash;
}

/** The model that round 0 starts from. */
export function initialModel(env: CustomerEnv, state: JobState): ParamSet {
  return initialParams(state.job!.content.model, initialisationSeed(fromHex(env.secrets.seed)));
}

/** Undefined where the home has it no more. */
export async function keptModel(env: CustomerEnv, state: JobState, hash: Sha256): Promise<ParamSet | undefined> {
  const kept = await env.files.read(fileOf(hash));
  if (kept === undefined) return undefined;
  const params = modelOf(kept, state.job!.content.model);
  return paramsHash(params) === hash ? params : undefined;
}

/** @throws NmktError `hash-mismatch` when what is left does not give that model */
export async function loadModel(env: CustomerEnv, state: JobState, hash: Sha256): Promise<ParamSet> {
  const kept = await keptModel(env, state, hash);
  if (kept !== undefined) return kept;
  const opened = state.rounds.find((round) => round.open.content.base.sha256 === hash);
  const params =
    opened === undefined ? await aggregateAgain(env, state, hash) : await fetchOwnBase(env, state, opened.round);
  if (paramsHash(params) !== hash)
    throw new NmktError('hash-mismatch', 'the global model cannot be rebuilt', {
      expected: `sha256 ${hash}`,
      got: paramsHash(params),
      remedy: 'run with the home that led the job so far',
    });
  return params;
}

function fetchOwnBase(env: CustomerEnv, state: JobState, round: number): Promise<ParamSet> {
  const { relays, signal } = env;
  const keyOf = (index: number) => blobSecrets(fromHex(env.secrets.blobs), 'base', index).key;
  return fetchBase({ relays, signal, keyOf, known: (hash) => keptModel(env, state, hash) }, state, round);
}

async function aggregateAgain(env: CustomerEnv, state: JobState, hash: Sha256): Promise<ParamSet> {
  const round = madeIn(state, (candidate) => outcomeOf(candidate)?.aggregate === hash);
  return round === undefined ? initialModel(env, state) : (await closeAgain(env, state, round)).params;
}

/** The last round that made a model, of those that are asked about. */
function madeIn({ job, rounds }: JobState, isAsked: (round: RoundState) => boolean): RoundState | undefined {
  return rounds.findLast((round) => isAsked(round) && countedIn(job!.content, round).length > 0);
}

/** What a closed round made of its base, from its updates. */
async function closeAgain(env: CustomerEnv, state: JobState, round: RoundState): Promise<NextModel> {
  const base = await loadModel(env, state, round.open.content.base.sha256);
  return makeNext(env, state, round, base, countedIn(state.job!.content, round));
}

/** The model that these updates of a round make of its base. @param counted  open here, in order */
export async function makeNext(
  env: CustomerEnv,
  state: JobState,
  round: RoundState,
  base: ParamSet,
  counted: ReturnType<typeof countedIn>,
): Promise<NextModel> {
  const job = state.job!;
  const { params } = await openUpdates(
    ...([env.relays, updateKeysOf(env, job, round), job, openableIn(env.book.state(), round), base] as const),
    ...([env.clock.nowSec(), env.signal, env.files, job.content.rail === 'key-sale'] as const),
  );
  const { shards } = env.data.train.manifest;
  const from = { base, outerState: await outerBefore(env, state, round), root: await rootOf(env, state, round) };
  return nextModel(rulesOf(state), from, counted, params, (shard) => shards[shard]!.examples);
}

const outerFile = (hash: Sha256) => `outer-${hash}.safetensors`;

export async function keepOuterState(env: CustomerEnv, { outerState, outerHash }: NextModel): Promise<void> {
  if (outerState !== null && outerHash !== undefined)
    await env.files.write(outerFile(outerHash), encodeParams(outerState));
}

/**
 * What the outer step of this round starts from: kept in the home, else worked out again from the rounds before. Null: nothing.
 *
 * @throws NmktError `hash-mismatch` when what is left does not give that state
 */
export async function outerBefore(env: CustomerEnv, state: JobState, { round }: RoundState): Promise<ParamSet | null> {
  const last = madeIn(state, (earlier) => earlier.round < round);
  const hash = last === undefined ? undefined : outcomeOf(last)?.outerState;
  if (last === undefined || hash === undefined) return null;
  const kept = await env.files.read(outerFile(hash));
  if (kept !== undefined && sha256Hex(kept) === hash)
    return decodeCanonical(kept, { maxBytes: kept.length }) as ParamSet;
  const again = await closeAgain(env, state, last);
  if (again.outerHash === hash) return again.outerState;
  throw new NmktError('hash-mismatch', 'the state of the outer optimizer cannot be rebuilt', {
    expected: `sha256 ${hash}`,
    got: again.outerHash ?? 'none',
    remedy: 'run with the home that led the job so far',
  });
}
