import type { ParamSet } from '../types.js';
import type { Update } from './update.js';

/** Updates as vectors: all tensors one behind the other. Sums in float64, in order of tensors and elements. */

/** One value per parameter, each rounded once to float32. @param values  of tensor t, in float64 */
export function rounded(like: ParamSet, values: (t: number, length: number) => Float64Array): ParamSet {
  return like.map(({ name, shape, data }, t) => ({
    name,
    shape,
    data: Float32Array.from(values(t, data.length)),
  }));
}

/** Squared Euclidean distance. */
export function squaredDistance(a: ParamSet, b: ParamSet): number {
  let sum = 0;
  for (let t = 0; t < a.length; t++) {
    const [x, y] = [a[t]!.data, b[t]!.data];
    for (let i = 0; i < x.length; i++) {
      const step = x[i]! - y[i]!;
      sum += step * step;
    }
  }
  return sum;
}

/** Of all pairs, [n, n] row-major, symmetric, zero on the diagonal. */
export function squaredDistances(updates: readonly Update[]): Float64Array {
  const n = updates.length;
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++)
      out[i * n + j] = out[j * n + i] = squaredDistance(updates[i]!.params, updates[j]!.params);
  return out;
}

/** Length of each change of the base. */
export function changeNorms(base: ParamSet, updates: readonly Update[]): Float64Array {
  return Float64Array.from(updates, ({ params }) => Math.sqrt(squaredDistance(params, base)));
}

/** The middle of n >= 1 numbers, of an even count the mean of the two in the middle. */
export function medianOf(numbers: ArrayLike<number>): number {
  return middleOf(Float64Array.from(numbers).sort());
}

/** The same of numbers in order. */
export function middleOf(sorted: Float64Array): number {
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/**
 * base + sum of weight_i (x_i - base) / total.
 *
 * @param weights  one per update, >= 0
 * @param total    > 0
 */
export function weightedChange(
  base: ParamSet,
  updates: readonly Update[],
  weights: ArrayLike<number>,
  total: number,
): ParamSet {
  return rounded(base, (t, length) => {
    const from = base[t]!.data;
    const sums = new Float64Array(length);
    updates.forEach(({ params }, u) => {
      const [to, weight] = [params[t]!.data, weights[u]!];
      for (let i = 0; i < length; i++) sums[i]! += weight * (to[i]! - from[i]!);
    });
    for (let i = 0; i < length; i++) sums[i] = from[i]! + sums[i]! / total;
    return sums;
  });
}
