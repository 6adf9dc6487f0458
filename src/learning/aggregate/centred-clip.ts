import type { ParamSet } from '../types.js';
import { inOrder, type Update } from './update.js';
import { changeNorms, medianOf, weightedChange } from './vectors.js';

const STEPS = 3;

/**
 * Centred clipping (Karimireddy et al. 2021, Alg. 2, arXiv:2012.10333): v += weighted mean of (x_i - v), each shortened to a bound. Starts at
 * the base; the bound of a step is the median distance from v, so half of the updates count in full. Withstands attackers with less than
 * half of the examples.
 */
export function centredClip(base: ParamSet, updates: readonly Update[]): ParamSet {
  const ordered = inOrder(updates);
  const total = ordered.reduce((sum, { examples }) => sum + examples, 0);
  let centre = base;
  for (let step = 0; step < STEPS; step++) {
    const distances = changeNorms(centre, ordered);
    const bound = medianOf(distances);
    const weights = ordered.map(({ examples }, u) => examples * (distances[u]! > bound ? bound / distances[u]! : 1));
    centre = weightedChange(centre, ordered, weights, total);
  }
  return centre;
}
