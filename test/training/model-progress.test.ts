import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { beforeAll, expect, test } from 'vitest';
import { readKernels } from '../../src/kernels/file.js';
import { installKernels } from '../../src/kernels/install.js';
import type { HyperParameters } from '../../src/learning/types.js';
import { startProgress } from '../../src/training/model-progress.js';
import { stream } from '../kernels/cases.js';

beforeAll(async () => {
  if (!(await tf.setBackend('wasm'))) throw new Error('the wasm backend did not start');
  await installKernels(readKernels());
});

const SHAPES = [[1], [7], [5, 9]];
const hyper = (part: Partial<HyperParameters>): HyperParameters => ({
  optimizer: 'adam',
  learningRate: 0.01,
  batch: 1,
  epochs: 1,
  ...part,
});

/** What 12 steps from the middle of a training leave. */
async function after(backend: string, how: HyperParameters): Promise<readonly (readonly Float32Array[])[]> {
  await tf.setBackend(backend);
  const next = stream(3);
  const draw = (scale: number) =>
    SHAPES.map((shape) =>
      Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => next() * scale - scale / 3),
    );
  const anchor = draw(0.5);
  const [weights, mean, square] = [draw(1), draw(0.1), draw(0.01).map((data) => data.map(Math.abs))];
  const moments = { step: 5, mean: mean, square: square, velocity: [] };
  const progress = startProgress(how, { shapes: SHAPES, weights, anchor, moments });
  for (let step = 0; step < 12; step++) {
    progress.tensors();
    const gradients = draw(step).map((data, i) => tf.tensor(data, SHAPES[i]));
    await progress.step(gradients, 0.01 / (1 + step));
  }
  const { weights: w, moments: m } = await progress.read();
  const copies = [w, m.mean, m.square].map((tensors) => tensors.map((data) => data.slice()));
  progress.dispose();
  return copies;
}

test.each<[string, Partial<HyperParameters>]>([
  ['adam', {}],
  ['adam with clipped gradients', { clipNorm: 2 }],
  ['adam near its base', { proximal: 0.5, clipNorm: 2 }],
  ['adamw', { optimizer: 'adamw', weightDecay: 0.1, clipNorm: 2 }],
])('%s on the backend leaves the bits that it leaves in arrays', async (_, part) => {
  const before = tf.memory().numTensors;
  const here = await after('wasm', hyper(part));
  expect(tf.memory().numTensors).toBe(before);
  expect(here).toEqual(await after('cpu', hyper(part)));
});

test('the pull to the base is part of the gradient that is clipped', async () => {
  await tf.setBackend('cpu');
  const after = async (part: Partial<HyperParameters>): Promise<number> => {
    const start = { weights: [Float32Array.of(3)], anchor: [Float32Array.of(1)], shapes: [[1]] };
    const moments = { step: 0, mean: [], square: [], velocity: [] };
    const progress = startProgress(hyper({ optimizer: 'sgd', ...part }), { ...start, moments });
    await progress.step([tf.tensor([2])], 0.1);
    const { weights } = await progress.read();
    progress.dispose();
    return weights[0]![0]!;
  };
  // g = 2 + 2 (3 - 1) = 6, shortened to 3: w = 3 - 0.1 x 3
  expect(await after({ proximal: 2 })).toBeCloseTo(2.4, 6);
  expect(await after({ proximal: 2, clipNorm: 3 })).toBeCloseTo(2.7, 6);
  expect(await after({ clipNorm: 3 })).toBeCloseTo(2.8, 6);
});
