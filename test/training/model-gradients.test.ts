import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers'; // registers the automatic gradients, the oracle here
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { initialParams } from '../../src/learning/params.js';
import { prng } from '../../src/learning/prng.js';
import type { ModelSpec } from '../../src/learning/types.js';
import type { Batch } from '../../src/training/model-batches.js';
import { batchLoss } from '../../src/training/model-loss.js';
import { gradients, layersOf, type Layer } from '../../src/training/model-net.js';
import { freshMoments, makeOptimizer } from '../../src/training/model-optimizer.js';
import { layerWidths } from '../../src/training/model-spec.js';
import { seed } from './engine-data.js';

/** Mean loss and gradients by tf.variableGrads, in the order of `gradients`. */
function oracle(spec: ModelSpec, layers: readonly Layer[], batch: Batch): { loss: number; gradients: Float32Array[] } {
  const variables = layers.flatMap(({ kernel, bias, inputs, outputs }) => [
    tf.variable(tf.tensor2d(kernel, [inputs, outputs])),
    tf.variable(tf.tensor1d(bias)),
  ]);
  const lossOf = (): tf.Scalar => {
    let h: tf.Tensor = tf.tensor2d(batch.features, [batch.rows, spec.inputs]);
    layers.forEach((_, i) => {
      h = tf.add(tf.matMul(h, variables[2 * i]!), variables[2 * i + 1]!);
      if (i < layers.length - 1) h = tf.relu(h);
    });
    if (spec.task === 'regression')
      return tf.losses.meanSquaredError(tf.tensor2d(batch.labels as Float32Array, [batch.rows, 1]), h);
    const wanted = tf.oneHot(tf.tensor1d(batch.labels as Int32Array, 'int32'), spec.outputs);
    return tf.losses.softmaxCrossEntropy(wanted, h);
  };
  const { value, grads } = tf.variableGrads(lossOf, variables);
  const found = variables.map((variable) => new Float32Array(grads[variable.name]!.dataSync()));
  const loss = value.dataSync()[0]!;
  tf.dispose([variables, grads, value]);
  return { loss, gradients: found };
}

function randomBatch(spec: ModelSpec, rows: number): Batch {
  const random = prng(seed(9), `batch/${rows}`);
  const features = Float32Array.from({ length: rows * spec.inputs }, () => random.normal());
  const labels =
    spec.task === 'classification'
      ? Int32Array.from({ length: rows }, () => random.below(spec.outputs))
      : Float32Array.from({ length: rows }, () => random.normal());
  return { rows, features, labels };
}

const width = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 46, max: 66 }));
const cases = fc.record({
  task: fc.constantFrom('classification' as const, 'regression' as const),
  inputs: width,
  classes: fc.integer({ min: 2, max: 11 }),
  hidden: fc.array(width, { maxLength: 3 }),
  rows: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 30, max: 34 })),
});

describe.each(['cpu', 'wasm'])('back-propagation on %s', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  test('equals the automatic gradients of the cpu backend, for widths around the blocks of the kernels', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ task, inputs, classes, hidden, rows }) => {
        const model = hidden.length === 0 ? 'logreg' : 'mlp';
        const spec: ModelSpec = { model, task, inputs, hidden, outputs: task === 'regression' ? 1 : classes };
        const layers = layersOf(layerWidths(spec), initialParams(spec, seed(1)));
        const batch = randomBatch(spec, rows);
        await tf.setBackend('cpu');
        const expected = oracle(spec, layers, batch);
        await tf.setBackend(backend);
        const got = await gradients(layers, batch, (outputs) => batchLoss(task, outputs, batch.labels, spec.outputs));
        expect(got.loss.sum / rows).toBeCloseTo(expected.loss, 4);
        for (const [i, wanted] of expected.gradients.entries())
          expect(farthest(got.gradients[i]!, wanted)).toBeLessThan(2e-5);
      }),
      { numRuns: 40, seed: 20 },
    );
  });

  test('leaves no tensors behind', async () => {
    const spec: ModelSpec = { model: 'mlp', task: 'classification', inputs: 5, outputs: 3, hidden: [4] };
    const layers = layersOf(layerWidths(spec), initialParams(spec, seed(1)));
    const batch = randomBatch(spec, 6);
    const before = tf.memory().numTensors;
    for (let i = 0; i < 5; i++)
      await gradients(layers, batch, (outputs) => batchLoss(spec.task, outputs, batch.labels, 3));
    expect(tf.memory().numTensors).toBe(before);
  });
});

test.each(['adam', 'sgd'] as const)('%s moves weights like the optimizer of tfjs', async (name) => {
  await tf.setBackend('cpu');
  const start = Float32Array.of(1, -2, 0.5, 3);
  const mine = new Float32Array(start);
  const optimize = makeOptimizer(
    { optimizer: name, learningRate: 0.05, batch: 1, epochs: 1 },
    freshMoments({ optimizer: name }, [4]),
  );
  const theirs = tf.variable(tf.tensor1d(start));
  const optimizer = name === 'adam' ? tf.train.adam(0.05, 0.9, 0.999, 1e-7) : tf.train.sgd(0.05);
  for (let step = 0; step < 20; step++) {
    optimize([mine], [mine.map((w, i) => 2 * w * (i + 1))]); // d/dw sum (i + 1) w^2
    optimizer.minimize(() => tf.sum(tf.mul(tf.square(theirs), tf.tensor1d([1, 2, 3, 4]))));
  }
  expect(farthest(mine, theirs.dataSync() as Float32Array)).toBeLessThan(1e-5);
});

function farthest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((far, value, i) => Math.max(far, Math.abs(value - b[i]!)), 0);
}
