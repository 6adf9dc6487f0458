import type { ParamSet } from '../types.js';
import { inOrder, type Update } from './update.js';
import { squaredDistance, weightedChange } from './vectors.js';

/** So many steps, always: a bound on the error would depend on the last bit of a sum. */
const STEPS = 8;
/** Below this distance an update's pull no longer grows. */
const SMOOTHING = 1e-6;

/**
 * RFA: about the point with the least sum of distances to the updates, weighted by examples (Pillutla et al. 2019, Alg. 2, the smoothed
 * Weiszfeld algorithm, arXiv:1912.13445). Starts at the base, where a far update pulls least. Withstands attackers with less than half of all
 * examples; each step costs one distance per update.
 */
export function geometricMedian(base: ParamSet, updates: readonly Update[]): ParamSet {
  const ordered = inOrder(updates);
  let point = base;
  for (let step = 0; step < STEPS; step++) {
    const weights = Float64Array.from(
      ordered,
      ({ params, examples }) => examples / Math.max(SMOOTHING, Math.sqrt(squaredDistance(params, point))),
    );
    point = weightedChange(
      base,
      ordered,
      weights,
      weights.reduce((sum, weight) => sum + weight, 0),
    );
  }
  return point;
}
