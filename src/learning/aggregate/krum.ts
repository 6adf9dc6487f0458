import type { ParamSet } from '../types.js';
import { fedAvg } from './fedavg.js';
import { inOrder, type Update } from './update.js';
import { squaredDistances } from './vectors.js';

/**
 * Positions by Krum's score, best first: the sum of squared distances to the n - f - 2 nearest others, at least one (Blanchard et al. 2017,
 * arXiv:1703.02757). Equal scores in order of position.
 *
 * @param distances  [n, n] of all updates
 * @param members    positions that still count
 */
export function byScore(distances: Float64Array, n: number, members: readonly number[], f: number): number[] {
  const near = Math.max(1, members.length - f - 2);
  const scores = new Map(
    members.map((i) => {
      const others = Float64Array.from(
        members.filter((j) => j !== i),
        (j) => distances[i * n + j]!,
      ).sort();
      let sum = 0;
      for (let k = 0; k < Math.min(near, others.length); k++) sum += others[k]!;
      return [i, sum];
    }),
  );
  return [...members].sort((a, b) => scores.get(a)! - scores.get(b)! || a - b);
}

/**
 * Multi-Krum (Blanchard et al. 2017, section 4, arXiv:1703.02757): the mean, weighted by examples, of the m updates nearest to their
 * neighbours. Proven for n >= 2 f + 3. Costs n^2 / 2 distances.
 */
export function multiKrum(updates: readonly Update[], f: number, m: number): ParamSet {
  const ordered = inOrder(updates);
  const all = ordered.map((_, i) => i);
  const best = byScore(squaredDistances(ordered), ordered.length, all, f).slice(0, m);
  return fedAvg(best.map((i) => ordered[i]!));
}

/**
 * Krum: the one update nearest to its neighbours, as it is. It throws away all other work, and where a third of the trainers sends back the
 * base it likes that best: their distance is zero. Offered for comparison.
 */
export function krum(updates: readonly Update[], f: number): ParamSet {
  return multiKrum(updates, f, 1);
}
