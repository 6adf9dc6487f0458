import { fromHex, type Sha256 } from '../hash.js';
import { initialParams, paramsHash } from '../learning/params.js';
import { encodeParams } from '../learning/safetensors.js';
import { initialisationSeed } from '../learning/seeds.js';
import type { ParamSet } from '../learning/types.js';
import type { JobState } from '../market/state.js';
import { NmktError } from '../errors.js';
import type { CustomerEnv } from './customer-env.js';
import { aggregate, modelOf, openSealedUpdate, openUpdates } from './measure.js';
import { baseLabel, blobSecrets, fetchParams } from './round-blobs.js';

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

/** @throws NmktError `hash-mismatch` when what is left does not give that model */
export async function loadModel(env: CustomerEnv, state: JobState, hash: Sha256): Promise<ParamSet> {
  const spec = state.job!.content.model;
  const kept = await env.files.read(fileOf(hash));
  if (kept !== undefined) {
    const params = modelOf(kept, spec);
    if (paramsHash(params) === hash) return params;
  }
  const opened = state.rounds.find((round) => round.open.content.base.sha256 === hash);
  const params =
    opened === undefined ? await aggregateAgain(env, state, hash) : await fetchBase(env, state, opened.round);
  if (paramsHash(params) !== hash)
    throw new NmktError('hash-mismatch', 'the global model cannot be rebuilt', {
      expected: `sha256 ${hash}`,
      got: paramsHash(params),
      remedy: 'run with the home that led the job so far',
    });
  return params;
}

async function fetchBase(env: CustomerEnv, state: JobState, index: number): Promise<ParamSet> {
  const { base, inline } = state.rounds[index]!.open.content;
  const { key } = blobSecrets(fromHex(env.secrets.blobs), 'base', index);
  return fetchParams(
    env.relays,
    { pointer: base, inline, key, label: baseLabel(state.jobId, index) },
    state.job!.content.model,
    env.signal,
  );
}

async function aggregateAgain(env: CustomerEnv, state: JobState, hash: Sha256): Promise<ParamSet> {
  const round = state.rounds.find((candidate) => candidate.close?.content.aggregate === hash);
  if (round === undefined) return initialModel(env, state);
  const { params } = await openUpdates(
    env.relays,
    (reveal) => openSealedUpdate(env.signer, reveal),
    state.job!,
    round,
    env.clock.nowSec(),
    env.signal,
    env.files,
  );
  const { shards } = env.data.train.manifest;
  return aggregate(round.close!.content.accepted, params, (shard) => shards[shard]!.examples).params;
}
