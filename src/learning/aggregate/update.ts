import { checkShapes } from '../safetensors.js';
import type { ParamSet } from '../types.js';

/** An accepted update: the model that a trainer sent back, decoded. */
export interface Update {
  readonly shard: number;
  /** Public key, hex. */
  readonly trainer: string;
  /** Size of the assigned shard, an integer > 0. */
  readonly examples: number;
  readonly params: ParamSet;
}

function byShardAndTrainer(a: Update, b: Update): number {
  return a.shard - b.shard || (a.trainer < b.trainer ? -1 : a.trainer > b.trainer ? 1 : 0);
}

/**
 * In the order that every rule works in, whatever order they arrived in.
 *
 * @param updates  n >= 1, same tensor names and shapes, each (shard, trainer) once
 * @throws NmktError `shape-mismatch` naming the first tensor that differs; RangeError (a bug of the caller) when the order
 *         would not be total or a weight is no positive integer
 */
export function inOrder(updates: readonly Update[]): readonly Update[] {
  const ordered = [...updates].sort(byShardAndTrainer);
  if (ordered.length === 0) throw new RangeError('there is at least one update');
  ordered.forEach((update, i) => {
    if (!Number.isSafeInteger(update.examples) || update.examples < 1)
      throw new RangeError(`examples is an integer > 0, got ${update.examples}`);
    if (i > 0 && byShardAndTrainer(ordered[i - 1]!, update) === 0)
      throw new RangeError(`two updates for shard ${update.shard} from ${update.trainer}`);
    checkShapes(update.params, ordered[0]!.params);
  });
  return ordered;
}
