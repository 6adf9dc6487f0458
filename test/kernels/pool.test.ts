import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { absolute, compute, difference, forCases, startBackends, type Draw, type Values } from './cases.js';

beforeAll(startBackends);

/** Negative values, ties and special values on purpose. */
function values(from: Draw, shape: readonly number[], kind: number): Values {
  const { data } = from.floats(shape, kind === 0);
  const shift = [0, -3, 0, 0][kind]!;
  return { shape, data: data.map((value) => (kind === 2 ? Math.round(value) : value + shift)) };
}

function forPoolings(run: (x: Values, dy: Values, attrs: object) => string | undefined): void {
  forCases(1000, (from, seed) => {
    const shape = [from.int(1, 3), from.int(1, 9), from.int(1, 9), from.int(1, 7)];
    const attrs = {
      filterSize: from.pick<number | [number, number]>([2, 3, [1, 2], [3, 2]]),
      strides: from.pick<number | [number, number]>([1, 2, 3, [2, 1]]),
      pad: from.pick(['same', 'valid'] as const),
    };
    const input = shape as [number, number, number, number];
    const { outShape } = tf.backend_util.computePool2DInfo(input, attrs.filterSize, attrs.strides, 1, attrs.pad);
    if (outShape[1] < 1 || outShape[2] < 1) return undefined;
    return run(values(from, shape, seed % 4), from.floats(outShape), attrs);
  });
}

describe('gradients of pooling equal the cpu backend', () => {
  test('of the maximum: the first largest value gets it, negative or not', () => {
    forPoolings((input, dy, attrs) =>
      difference(
        compute('wasm', 'MaxPoolGrad', { dy, input, output: dy }, attrs),
        compute('cpu', 'MaxPoolGrad', { dy, input, output: dy }, attrs),
        compute('cpu', 'MaxPoolGrad', { dy: absolute(dy), input, output: dy }, attrs),
      ),
    );
  });

  test('of the mean', () => {
    forPoolings((input, dy, attrs) =>
      difference(
        compute('wasm', 'AvgPoolGrad', { dy, input }, attrs),
        compute('cpu', 'AvgPoolGrad', { dy, input }, attrs),
        compute('cpu', 'AvgPoolGrad', { dy: absolute(dy), input }, attrs),
      ),
    );
  });

  test('where the stock kernel takes the first place instead of the largest negative value', () => {
    const input = { shape: [1, 1, 2, 1], data: Float32Array.of(-2, -1) };
    const dy = { shape: [1, 1, 1, 1], data: Float32Array.of(1) };
    const attrs = { filterSize: [1, 2], strides: [1, 2], pad: 'valid' };
    expect([...compute('wasm', 'MaxPoolGrad', { dy, input, output: dy }, attrs).data]).toEqual([0, 1]);
  });
});

describe('UnsortedSegmentSum', () => {
  test('equals the cpu backend, ids outside of the range left out', () => {
    forCases(1000, (from) => {
      const [count, numSegments] = [from.int(1, 20), from.int(1, 7)];
      const x = from.floats([count, ...from.pick([[], [1], [3], [4], [9], [2, 5]])]);
      const data = Int32Array.from({ length: count }, () => from.int(-1, numSegments));
      const ids = { shape: [count], data };
      const run = (backend: 'cpu' | 'wasm', values: Values): Values =>
        compute(backend, 'UnsortedSegmentSum', { x: values, segmentIds: ids }, { numSegments });
      return difference(run('wasm', x), run('cpu', x), run('cpu', absolute(x)));
    });
  });

  test('keeps a value that is no number in its own segment', () => {
    // tfjs-backend-cpu multiplies all rows by 0 or 1, which spreads NaN to every segment.
    const x = { shape: [2, 1], data: Float32Array.of(NaN, 3) };
    const ids = { shape: [2], data: Int32Array.of(0, 1) };
    expect([...compute('wasm', 'UnsortedSegmentSum', { x, segmentIds: ids }, { numSegments: 3 }).data]).toEqual([
      NaN,
      3,
      0,
    ]);
  });
});
