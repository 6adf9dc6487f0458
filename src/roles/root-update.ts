import { isNmktError } from '../errors.js';
import { fromHex, type Bytes } from '../hash.js';
import { paramsHash } from '../learning/params.js';
import { encodeParams } from '../learning/safetensors.js';
import { rootSeed } from '../learning/seeds.js';
import type { Examples, ParamSet } from '../learning/types.js';
import type { JobState, RoundState } from '../market/state.js';
import type { JobTerms } from '../protocol/job.js';
import type { Pointer } from '../protocol/pointer.js';
import type { Engine } from '../ports.js';
import type { CustomerEnv } from './customer-env.js';
import { modelOf } from './measure.js';
import { rulesOf } from './next-model.js';
import { blobSecrets, chunkExpiry, fetchParams, publishParams, rootLabel } from './round-blobs.js';

/** The customer's own update of a round, by which FLTrust weighs those of the trainers: the job's training on evaluation set A. */

export interface RootTraining {
  readonly terms: Pick<JobTerms, 'model' | 'hyper'>;
  readonly base: ParamSet;
  /** Set A. */
  readonly examples: Examples;
  /** The job's, 32 bytes. */
  readonly seed: Bytes;
  readonly round: number;
}

/**
 * Equal requests give equal bytes where the engine repeats and `isExact`.
 *
 * @returns  the base where the training runs away: no update points its way then, and the round changes nothing
 */
export async function trainRoot(
  engine: Pick<Engine, 'train'>,
  { terms, base, examples, seed, round }: RootTraining,
  signal?: AbortSignal,
): Promise<{ readonly params: ParamSet; readonly isExact: boolean }> {
  const { model, hyper } = terms;
  const request = { model, hyper, weights: base, examples, seed: rootSeed(seed, round) };
  try {
    const { weights, inexact } = await engine.train(request, undefined, signal);
    return { params: weights, isExact: inexact === undefined };
  } catch (error) {
    if (isNmktError(error, 'diverged')) return { params: base, isExact: true };
    throw error;
  }
}

const rootFile = (round: number) => `root-${round}.safetensors`;

/** Null for all other rules. Kept before it is published: on an engine that does not repeat, a second run would make another. */
export async function makeRoot(
  env: CustomerEnv,
  state: JobState,
  { round }: RoundState,
  base: ParamSet,
): Promise<ParamSet | null> {
  if (rulesOf(state).rule.name !== 'fltrust') return null;
  const terms = state.job!.content;
  const kept = await env.files.read(rootFile(round));
  if (kept !== undefined) return modelOf(kept, terms.model);
  const examples = await env.data.evaluationA();
  const training = { terms, base, examples, seed: fromHex(env.secrets.seed), round };
  const { params } = await trainRoot(await env.engine(), training, env.signal);
  if (params === base)
    env.progress.warn(`round ${round + 1}: the root training on set A runs away, so no update counts; learn slower`);
  await env.files.write(rootFile(round), encodeParams(params));
  return params;
}

/** Under a key of its own: it tells about set A, which no trainer may see. */
export async function publishRoot(
  env: CustomerEnv,
  state: JobState,
  { round }: RoundState,
  root: ParamSet,
): Promise<Pointer> {
  const job = state.job!;
  const { pointer } = await publishParams(
    env.relays,
    root,
    {
      secret: fromHex(env.secrets.blobs),
      purpose: 'root',
      index: round,
      label: rootLabel(job.id, round),
      dateSec: job.createdAt,
      expirationSec: chunkExpiry(job.content.deadline),
      inline: 'never',
    },
    env.signal,
  );
  return pointer;
}

/** Of a closed round: kept in the home, else fetched; null where its close names none. */
export async function rootOf(
  env: CustomerEnv,
  state: JobState,
  { round, close }: RoundState,
): Promise<ParamSet | null> {
  const pointer = close?.content.root;
  if (pointer === undefined) return null;
  const spec = state.job!.content.model;
  const kept = await env.files.read(rootFile(round));
  const params = kept === undefined ? undefined : modelOf(kept, spec);
  if (params !== undefined && paramsHash(params) === pointer.sha256) return params;
  const { key } = blobSecrets(fromHex(env.secrets.blobs), 'root', round);
  return fetchParams(env.relays, { pointer, key, label: rootLabel(state.jobId, round) }, spec, env.signal);
}
