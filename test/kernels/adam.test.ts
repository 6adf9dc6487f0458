import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { FusedAdam, type AdamOptions } from '../../src/kernels/adam.js';
import { draw, startBackends } from './cases.js';

beforeAll(startBackends);

/** Values of a variable of `size` after each of `steps` steps with drawn gradients. */
function walk(optimizer: tf.Optimizer, size: number, steps: number): Float32Array[] {
  const from = draw(size);
  const variable = tf.variable(tf.tensor1d(from.floats([size]).data));
  const values = Array.from({ length: steps }, () => {
    const tensor = tf.tensor1d(from.floats([size]).data);
    optimizer.applyGradients([{ name: variable.name, tensor }]);
    tensor.dispose();
    return variable.dataSync<'float32'>().slice();
  });
  variable.dispose();
  optimizer.dispose();
  return values;
}

function farthest(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return Math.max(...a.flatMap((values, i) => [...values.map((value, j) => Math.abs(value - b[i]![j]!))]));
}

describe('FusedAdam', () => {
  test('goes where tf.train.adam goes on the cpu backend, for sizes around a vector', async () => {
    for (const size of [1, 2, 3, 4, 5, 7, 33]) {
      const ours = walk(new FusedAdam({ learningRate: 0.01 }), size, 50);
      await tf.setBackend('cpu');
      const wanted = walk(tf.train.adam(0.01), size, 50);
      await tf.setBackend('wasm');
      // tf.train.adam keeps 1 - beta^t and every intermediate value in float32; ours rounds what it stores alone.
      expect(farthest(ours, wanted)).toBeLessThan(2e-5);
    }
  });

  test('with weight decay takes the steps of AdamW as computed in float64', () => {
    const options: Required<AdamOptions> = {
      learningRate: 0.1,
      beta1: 0.8,
      beta2: 0.9,
      epsilon: 1e-3,
      weightDecay: 0.05,
    };
    const got = walk(new FusedAdam(options), 3, 4);
    const from = draw(3);
    const w = Array.from(from.floats([3]).data);
    const [m, v] = [
      [0, 0, 0],
      [0, 0, 0],
    ];
    for (let t = 1; t <= 4; t++) {
      const g = from.floats([3]).data;
      for (let i = 0; i < 3; i++) {
        m[i] = 0.8 * m[i]! + 0.2 * g[i]!;
        v[i] = 0.9 * v[i]! + 0.1 * g[i]! ** 2;
        const step = m[i]! / (1 - 0.8 ** t) / (Math.sqrt(v[i]! / (1 - 0.9 ** t)) + 1e-3);
        w[i] = w[i]! - 0.1 * 0.05 * w[i]! - 0.1 * step;
        expect(got[t - 1]![i]).toBeCloseTo(w[i]!, 5);
      }
    }
  });

  test('makes new values instead of changing those that others hold, and leaves nothing behind', () => {
    const before = tf.memory().numTensors;
    const variable = tf.variable(tf.tensor1d([1, 2, 3]));
    const held = tf.clone(variable);
    const optimizer = new FusedAdam({ learningRate: 0.5 });
    for (let i = 0; i < 3; i++) optimizer.minimize(() => tf.sum<tf.Scalar>(tf.square(variable)), false, [variable]);
    expect([...held.dataSync()]).toEqual([1, 2, 3]);
    expect(variable.dataSync()[0]).toBeLessThan(0.1);
    expect(optimizer.iterations).toBe(3);
    tf.dispose([held, variable]);
    optimizer.dispose();
    expect(tf.memory().numTensors).toBeLessThanOrEqual(before + 1); // tfjs keeps the count of steps of an optimizer
  });
});
