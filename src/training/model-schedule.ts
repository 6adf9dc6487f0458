import { modelCost } from '../learning/model-cost.js';
import type { ModelSpec } from '../learning/types.js';

const MOST_ROWS = 256;
/** Numbers that a pass may keep on its way: 64 MiB. */
const PASS_NUMBERS = 2 ** 24;

/** Rows per forward pass of evaluate and predict: follows from the model, so that equal requests take equal passes. */
export function evaluationRows(spec: ModelSpec): number {
  if (spec.model === 'logreg' || spec.model === 'mlp') return MOST_ROWS;
  return Math.max(1, Math.min(MOST_ROWS, Math.floor(PASS_NUMBERS / modelCost(spec).activations)));
}
