import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { absolute, compute, difference, forCases, startBackends, type Values } from './cases.js';

beforeAll(startBackends);

/** Every float32 whose bits are a multiple of 2^12 + 1, or so: all signs, exponents, NaN, infinities and denormals. */
function everywhere(step: number): Values {
  const data = new Float32Array(Math.floor(2 ** 32 / step));
  const bits = new Uint32Array(data.buffer);
  for (let i = 0; i < bits.length; i++) bits[i] = i * step;
  return { shape: [data.length], data };
}

describe('functions of one value equal the cpu backend', () => {
  test.each(['Exp', 'Log', 'Tanh', 'Sigmoid'])('%s, over a million float32 of all sizes', (name) => {
    const x = everywhere(4093);
    const [got, wanted] = [compute('wasm', name, { x }), compute('cpu', name, { x })];
    // cpu takes the sigmoid and the exponential from Math.exp in float64 as well: they differ by a rounding at most.
    expect(difference(got, wanted, wanted, 2e-45)).toBeUndefined();
  });

  test.each(['Exp', 'Log', 'Tanh', 'Sigmoid'])('%s, for every length around a vector', (name) => {
    forCases(60, (from, seed) => {
      const x = from.floats([seed % 20], true);
      return difference(compute('wasm', name, { x }), compute('cpu', name, { x }), undefined, 2e-45);
    });
  });

  test('Softmax, over rows of every width', () => {
    forCases(800, (from, seed) => {
      const logits = from.floats([...from.pick([[], [1], [3], [2, 4]]), from.int(1, 40)], seed % 5 === 0);
      const scaled = { ...logits, data: logits.data.map((value) => value * from.pick([1, 1, 30])) };
      const attrs = { dim: scaled.shape.length - 1 };
      const wanted = compute('cpu', 'Softmax', { logits: scaled }, attrs);
      // What is almost nothing beside the largest is rounded in x - largest, whose size goes into the exponent.
      const bound = { ...wanted, data: wanted.data.map((value) => 20 * value) };
      return difference(compute('wasm', 'Softmax', { logits: scaled }, attrs), wanted, bound, 1e-38);
    });
  });
});

describe('reductions equal the cpu backend', () => {
  test.each(['Sum', 'Mean'])('%s, over any axes, side by side or not', (kernelName) => {
    forCases(900, (from, seed) => {
      const shape = Array.from({ length: from.int(1, 4) }, () => from.int(1, from.pick([3, 9, 20])));
      const axis = shape.map((_, i) => i).filter(() => from.int(0, 1) === 0);
      const attrs = { axis: axis.length === 0 ? [0] : axis, keepDims: from.pick([true, false]) };
      const x = from.floats(shape, seed % 5 === 0);
      const wanted = compute('cpu', kernelName, { x }, attrs);
      const bound = compute('cpu', kernelName, { x: absolute(x) }, attrs);
      return difference(compute('wasm', kernelName, { x }, attrs), wanted, bound);
    });
  });

  test('Max, over any axes, side by side or not, where NaN is the largest', () => {
    forCases(900, (from, seed) => {
      const shape = Array.from({ length: from.int(1, 4) }, () => from.int(1, from.pick([3, 9, 20])));
      const axis = shape.map((_, i) => i).filter(() => from.int(0, 1) === 0);
      const attrs = { reductionIndices: axis.length === 0 ? [0] : axis, keepDims: from.pick([true, false]) };
      const x = from.floats(shape, seed % 3 === 0);
      return difference(compute('wasm', 'Max', { x }, attrs), compute('cpu', 'Max', { x }, attrs), undefined, 0);
    });
  });

  test('a sum over nothing is zero, and whole numbers stay whole', () => {
    const none = { shape: [2, 0, 3], data: new Float32Array(0) };
    expect(compute('wasm', 'Sum', { x: none }, { axis: 1, keepDims: false }).data).toEqual(new Float32Array(6));
    const x = tf.tensor1d([1, 2, 3], 'int32');
    expect(tf.sum(x).dtype).toBe('int32');
    expect([...tf.sum(x).dataSync()]).toEqual([6]);
  });
});
