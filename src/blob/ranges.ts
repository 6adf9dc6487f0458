/** Chunk numbers as ranges: what is missing can be said exactly, however much it is. */

export type Range = readonly [from: number, to: number];

/** Ranges that an error spells out; a blob whose every second chunk is missing has more. */
const MAX_SPELT = 20;

/** Ascending, both ends included. */
export function rangesOf(indices: Iterable<number>): Range[] {
  const ranges: [number, number][] = [];
  for (const index of [...indices].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  return ranges;
}

/** For people, who count from 1: `1-22, 30`. */
export function spellRanges(ranges: readonly Range[]): string {
  const spelt = ranges
    .slice(0, MAX_SPELT)
    .map(([from, to]) => (from === to ? `${from + 1}` : `${from + 1}-${to + 1}`))
    .join(', ');
  const rest = ranges.slice(MAX_SPELT).reduce((sum, [from, to]) => sum + to - from + 1, 0);
  return rest === 0 ? spelt : `${spelt} and ${rest} more`;
}
