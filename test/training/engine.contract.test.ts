import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { difference, l2Norm, paramsHash } from '../../src/learning/params.js';
import { checkShapes } from '../../src/learning/safetensors.js';
import { stateHash, stateShapes } from '../../src/learning/train-state.js';
import type { HyperParameters, ModelSpec, TrainState } from '../../src/learning/types.js';
import type { Engine, TrainRequest } from '../../src/ports.js';
import { createEngine } from '../../src/training/engine.js';
import { judgeRung } from '../../src/training/verdict.js';
import { stubEngine } from '../support/stub-engine.js';
import { brightTenths, clouds, initial, logreg, mlp, seed, zeros } from './engine-data.js';

const sgd: HyperParameters = { optimizer: 'sgd', learningRate: 0.1, batch: 8, epochs: 2 };
const OPTIMIZERS: Record<string, Omit<HyperParameters, 'learningRate' | 'batch'>> = {
  adam: { optimizer: 'adam' },
  sgd: { optimizer: 'sgd' },
  momentum: { optimizer: 'momentum', momentum: 0.9 },
  'sgd near its base': { optimizer: 'sgd', proximal: 0.5 },
  'adam near its base': { optimizer: 'adam', proximal: 0.5, clipNorm: 0.5 },
  'adamw on a schedule, clipped': {
    ...{ optimizer: 'adamw', weightDecay: 0.01, clipNorm: 0.5 },
    ...{ warmupSteps: 6, decay: 'cosine' },
  },
};
const line: ModelSpec = { model: 'logreg', task: 'regression', inputs: 2, outputs: 1, hidden: [] };
const onClouds: TrainRequest = {
  model: logreg,
  weights: initial(logreg),
  examples: clouds(60),
  hyper: sgd,
  seed: seed(2),
};

const engines: { name: string; make: () => Promise<Engine>; deep: boolean; exact: boolean }[] = [
  { name: 'stub', make: async () => stubEngine(), deep: false, exact: true },
  { name: 'cpu', make: () => createEngine({ want: 'cpu' }), deep: true, exact: true },
  { name: 'wasm', make: () => createEngine({ want: 'wasm' }), deep: true, exact: true },
];
const { flaw } = await judgeRung('node', {});
if (flaw === null) engines.push({ name: 'node', make: () => createEngine({ want: 'node' }), deep: true, exact: false });
else console.log(`SKIP engine contract on node: ${flaw}`);

describe.each(engines)('the $name engine', ({ name, make, deep, exact }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await make();
  });
  afterAll(() => engine.close());

  test('names its rung first in its id', () => {
    expect(engine.id).toMatch(/^(cpu|wasm|node)\/[0-9a-f]{8}\/[\w.]+\/\w+$/);
    if (deep) expect(engine.id.split('/')[0]).toBe(name);
  });

  test('learns two separable clouds', async () => {
    const { weights, lossFirst, lossLast } = await engine.train(onClouds);
    expect(lossLast).toBeLessThan(lossFirst);
    const { accuracy, count } = await engine.evaluate(logreg, weights, onClouds.examples);
    expect({ accuracy, count }).toEqual({ accuracy: 1, count: 60 });
  });

  test('takes one step of gradient descent as computed by hand', async () => {
    // prediction 0, target 3: loss 9, slope 2 * (0 - 3) = -6, times the inputs (1, 2); rate 0.1
    const { weights, lossFirst } = await engine.train({
      model: line,
      weights: zeros(line),
      examples: { rows: 1, inputs: 2, features: Float32Array.of(1, 2), scale: 1, labels: Float32Array.of(3) },
      hyper: { optimizer: 'sgd', learningRate: 0.1, batch: 1, localSteps: 1 },
      seed: seed(0),
    });
    expect(lossFirst).toBe(9);
    expect(weights.map(({ name, shape, data }) => [name, shape, Array.from(data, (x) => x.toFixed(6))])).toEqual([
      ['dense_0/bias', [1], ['0.600000']],
      ['dense_0/kernel', [2, 1], ['0.600000', '1.200000']],
    ]);
  });

  test('pulls the second step of gradient descent back to the base as computed by hand, the first not at all', async () => {
    const train = async (steps: number, part: Partial<HyperParameters>) => {
      const { weights } = await engine.train({
        model: line,
        weights: zeros(line),
        examples: { rows: 1, inputs: 2, features: Float32Array.of(1, 2), scale: 1, labels: Float32Array.of(3) },
        hyper: { optimizer: 'sgd', learningRate: 0.1, batch: 1, localSteps: steps, ...part },
        seed: seed(0),
      });
      return weights.flatMap(({ data }) => [...data]);
    };
    // after step 1 bias 0.6, kernel (0.6, 1.2): prediction 3.6, slope 1.2; pulls 0.3, 0.3, 0.6; times rate 0.1
    expect(await train(2, { proximal: 0.5 })).toEqual([0.45, 0.45, 0.9].map((value) => expect.closeTo(value, 6)));
    expect(await train(1, { proximal: 0.5 })).toEqual(await train(1, {}));
  });

  test('stays the nearer to the base the harder it is pulled', async () => {
    const far = async (part: Partial<HyperParameters>): Promise<number> => {
      const { weights } = await engine.train({ ...onClouds, hyper: { ...sgd, ...part } });
      return l2Norm(difference(weights, onClouds.weights));
    };
    const [free, near, nearer] = [await far({}), await far({ proximal: 0.5 }), await far({ proximal: 5 })];
    expect(near).toBeLessThan(0.9 * free);
    expect(nearer).toBeLessThan(0.5 * near);
  });

  test('evaluates a model without knowledge at ln(classes)', async () => {
    const { loss } = await engine.evaluate(logreg, zeros(logreg), clouds(7));
    expect(loss).toBeCloseTo(Math.LN2, 12);
  });

  test('predicts equal probabilities without knowledge, and values for regression', async () => {
    expect(await engine.predict(logreg, zeros(logreg), Float32Array.of(1, 2, 3, 4), 2)).toEqual(
      Float32Array.of(0.5, 0.5, 0.5, 0.5),
    );
    expect(await engine.predict(line, zeros(line), Float32Array.of(1, 2), 1)).toEqual(Float32Array.of(0));
  });

  test('gives equal bytes for equal requests, and others for another seed', async () => {
    const hash = async (request: TrainRequest): Promise<string> => paramsHash((await engine.train(request)).weights);
    const first = await hash(onClouds);
    if (exact) expect(await hash(onClouds)).toBe(first);
    expect(await hash({ ...onClouds, seed: seed(3) })).not.toBe(first);
  });

  test('leaves the request as it was', async () => {
    const before = structuredClone(onClouds);
    await engine.train(onClouds);
    expect(onClouds).toEqual(before);
  });

  test('takes calls made together one after the other, with the same answers', async () => {
    const [a, b, c] = await Promise.all([
      engine.train(onClouds),
      engine.evaluate(logreg, onClouds.weights, onClouds.examples),
      engine.train(onClouds),
    ]);
    if (exact) expect(paramsHash(a.weights)).toBe(paramsHash(c.weights));
    expect(b.count).toBe(60);
  });

  test('keeps the last, smaller batch of a pass, and stops after localSteps', async () => {
    const five = { ...onClouds, examples: clouds(5) };
    expect((await engine.train({ ...five, hyper: { ...sgd, batch: 2, epochs: 3 } })).steps).toBe(9);
    const steps: HyperParameters = { optimizer: 'sgd', learningRate: 0.1, batch: 2, localSteps: 4 };
    expect((await engine.train({ ...five, hyper: steps })).steps).toBe(4);
  });

  test('reports the last step', async () => {
    const seen: number[][] = [];
    const { lossLast } = await engine.train(onClouds, (...report) => seen.push(report));
    expect(seen.at(-1)).toEqual([16, 16, lossLast]);
  });

  test('reads bytes divided by their scale', async () => {
    const bytes = { ...brightTenths(20, 2), labels: clouds(20).labels };
    const floats = { ...bytes, features: Float32Array.from(bytes.features, (x) => x / 255), scale: 1 };
    const [a, b] = await Promise.all([bytes, floats].map((examples) => engine.train({ ...onClouds, examples })));
    if (exact) expect(a!.weights).toEqual(b!.weights);
    expect(a!.lossFirst).toBeCloseTo(b!.lossFirst, 6);
  });

  test.each([
    ['shape-mismatch', { weights: initial({ ...logreg, inputs: 3 }) }],
    ['shape-mismatch', { examples: { ...clouds(4), features: new Float32Array(7) } }],
    ['bad-dataset', { examples: { ...clouds(4), labels: Int32Array.of(0, 1, 2, 0) } }],
    ['bad-dataset', { examples: { ...clouds(4), labels: Int32Array.of(0, 1) } }],
    ['bad-dataset', { examples: { ...clouds(4), labels: Float32Array.of(0, 1, 0, 1) } }],
    ['bad-dataset', { examples: { ...clouds(0) } }],
    ['bad-job', { hyper: { ...sgd, batch: 0 } }],
    ['bad-job', { hyper: { ...sgd, localSteps: 3 } }],
    ['bad-job', { hyper: { ...sgd, learningRate: NaN } }],
    ['bad-job', { hyper: { ...sgd, proximal: 0 } }],
    ['bad-job', { hyper: { ...sgd, proximal: 1_001 } }],
    ['bad-job', { model: { ...logreg, hidden: [3] } }],
    ['bad-job', { seed: new Uint8Array(31) }],
    ['too-large', { model: { ...logreg, inputs: 1 << 24, outputs: 1 << 10 } }],
  ] satisfies [string, Partial<TrainRequest>][])('refuses with %s a request that is wrong (%#)', async (code, part) => {
    await expect(engine.train({ ...onClouds, ...part })).rejects.toMatchObject({ code });
  });

  test('does not start when the signal is aborted', async () => {
    const train = engine.train(onClouds, undefined, AbortSignal.abort());
    await expect(train).rejects.toMatchObject({ code: 'interrupted' });
  });

  test.each(deep ? Object.keys(OPTIMIZERS) : ['sgd', 'adam', 'sgd near its base'])(
    'goes on from any state of a training with %s as if it had not stopped',
    async (name) => {
      const model = deep ? mlp : logreg;
      const examples = deep ? brightTenths(40, 50) : clouds(40);
      // 5 batches per pass, 15 steps: states after 4, 8 and 12 stand within passes.
      const hyper: HyperParameters = { ...OPTIMIZERS[name]!, learningRate: 0.01, batch: 8, epochs: 3 };
      const whole = { model, weights: initial(model), examples, hyper, seed: seed(5) };
      const states: TrainState[] = [];
      const plain = await engine.train(whole);
      const { weights, steps } = await engine.train({ ...whole, stateEvery: 4 }, undefined, undefined, (state) => {
        checkShapes(state.tensors, stateShapes(model, hyper));
        states.push(state);
      });
      if (exact) expect(paramsHash(weights)).toBe(paramsHash(plain.weights));
      expect([steps, ...states.map(({ step }) => step)]).toEqual([15, 4, 8, 12]);
      for (const [index, from] of states.entries()) {
        const part = { ...whole, from, toStep: Math.min(15, from.step + 4) };
        const end: TrainState[] = [];
        const result = await engine.train(part, undefined, undefined, (state) => end.push(state));
        const next = states[index + 1];
        expect(end.map(({ step }) => step)).toEqual(next === undefined ? [] : [next.step]);
        if (!exact) continue;
        if (next === undefined) expect(paramsHash(result.weights)).toBe(paramsHash(weights));
        else expect(stateHash(end[0]!)).toBe(stateHash(next));
      }
    },
  );

  test.each([
    ['bad-job', { toStep: 0 }],
    ['bad-job', { toStep: 17 }],
    ['bad-job', { stateEvery: 0 }],
    ['bad-job', { from: { step: 0, tensors: initial(logreg) } }],
    ['bad-job', { from: { step: 16, tensors: initial(logreg) } }],
    ['bad-job', { from: { step: 3, tensors: initial(logreg) }, toStep: 3 }],
    ['shape-mismatch', { from: { step: 3, tensors: initial(mlp) } }],
    [
      'bad-blob',
      { from: { step: 3, tensors: initial(logreg).map((one) => ({ ...one, data: one.data.map(() => NaN) })) } },
    ],
  ] satisfies [string, Partial<TrainRequest>][])('refuses with %s a part that is none (%#)', async (code, part) => {
    await expect(engine.train({ ...onClouds, ...part })).rejects.toMatchObject({ code });
  });

  if (deep)
    test('learns with hidden layers and adam', async () => {
      const examples = brightTenths(200, 50);
      const hyper: HyperParameters = { optimizer: 'adam', learningRate: 0.01, batch: 16, epochs: 8 };
      const request = { model: mlp, weights: initial(mlp), examples, hyper, seed: seed(4) };
      const [a, b] = await Promise.all([engine.train(request), engine.train(request)]);
      if (exact) expect(paramsHash(a.weights)).toBe(paramsHash(b.weights));
      expect((await engine.evaluate(mlp, a.weights, examples)).accuracy).toBeGreaterThan(0.95);
    });

  test('answers nothing after close', async () => {
    const other = await make();
    await other.close();
    await other.close();
    await expect(other.train(onClouds)).rejects.toMatchObject({ code: 'interrupted' });
  });
});
