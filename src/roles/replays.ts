import type { Sha256 } from '../hash.js';
import { decodeUpdate } from '../learning/codec/codec.js';
import { cosine, difference } from '../learning/params.js';
import type { ParamSet } from '../learning/types.js';
import type { JobState, RoundState } from '../market/state.js';
import type { JobFiles } from './customer-env.js';
import { openedFile } from './measure.js';

/**
 * A replayed update beats every statistic of its effect. Two changes of a model that point the same way to one part in a thousand are
 * suspicious, never a reason to reject: small full-batch problems give such pairs honestly, so the whole training is repeated.
 */
const NEARLY_EQUAL = 0.999;

export interface ReplayEnv {
  /** Where opened updates are kept. */
  readonly files: JobFiles;
  /** A model that a round started from; undefined: not at hand. */
  model(hash: Sha256): Promise<ParamSet | undefined>;
}

/**
 * Shards whose update's change of the model is nearly one that was accepted in an earlier round for the same key or shard. What is
 * no longer in the home is not compared.
 */
export async function likelyReplays(
  env: ReplayEnv,
  state: JobState,
  round: RoundState,
  base: ParamSet,
  updates: ReadonlyMap<number, ParamSet>,
): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  const { codec } = state.job!.content;
  for (const earlier of state.rounds) {
    if (earlier.round >= round.round || earlier.close === null) continue;
    const theirBase = await env.model(earlier.open.content.base.sha256);
    if (theirBase === undefined) continue;
    for (const entry of earlier.close.content.accepted) {
      const suspects = round.assigned.filter(
        ({ trainer, shard }) => updates.has(shard) && (trainer === entry.trainer || shard === entry.shard),
      );
      const reveal = earlier.listedReveals.get(entry.shard);
      const bytes = reveal && suspects.length > 0 ? await env.files.read(openedFile(reveal)) : undefined;
      if (bytes === undefined) continue;
      const theirs = difference(decodeUpdate(codec, theirBase, bytes), theirBase);
      for (const { shard } of suspects)
        if (cosine(difference(updates.get(shard)!, base), theirs) > NEARLY_EQUAL) found.add(shard);
    }
  }
  return found;
}
