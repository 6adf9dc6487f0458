import type { ParamSet } from '../types.js';
import { inOrder, type Update } from './update.js';
import { middleOf, rounded } from './vectors.js';

/**
 * One number from the sorted values of each coordinate.
 *
 * @param middle  takes n sorted values, one per update
 */
export function byCoordinate(updates: readonly Update[], middle: (sorted: Float64Array) => number): ParamSet {
  const ordered = inOrder(updates);
  const values = new Float64Array(ordered.length);
  return rounded(ordered[0]!.params, (t, length) => {
    const out = new Float64Array(length);
    for (let i = 0; i < length; i++) {
      for (let u = 0; u < values.length; u++) values[u] = ordered[u]!.params[t]!.data[i]!;
      out[i] = middle(values.sort());
    }
    return out;
  });
}

/**
 * Coordinate-wise median (Yin et al. 2018, Def. 1, arXiv:1803.01498); every update counts once, whatever its shard's size. Of an
 * even number the mean of the two in the middle. Each value lies within those of the honest as long as they are more than half.
 */
export function coordinateMedian(updates: readonly Update[]): ParamSet {
  return byCoordinate(updates, middleOf);
}
