import { expect, test } from 'vitest';
import { answersOf, batchLoss, softmaxRows } from '../../src/training/model-loss.js';

test('cross-entropy of logits (ln 1, ln 3) is ln 4/3 for class 1, with slopes 1/4 and -1/4', () => {
  const { sum, hits, delta } = batchLoss('classification', Float32Array.of(0, Math.log(3)), Int32Array.of(1), 2);
  expect(sum).toBeCloseTo(Math.log(4 / 3), 6);
  expect(hits).toBe(1);
  expect([...delta].map((x) => x.toFixed(5))).toEqual(['0.25000', '-0.25000']);
});

test('logits of any size stay finite', () => {
  const { sum } = batchLoss('classification', Float32Array.of(3e38, -3e38), Int32Array.of(1), 2);
  expect(Number.isFinite(sum)).toBe(true);
  expect([...softmaxRows(Float32Array.of(1e30, -1e30, 500, 500), 2)]).toEqual([1, 0, 0.5, 0.5]);
});

test('squared error of 5 against 3 is 4 with slope 4', () => {
  expect(batchLoss('regression', Float32Array.of(5), Float32Array.of(3), 1)).toEqual({
    sum: 4,
    hits: 0,
    delta: Float32Array.of(4),
  });
});

test('of several labels the loss is the mean of binary cross-entropies: ln 4/3 and ln 2 for outputs ln 3 and 0 and the set {0}', () => {
  const { sum, hits, delta } = batchLoss('multilabel', Float32Array.of(Math.log(3), 0), Int32Array.of(1), 2);
  expect(sum).toBeCloseTo((Math.log(4 / 3) + Math.log(2)) / 2, 6);
  expect(hits).toBe(1); // both: a label is said where its output is above 0
  expect([...delta].map((x) => x.toFixed(5))).toEqual(['-0.12500', '0.25000']);
  expect(batchLoss('multilabel', Float32Array.of(1, 1, -1, 1), Int32Array.of(0b01, 0b10), 2).hits).toBe(1.5);
  expect(batchLoss('multilabel', Float32Array.of(3e38, -3e38), Int32Array.of(1), 2).sum).toBe(0);
  expect([...answersOf('multilabel', Float32Array.of(0, 500, -500), 3)]).toEqual([0.5, 1, 0]);
});
