import type { Examples, Task } from './types.js';

/** What guessing gets: a number that says how good a model is stands beside it. */

/** Examples per class, or with each label; null for regression. */
export function classCounts(
  { labels }: Pick<Examples, 'labels'>,
  outputs: number,
  task: Task = 'classification',
): number[] | null {
  if (!(labels instanceof Int32Array)) return null;
  const counts = new Array<number>(outputs).fill(0);
  if (task === 'multilabel')
    return counts.map((_, bit) => labels.reduce((sum, label) => sum + ((label >> bit) & 1), 0));
  for (const label of labels) counts[label]!++;
  return counts;
}

/**
 * Accuracy of always saying the largest class; in [0, 1], null for regression, or where there are no examples.
 *
 * @param rows  of multilabel: how many examples were counted; guessing says of each label what most of them have
 */
export function chanceLevel(counts: readonly number[] | null, rows?: number): number | null {
  if (counts !== null && rows !== undefined && rows > 0)
    return counts.reduce((sum, count) => sum + Math.max(count, rows - count), 0) / (rows * counts.length);
  const total = counts?.reduce((sum, count) => sum + count, 0) ?? 0;
  return counts === null || total === 0 ? null : counts.reduce((most, count) => Math.max(most, count), 0) / total;
}
