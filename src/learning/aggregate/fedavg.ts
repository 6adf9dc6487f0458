import type { ParamSet, Tensor } from '../types.js';
import { inOrder, type Update } from './update.js';

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
 * @param updates  as for `inOrder`
 * @returns        float32; accumulated in float64 in (shard, trainer) order with integer weights, one division, one
 *                 rounding, so any arrival order gives equal bytes
 */
export function fedAvg(updates: readonly Update[]): ParamSet {
  const ordered = inOrder(updates);
  const total = ordered.reduce((sum, { examples }) => sum + examples, 0);
  return ordered[0]!.params.map((_, t) => weightedMean(ordered, t, total));
}
