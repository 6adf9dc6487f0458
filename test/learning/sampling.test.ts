import { expect, test } from 'vitest';
import { sampleIndex } from '../../src/learning/sampling.js';

/** How often each index is drawn by numbers spread evenly over [0, 1). */
function shares(probabilities: readonly number[], temperature: number): number[] {
  const counts = probabilities.map(() => 0);
  for (let i = 0; i < 1000; i++) counts[sampleIndex(probabilities, temperature, (i + 0.5) / 1000)]!++;
  return counts;
}

test('draws in proportion to p at temperature 1, to p squared at 1/2, to the root at 2', () => {
  expect(shares([0.1, 0, 0.9], 1)).toEqual([100, 0, 900]);
  expect(shares([0.2, 0.8], 0.5)).toEqual([59, 941]); // 1 : 16
  expect(shares([0.2, 0.8], 2)).toEqual([333, 667]); // 1 : 2
});

test('temperature 0 takes the likeliest, the first of equals', () => {
  expect([0, 0.999].map((at) => sampleIndex([0.2, 0.4, 0.4], 0, at))).toEqual([1, 1]);
});

test('never draws what has no probability, even at the end of the range', () => {
  expect(sampleIndex([0.5, 0.5, 0], 1, 1 - 2 ** -53)).toBe(1);
  expect(sampleIndex([0, 1], 1, 0)).toBe(1);
});
