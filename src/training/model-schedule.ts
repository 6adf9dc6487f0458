import type { HyperParameters } from '../learning/types.js';

/** Rows per forward pass of evaluate and predict: fixed, so that equal requests take equal passes. */
export const EVALUATION_ROWS = 256;

/** Steps of a request: whole passes with a smaller last batch each, or exactly `localSteps`. */
export function stepCount(hyper: HyperParameters, rows: number): number {
  return hyper.localSteps ?? (hyper.epochs ?? 0) * Math.ceil(rows / hyper.batch);
}
