import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers'; // registers the gradients
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { learningRateAt } from '../../src/learning/schedule.js';
import type { HyperParameters } from '../../src/learning/types.js';
import { freshMoments, globalNorm, makeOptimizer } from '../../src/training/model-optimizer.js';

type Part = Omit<HyperParameters, 'learningRate' | 'batch' | 'epochs'>;
const START = [1, -2, 0.5, 3];

/** Weights after `steps` of sum over i of (i + 1) w_i^2, whose gradient is 2 (i + 1) w_i, at rate 0.05. */
function descend(part: Part, steps: number): number[] {
  const weights = Float32Array.from(START);
  const hyper: HyperParameters = { ...part, learningRate: 0.05, batch: 1, epochs: 1 };
  const optimize = makeOptimizer(hyper, freshMoments(hyper, [4]));
  for (let step = 0; step < steps; step++) {
    const gradients = [weights.map((w, i) => 2 * (i + 1) * w)];
    const norm = globalNorm(gradients);
    const { clipNorm = Infinity } = part;
    optimize([weights], gradients, learningRateAt(hyper, step, steps), norm > clipNorm ? clipNorm / norm : 1);
  }
  return [...weights];
}

const farthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

test.each([
  ['sgd', tf.train.sgd(0.05), { optimizer: 'sgd' }],
  ['momentum', tf.train.momentum(0.05, 0.9), { optimizer: 'momentum', momentum: 0.9 }],
  ['adam', tf.train.adam(0.05, 0.9, 0.999, 1e-7), { optimizer: 'adam' }],
] as const)('%s moves weights like the optimizer of tfjs', async (_, optimizer, part) => {
  await tf.setBackend('cpu');
  const theirs = tf.variable(tf.tensor1d(START));
  for (let step = 0; step < 20; step++)
    optimizer.minimize(() => tf.sum(tf.mul(tf.square(theirs), tf.tensor1d([1, 2, 3, 4]))));
  expect(farthest(descend(part, 20), [...(theirs.dataSync() as Float32Array)])).toBeLessThan(1e-5);
});

/** Worked out once by Keras 3 (test/vectors/make-optimizer-vectors.py), whose 0.999 is rounded to float32. */
const vectors = JSON.parse(readFileSync('test/vectors/learning/optimizer.json', 'utf8')) as {
  readonly part: Part;
  readonly steps: number;
  readonly weights: readonly number[];
}[];

test.each(vectors)('moves weights like Keras: $part', ({ part, steps, weights }) => {
  expect(farthest(descend(part, steps), weights)).toBeLessThan(1e-5);
});

describe('by hand', () => {
  test('momentum adds nine tenths of the last step', () => {
    // g = 2: v = 2, w = 1 - 0.1; then g = 1.8: v = 0.9 x 2 + 1.8 = 3.6, w = 0.9 - 0.18
    expect(descend({ optimizer: 'momentum', momentum: 0.9 }, 1)[0]).toBeCloseTo(0.9, 6);
    expect(descend({ optimizer: 'momentum', momentum: 0.9 }, 2)[0]).toBeCloseTo(0.72, 6);
  });

  test('adamw first shrinks each weight by rate x decay, then moves it by the rate', () => {
    expect(
      farthest(
        descend({ optimizer: 'adamw', weightDecay: 0.1 }, 1),
        START.map((w) => w * 0.995 - 0.05 * Math.sign(w)),
      ),
    ).toBeLessThan(1e-6);
  });

  test('gradients of length 5 are clipped to length 1 as one vector over all tensors', () => {
    expect(globalNorm([Float32Array.of(3), Float32Array.of(0, 4)])).toBe(5);
    // at the start the gradient is (2, -8, 3, 24), of length sqrt(653)
    const moved = descend({ optimizer: 'sgd', clipNorm: 1 }, 1).map((w, i) => (START[i]! - w) / 0.05);
    expect(
      farthest(
        moved,
        [2, -8, 3, 24].map((g) => g / Math.sqrt(653)),
      ),
    ).toBeLessThan(1e-5);
    expect(descend({ optimizer: 'sgd', clipNorm: 26 }, 1)).toEqual(descend({ optimizer: 'sgd' }, 1));
  });

  test('the learning rate rises over the warm-up and falls along half a cosine', () => {
    const hyper: HyperParameters = { optimizer: 'sgd', learningRate: 0.8, batch: 1, localSteps: 12, warmupSteps: 4 };
    const rates = (more: Partial<HyperParameters>) =>
      Array.from({ length: 12 }, (_, step) => learningRateAt({ ...hyper, ...more }, step, 12));
    expect(rates({}).slice(0, 6)).toEqual([0.2, 0.4, 0.6, 0.8, 0.8, 0.8].map((rate) => expect.closeTo(rate, 12)));
    const falling = rates({ decay: 'cosine' });
    expect([falling[3], falling[4], falling[8], falling[10]]).toEqual(
      [0.8, 0.8, 0.4, 0.4 * (1 - Math.SQRT1_2)].map((rate) => expect.closeTo(rate, 12)),
    );
    expect(learningRateAt({ ...hyper, warmupSteps: 20 }, 11, 12)).toBeCloseTo(0.48, 12);
  });
});
