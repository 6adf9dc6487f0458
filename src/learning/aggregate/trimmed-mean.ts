import type { ParamSet } from '../types.js';
import { byCoordinate } from './median.js';
import type { Update } from './update.js';

/**
 * Coordinate-wise trimmed mean (Yin et al. 2018, Def. 2, arXiv:1803.01498): without the f smallest and the f largest values of each
 * coordinate; what is left counts equally. Each value lies within those of the honest when at most f updates are not.
 *
 * @param f  n > 2 f
 */
export function trimmedMean(updates: readonly Update[], f: number): ParamSet {
  return byCoordinate(updates, (sorted) => {
    let sum = 0;
    for (let i = f; i < sorted.length - f; i++) sum += sorted[i]!;
    return sum / (sorted.length - 2 * f);
  });
}
