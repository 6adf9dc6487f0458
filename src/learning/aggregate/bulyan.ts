import type { ParamSet } from '../types.js';
import { byScore } from './krum.js';
import { byCoordinate } from './median.js';
import { inOrder, type Update } from './update.js';
import { middleOf, squaredDistances } from './vectors.js';

/**
 * Bulyan (El Mhamdi et al. 2018, Alg. 2, arXiv:1802.07927): n - 2 f updates chosen by Krum one after the other, then per coordinate the mean
 * of the n - 4 f values nearest to the median. Proven for n >= 4 f + 3. Costs n^2 / 2 distances and a sort per coordinate.
 */
export function bulyan(updates: readonly Update[], f: number): ParamSet {
  const ordered = inOrder(updates);
  const n = ordered.length;
  const distances = squaredDistances(ordered);
  const chosen: number[] = [];
  let left = ordered.map((_, i) => i);
  while (chosen.length < Math.max(1, n - 2 * f)) {
    const [best] = byScore(distances, n, left, f);
    chosen.push(best!);
    left = left.filter((i) => i !== best);
  }
  const count = Math.max(1, chosen.length - 2 * f);
  return byCoordinate(
    chosen.map((i) => ordered[i]!),
    (sorted) => meanAroundMedian(sorted, count),
  );
}

/** Of the `count` sorted values nearest to the median: they stand together, and of two equally far the lower one counts. */
function meanAroundMedian(sorted: Float64Array, count: number): number {
  const median = middleOf(sorted);
  let from = 0;
  let to = sorted.length;
  while (to - from > count) {
    if (median - sorted[from]! > sorted[to - 1]! - median) from++;
    else to--;
  }
  let sum = 0;
  for (let i = from; i < to; i++) sum += sorted[i]!;
  return sum / count;
}
