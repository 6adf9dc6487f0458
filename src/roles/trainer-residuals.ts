import type { Sha256 } from '../hash.js';
import { encodeUpdate, keepsResidual } from '../learning/codec/codec.js';
import { uncodedOf, uncodedShapes, uncodedTensors, type Uncoded } from '../learning/codec/uncoded.js';
import { parameterShapes, paramsHash } from '../learning/params.js';
import type { ParamSet } from '../learning/types.js';
import { residualBefore } from '../market/residuals.js';
import type { JobState, RoundState } from '../market/state.js';
import type { JobTerms } from '../protocol/job.js';
import type { TrainerEnv } from './trainer.js';
import { decodeTensorsFile, encodeStateFile, type Work } from './trainer-files.js';

/** The last segment of a round's work: the trained model becomes an update, and what its codec leaves out waits for the next round. */

/** What an update of this round leaves for the next one, whether it will be accepted or not. */
const residualFile = (round: RoundState, shard: number) => `residual-${round.open.id}-${shard}.safetensors`;
/** Trained model and residual before it: shown when the encoding itself is drawn. */
const uncodedFile = (round: RoundState, shard: number) => `uncoded-${round.open.id}-${shard}.safetensors`;

type Keeper = Pick<TrainerEnv, 'files' | 'progress' | 'signer'>;

/**
 * Encodes, and makes durable what a reveal or a later round needs of it.
 *
 * @param checkpoints  hashes of the states between the segments of the training
 */
export async function encodeWork(
  env: Keeper,
  state: JobState,
  round: RoundState,
  shard: number,
  of: { readonly base: ParamSet; readonly trained: ParamSet; readonly seed: Uint8Array },
  checkpoints: readonly Sha256[],
): Promise<Work> {
  const { codec, spot } = state.job!.content;
  const kept = keepsResidual(codec) ? await loadResidual(env, state, round, shard) : null;
  const { bytes, residual } = encodeUpdate(codec, of.base, of.trained, kept, of.seed);
  if (residual !== null) await env.files.write(residualFile(round, shard), encodeStateFile({ tensors: residual }));
  const isOwnSegment = spot !== null && codec.name !== 'f32';
  if (isOwnSegment) {
    const tensors = uncodedTensors({ trained: of.trained, residual: kept });
    await env.files.write(uncodedFile(round, shard), encodeStateFile({ tensors }));
  }
  return {
    bytes,
    checkpoints: isOwnSegment ? [...checkpoints, paramsHash(of.trained)] : checkpoints,
    residual:
      residual === null ? undefined : { before: kept === null ? null : paramsHash(kept), after: paramsHash(residual) },
  };
}

/** What the last accepted update of this key and shard left; null: nothing, or this home has lost it and starts again at zero. */
async function loadResidual(env: Keeper, state: JobState, round: RoundState, shard: number): Promise<ParamSet | null> {
  const trainer = env.signer.pubkey;
  const hash = residualBefore(round.residuals, { trainer, shard });
  if (hash === null) return null;
  const last = state.rounds.findLast(
    (earlier) => earlier.round < round.round && earlier.listedReveals.get(shard)?.content.residual?.after === hash,
  );
  const file = last && (await env.files.read(residualFile(last, shard)));
  const residual = file && decodeTensorsFile(file, parameterShapes(state.job!.content.model));
  if (residual !== undefined && paramsHash(residual) === hash) return residual;
  env.progress.warn(
    `round ${round.round + 1}: what the last update left out is no longer in the home: this one starts again at zero`,
  );
  return null;
}

/** What the encoding of this round's update started from; undefined when the home has lost it. */
export async function findUncoded(
  { files }: Pick<TrainerEnv, 'files'>,
  round: RoundState,
  shard: number,
  { model }: JobTerms,
  hasResidual: boolean,
): Promise<Uncoded | undefined> {
  const file = await files.read(uncodedFile(round, shard));
  const tensors = file && decodeTensorsFile(file, uncodedShapes(parameterShapes(model), hasResidual));
  return tensors && uncodedOf(tensors);
}
