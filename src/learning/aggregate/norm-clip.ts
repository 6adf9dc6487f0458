import type { ParamSet } from '../types.js';
import { inOrder, type Update } from './update.js';
import { changeNorms, medianOf, weightedChange } from './vectors.js';

/**
 * Weighted mean of changes, those longer than the median one of the round shortened to it (Sun et al. 2019, section 4, arXiv:1911.07963, with
 * the bound taken from the round). Bounds what one update can do, not its direction.
 */
export function normClip(base: ParamSet, updates: readonly Update[]): ParamSet {
  const ordered = inOrder(updates);
  const norms = changeNorms(base, ordered);
  const bound = medianOf(norms);
  const weights = ordered.map(({ examples }, u) => examples * (norms[u]! > bound ? bound / norms[u]! : 1));
  const total = ordered.reduce((sum, { examples }) => sum + examples, 0);
  return weightedChange(base, ordered, weights, total);
}
