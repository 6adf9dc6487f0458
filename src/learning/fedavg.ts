import { checkShapes } from './safetensors.js';
import type { ParamSet, Tensor } from './types.js';

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

/** @throws RangeError (a bug of the caller) when the order would not be total or a weight is no positive integer */
function checkWeights(ordered: readonly Update[]): void {
  if (ordered.length === 0) throw new RangeError('fedAvg takes at least one update');
  ordered.forEach((update, i) => {
    if (!Number.isSafeInteger(update.examples) || update.examples < 1)
      throw new RangeError(`examples is an integer > 0, got ${update.examples}`);
    if (i > 0 && byShardAndTrainer(ordered[i - 1]!, update) === 0)
      throw new RangeError(`two updates for shard ${update.shard} from ${update.trainer}`);
  });
}

function weightedMean(ordered: readonly Update[], t: number, total: number): Tensor {
  const { name, shape, data } = ordered[0]!.params[t]!;
  const sums = new Float64Array(data.length);
  for (const { examples, params } of ordered) {
    const values = params[t]!.data;
    for (let i = 0; i < sums.length; i++) sums[i]! += examples * values[i]!;
  }
  const mean = new Float32Array(data.length);
  for (let i = 0; i < mean.length; i++) mean[i] = Math.fround(sums[i]! / total);
  return { name, shape, data: mean };
}

/**
 * FedAvg: mean of updates weighted by example count (McMahan et al. 2017, Alg. 1, arXiv:1602.05629).
 *
 * @param updates  n >= 1, same tensor names and shapes, each (shard, trainer) once
 * @returns        float32; accumulated in float64 in (shard, trainer) order with integer weights, one division, one
 *                 rounding, so any arrival order gives equal bytes
 * @throws         NmktError `shape-mismatch` naming the first tensor that differs
 */
export function fedAvg(updates: readonly Update[]): ParamSet {
  const ordered = [...updates].sort(byShardAndTrainer);
  checkWeights(ordered);
  const first = ordered[0]!.params;
  for (const { params } of ordered) checkShapes(params, first);
  const total = ordered.reduce((sum, { examples }) => sum + examples, 0);
  return first.map((_, t) => weightedMean(ordered, t, total));
}
