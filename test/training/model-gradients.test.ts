import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers'; // registers the automatic gradients, the oracle here
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { readKernels } from '../../src/kernels/file.js';
import { installKernels } from '../../src/kernels/install.js';
import { denseWidths } from '../../src/learning/architecture.js';
import { labelCount } from '../../src/learning/examples.js';
import { prng } from '../../src/learning/prng.js';
import type { DenseSpec, ModelSpec } from '../../src/learning/types.js';
import type { Batch } from '../../src/training/model-batches.js';
import { batchLoss } from '../../src/training/model-loss.js';
import { netOf, type Net } from '../../src/training/net.js';
import { initial, seed } from './engine-data.js';

/** Mean loss and gradients by tf.variableGrads, in order of names. */
function oracle(spec: DenseSpec, batch: Batch): { loss: number; gradients: Float32Array[] } {
  const params = initial(spec);
  const variables = params.map(({ shape, data }) => tf.variable(tf.tensor(data, [...shape])));
  const find = (wanted: string) => variables[params.findIndex(({ name }) => name === wanted)]!;
  const layers = denseWidths(spec).slice(1);
  const lossOf = (): tf.Scalar => {
    let h: tf.Tensor = tf.tensor2d(batch.features, [batch.rows, spec.inputs]);
    layers.forEach((_, i) => {
      h = tf.add(tf.matMul(h, find(`dense_${i}/kernel`)), find(`dense_${i}/bias`));
      if (i < layers.length - 1) h = tf.relu(h);
    });
    if (spec.task === 'regression')
      return tf.losses.meanSquaredError(tf.tensor2d(batch.labels as Float32Array, [batch.rows, 1]), h);
    if (spec.task === 'multilabel') {
      const bits = [...batch.labels].map((set) => Array.from({ length: spec.outputs }, (_, i) => (set >> i) & 1));
      return tf.losses.sigmoidCrossEntropy(tf.tensor2d(bits), h);
    }
    const wanted = tf.oneHot(tf.tensor1d(batch.labels as Int32Array, 'int32'), spec.outputs);
    return tf.losses.softmaxCrossEntropy(wanted, h);
  };
  const { value, grads } = tf.variableGrads(lossOf, variables);
  const found = variables.map((variable) => new Float32Array(grads[variable.name]!.dataSync()));
  const loss = value.dataSync()[0]!;
  tf.dispose([variables, grads, value]);
  return { loss, gradients: found };
}

async function found(net: Net, batch: Batch): Promise<{ loss: number; gradients: Float32Array[] }> {
  const weights = initial(net.spec).map(({ shape, data }) => tf.tensor(data, [...shape]));
  const { loss, gradients } = await net.gradients(weights, batch);
  const values = await Promise.all(gradients.map(async (tensor) => new Float32Array(await tensor.data<'float32'>())));
  tf.dispose([...weights, ...gradients]);
  return { loss: loss.sum / (batch.rows * net.positions), gradients: values };
}

function randomBatch(spec: ModelSpec, rows: number): Batch {
  const random = prng(seed(9), `batch/${rows}`);
  const one = (): number =>
    spec.model === 'gpt' || spec.model === 'lstm' ? random.below(spec.outputs) : random.normal();
  const features = Float32Array.from({ length: rows * spec.inputs }, one);
  const labels =
    spec.task !== 'regression'
      ? Int32Array.from({ length: rows }, () => random.below(labelCount(spec)))
      : Float32Array.from({ length: rows }, () => random.normal());
  return { rows, features, labels };
}

const width = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 46, max: 66 }));
const cases = fc.record({
  task: fc.constantFrom('classification' as const, 'regression' as const, 'multilabel' as const),
  inputs: width,
  classes: fc.integer({ min: 2, max: 11 }),
  hidden: fc.array(width, { maxLength: 3 }),
  rows: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 30, max: 34 })),
});

const cnn: ModelSpec = {
  ...{ model: 'cnn', task: 'classification', inputs: 8 * 10 * 2, outputs: 4 },
  ...{ shape: [8, 10, 2], filters: [3, 5], hidden: [7] },
};
const gpt: ModelSpec = {
  ...{ model: 'gpt', task: 'classification', inputs: 7, outputs: 11, layers: 2, heads: 2, width: 8 },
};
const lstm: ModelSpec = {
  ...{ model: 'lstm', task: 'classification', inputs: 7, outputs: 11, layers: 2, width: 8 },
};
const nets: ModelSpec[] = [
  { model: 'mlp', task: 'classification', inputs: 5, outputs: 3, hidden: [4] },
  cnn,
  { ...cnn, task: 'regression', outputs: 1 },
  { ...cnn, task: 'multilabel', outputs: 3 },
  gpt,
  lstm,
];

describe.each(['cpu', 'wasm'])('back-propagation on %s', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
    if (backend === 'wasm') await installKernels(readKernels());
  });

  test('equals the automatic gradients of the cpu backend, for widths around the blocks of the kernels', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ task, inputs, classes, hidden, rows }) => {
        const model = hidden.length === 0 ? 'logreg' : 'mlp';
        const spec: DenseSpec = { model, task, inputs, hidden, outputs: task === 'regression' ? 1 : classes };
        const batch = randomBatch(spec, rows);
        await tf.setBackend('cpu');
        const expected = oracle(spec, batch);
        await tf.setBackend(backend);
        const got = await found(netOf(spec), batch);
        expect(got.loss).toBeCloseTo(expected.loss, 4);
        for (const [i, wanted] of expected.gradients.entries())
          expect(farthest(got.gradients[i]!, wanted)).toBeLessThan(2e-5);
      }),
      { numRuns: 40, seed: 20 },
    );
  });

  test.each(nets)('of $model are the slope of its loss in a direction', async (spec) => {
    const net = netOf(spec);
    const batch = randomBatch(spec, 5);
    const { gradients } = await found(net, batch);
    const random = prng(seed(3), 'direction');
    const way = gradients.map((slope) => slope.map(() => random.normal()));
    const along = gradients.reduce((sum, slope, i) => sum + slope.reduce((s, g, j) => s + g * way[i]![j]!, 0), 0);
    const lossAt = async (far: number): Promise<number> => {
      const outputs = tf.tidy(() => {
        const moved = initial(spec).map(({ shape, data }, i) =>
          tf.tensor(
            data.map((w, j) => w + far * way[i]![j]!),
            [...shape],
          ),
        );
        return net.forward(moved, batch.features, batch.rows);
      });
      const { sum } = batchLoss(spec.task, await outputs.data<'float32'>(), net.targets(batch), spec.outputs);
      outputs.dispose();
      return sum / (batch.rows * net.positions);
    };
    // Two central differences, so that the third derivative drops out (Richardson).
    const far = 4e-4;
    const difference = async (by: number) => ((await lossAt(by)) - (await lossAt(-by))) / (2 * by);
    const slope = (4 * (await difference(far / 2)) - (await difference(far))) / 3;
    expect(Math.abs(slope - along)).toBeLessThan(0.01 * Math.abs(along) + 2e-3);
    expect(Math.abs(along)).toBeGreaterThan(0.05);
  });

  test.each(nets)('of $model leave no tensors behind', async (spec) => {
    const batch = randomBatch(spec, 6);
    await found(netOf(spec), batch);
    const before = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) await found(netOf(spec), batch);
    expect(tf.memory().numTensors).toBe(before);
  });
});

test.each([
  [gpt, 'Attention'],
  [lstm, 'Lstm'],
])('%o has the loss and the gradients on wasm, of kernels of its own, that it has on cpu', async (spec, kernel) => {
  const batch = randomBatch(spec, 5);
  await tf.setBackend('cpu');
  const wanted = await found(netOf(spec), batch);
  await tf.setBackend('wasm');
  expect(tf.getKernel(kernel, 'wasm')).toBeDefined();
  const got = await found(netOf(spec), batch);
  expect(got.loss).toBeCloseTo(wanted.loss, 5);
  for (const [i, slopes] of wanted.gradients.entries()) expect(farthest(got.gradients[i]!, slopes)).toBeLessThan(1e-6);
});

test.each(['cpu', 'wasm'])('a gpt does not see what comes later, on %s', async (backend) => {
  await tf.setBackend(backend);
  const net = netOf(gpt);
  const { features } = randomBatch(gpt, 1);
  const weights = initial(gpt).map(({ shape, data }) => tf.tensor(data, [...shape]));
  const at = (token: number) =>
    net
      .forward(
        weights,
        Float32Array.from(features, (old, i) => (i === 4 ? token : old)),
        1,
      )
      .arraySync();
  const [one, other] = [at(1), at(2)];
  expect(one.slice(0, 4)).toEqual(other.slice(0, 4));
  for (const place of [4, 5, 6]) expect(one[place]).not.toEqual(other[place]);
});

function farthest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((far, value, i) => Math.max(far, Math.abs(value - b[i]!)), 0);
}
