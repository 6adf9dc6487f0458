import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchLoss, softmaxRows } from '../../src/training/model-loss.js';
import { exp, log } from '../../src/training/model-math.js';

/** Distance in units of the last place. */
function ulps(a: number, b: number): number {
  const bits = (x: number): bigint => new BigInt64Array(Float64Array.of(x).buffer)[0]!;
  const distance = bits(a) - bits(b);
  return Number(distance < 0n ? -distance : distance);
}

test('exp and log are within 2 units in the last place of the platform', () => {
  fc.assert(
    fc.property(fc.double({ min: -708, max: 709, noNaN: true }), (x) => {
      expect(ulps(exp(x), Math.exp(x))).toBeLessThanOrEqual(2);
    }),
  );
  fc.assert(
    fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), (x) => {
      const near = Math.log(x);
      expect(Math.abs(log(x) - near)).toBeLessThanOrEqual(4e-16 * Math.max(1, Math.abs(near)));
    }),
  );
});

test('exp and log have the bits of these constants', () => {
  expect([exp(0), exp(1), exp(-1), exp(-0.5)]).toEqual([
    1, 2.7182818284590455, 0.36787944117144233, 0.6065306597126334,
  ]);
  expect([log(1), log(2), log(10), log(Math.E)]).toEqual([0, Math.LN2, Math.LN10, 1]);
});

test('exp and log hold at the ends of their ranges', () => {
  expect([exp(-1000), exp(1000), exp(-Infinity), exp(NaN)]).toEqual([0, Infinity, 0, NaN]);
  expect([log(Infinity), log(0), log(-1), log(NaN)]).toEqual([Infinity, NaN, NaN, NaN]);
});

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
