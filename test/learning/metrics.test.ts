import { expect, test } from 'vitest';
import {
  areaUnderCurve,
  bits,
  meanAbsoluteError,
  perplexity,
  rootMeanSquaredError,
  topAccuracy,
} from '../../src/learning/metrics.js';

test('a uniform guess among eight tokens has perplexity 8 and takes 3 bits', () => {
  expect(perplexity(Math.log(8))).toBeCloseTo(8, 12);
  expect(bits(Math.log(8))).toBeCloseTo(3, 12);
});

test('top-k: the label is among the k largest, the first of equals being larger', () => {
  const outputs = [0.1, 0.5, 0.4, 0.4, 0.4, 0.2]; // [2, 3]
  expect([1, 2, 3].map((k) => topAccuracy(outputs, [2, 1], 3, k))).toEqual([0, 1, 1]);
  expect(topAccuracy(outputs, [1, 2], 3, 1)).toBe(0.5);
  expect(topAccuracy(outputs, [1, 2], 3, 2)).toBe(0.5);
});

test('errors of values: of 1, 0 and -2', () => {
  expect(meanAbsoluteError([2, 5, 1], [1, 5, 3])).toBe(1);
  expect(rootMeanSquaredError([2, 5, 1], [1, 5, 3])).toBeCloseTo(Math.sqrt(5 / 3), 15);
});

// The first is the example of scikit-learn's page on roc_auc_score.
test.each([
  [[0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75],
  [[0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5],
  [[0.9, 0.1], [0, 1], 0],
  [[0.2, 0.6, 0.6, 0.6, 0.9], [0, 0, 1, 1, 1], 5 / 6], // 6 pairs, two of them ties: (4 + 2 / 2) / 6
  [[0.1, 0.2], [1, 1], null],
])('area under the curve of %j for %j', (scores, labels, area) => {
  expect(areaUnderCurve(scores, labels)).toBe(area);
});

test('the area is the share of pairs in order, ties half, whatever the order of the rows', () => {
  const rows = Array.from({ length: 60 }, (_, i) => ({
    score: ((i * 37) % 11) / 11,
    label: (i * i) % 3 === 1 ? 1 : 0,
  }));
  const [ones, zeros] = [1, 0].map((label) => rows.filter((row) => row.label === label));
  const won = ones!.flatMap(({ score: a }) => zeros!.map(({ score: b }) => (a > b ? 1 : a === b ? 0.5 : 0)));
  const share = won.reduce<number>((sum, one) => sum + one, 0) / won.length;
  const area = (list: typeof rows) =>
    areaUnderCurve(
      list.map(({ score }) => score),
      list.map(({ label }) => label),
    );
  expect(area(rows)).toBeCloseTo(share, 12);
  expect(area([...rows].reverse())).toBe(area(rows));
});
