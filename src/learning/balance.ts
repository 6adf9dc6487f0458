import type { Examples } from './types.js';

/** What guessing gets: a number that says how good a model is stands beside it. */

/** Examples per class; null for regression. */
export function classCounts({ labels }: Pick<Examples, 'labels'>, classes: number): number[] | null {
  if (!(labels instanceof Int32Array)) return null;
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

/** Accuracy of always saying the largest class, in [0, 1]; null for regression, or where there are no examples. */
export function chanceLevel(counts: readonly number[] | null): number | null {
  const total = counts?.reduce((sum, count) => sum + count, 0) ?? 0;
  return counts === null || total === 0 ? null : counts.reduce((most, count) => Math.max(most, count), 0) / total;
}
