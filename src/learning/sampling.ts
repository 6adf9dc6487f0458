import { exp, log } from './math.js';

/**
 * One index drawn in proportion to p^(1 / temperature) (Ackley, Hinton and Sejnowski 1985): below 1 the likely ones win more often,
 * and at 0 always the likeliest, the first of equals.
 *
 * @param probabilities  at least one above 0; they need not add up to 1
 * @param temperature    finite, >= 0
 * @param uniform        in [0, 1): equal arguments draw the same index on every machine
 */
export function sampleIndex(probabilities: ArrayLike<number>, temperature: number, uniform: number): number {
  let best = 0;
  for (let i = 1; i < probabilities.length; i++) if (probabilities[i]! > probabilities[best]!) best = i;
  if (temperature === 0) return best;
  const peak = log(probabilities[best]!);
  const weights = Float64Array.from(probabilities, (p) => (p > 0 ? exp((log(p) - peak) / temperature) : 0));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let left = uniform * total;
  let last = best;
  for (const [i, weight] of weights.entries()) {
    if (weight === 0) continue;
    last = i;
    left -= weight;
    if (left < 0) return i;
  }
  return last; // rounding left a rest
}
