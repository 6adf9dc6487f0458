import '@tensorflow/tfjs-layers'; // nets with automatic gradients load it at their first use, and loading calls Math.pow
import { beforeAll, describe, expect, test } from 'vitest';
import { watchInexact } from '../../src/kernels/inexact.js';
import { prng } from '../../src/learning/prng.js';
import type { Examples, ModelName, ModelSpec } from '../../src/learning/types.js';
import { evaluate, predict, train } from '../../src/training/model-train.js';
import { loadRung } from '../../src/training/tfjs-rungs.js';
import { watchMath } from '../kernels/watch-math.js';
import { initial, logreg, mlp, seed, sequential } from './engine-data.js';

beforeAll(() => loadRung('wasm'));

/** Every template: a new one is named here before this compiles. */
const specs: Readonly<Record<ModelName, ModelSpec>> = {
  logreg,
  mlp,
  cnn: {
    ...{ model: 'cnn', task: 'classification', inputs: 8 * 10 * 2, outputs: 4 },
    ...{ shape: [8, 10, 2], filters: [3, 5], hidden: [7] },
  },
  gpt: { model: 'gpt', task: 'classification', inputs: 7, outputs: 11, layers: 2, heads: 2, width: 8 },
  sequential,
  lstm: { model: 'lstm', task: 'classification', inputs: 7, outputs: 11, layers: 2, width: 8 },
};

function examplesFor(spec: ModelSpec): Examples {
  const random = prng(seed(4), 'exact');
  const [rows, inputs] = [20, spec.inputs];
  const value = () => (spec.model === 'gpt' || spec.model === 'lstm' ? random.below(spec.outputs) : random.normal());
  const features = Float32Array.from({ length: rows * inputs }, value);
  return { rows, inputs, features, scale: 1, labels: Int32Array.from({ length: rows }, (_, i) => i % spec.outputs) };
}

describe.each(Object.values(specs))('$model on wasm', (model) => {
  test.each(['adam', 'sgd'] as const)('computes (%s) with nothing whose bits differ between machines', async (how) => {
    const examples = examplesFor(model);
    const hyper = { optimizer: how, learningRate: 0.01, batch: 8, epochs: 2 } as const;
    const request = { model, weights: initial(model), examples, hyper, seed: seed(2) };
    const ignore = (): void => undefined;
    const { result: called, inexact } = await watchInexact(() =>
      watchMath(async () => {
        const { weights } = await train(request, ignore, ignore);
        await evaluate(model, weights, examples);
        await predict(model, weights, examples.features, examples.rows, examples.scale);
      }),
    );
    expect({ called, inexact }).toEqual({ called: [], inexact: [] });
  });
});

test('what calls such a function is seen', async () => {
  expect(await watchMath(() => Math.exp(1))).toEqual(['exp']);
});
