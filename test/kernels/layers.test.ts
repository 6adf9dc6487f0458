import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { useFusedLayers } from '../../src/kernels/layers.js';
import { draw, startBackends } from './cases.js';

beforeAll(startBackends);
let undo = (): void => undefined;
afterEach(() => undo());

/** Kernels that ran, by name. */
function watch<T>(work: () => T): { readonly result: T; readonly ran: Set<string> } {
  const ran = new Set<string>();
  const engine = tf.engine();
  const before = engine.runKernel.bind(engine);
  engine.runKernel = (name, ...rest) => {
    ran.add(name);
    return before(name, ...rest);
  };
  try {
    return { result: work(), ran };
  } finally {
    engine.runKernel = before;
  }
}

const initializers = (seed: number) => ({
  kernelInitializer: layers.initializers.glorotUniform({ seed }),
  recurrentInitializer: layers.initializers.glorotUniform({ seed: seed + 1 }),
  biasInitializer: layers.initializers.randomUniform({ minval: -1, maxval: 1, seed: seed + 2 }),
});
type Args = Omit<Parameters<typeof layers.layers.lstm>[0], 'units'>;
const [BATCH, TIME, WIDTH, UNITS] = [3, 4, 5, 6];
const { floats } = draw(1);
const x = (): tf.Tensor => tf.tensor(floats([BATCH, TIME, WIDTH]).data, [BATCH, TIME, WIDTH]);

/** Output, gradient by the input and gradients by the weights of an LSTM layer. */
function compute(args: Args, bidirectional = false): number[] {
  const lstm = layers.layers.lstm({ units: UNITS, ...initializers(1), ...args });
  const layer = bidirectional ? layers.layers.bidirectional({ layer: lstm, mergeMode: 'concat' }) : lstm;
  const input = tf.tensor(draw(2).floats([BATCH, TIME, WIDTH]).data, [BATCH, TIME, WIDTH]);
  const apply = (from: tf.Tensor): tf.Tensor => {
    const out = layer.apply(from, { training: true }) as tf.Tensor | tf.Tensor[];
    return tf.concat(
      (Array.isArray(out) ? out : [out]).map((one) => tf.reshape(one, [BATCH, -1])),
      1,
    );
  };
  const out = apply(input);
  const loss = (from: tf.Tensor): tf.Scalar => tf.sum(tf.square(apply(from)));
  const byInput = tf.grad(loss)(input);
  const { grads } = tf.variableGrads(() => loss(input));
  const byWeights = layer.trainableWeights.map((weight) => grads[(weight.read() as tf.Variable).name]!);
  const values = [out, byInput, ...byWeights].flatMap((tensor) => [...tensor.dataSync()]);
  layer.dispose();
  return values;
}

const fused: [string, Args, boolean?][] = [
  ['as it comes', {}],
  ['of sigmoid gates', { recurrentActivation: 'sigmoid' }],
  ['without bias', { useBias: false }],
  ['that returns sequences', { returnSequences: true }],
  ['that returns its state', { returnState: true, returnSequences: true }],
  ['that goes backwards', { goBackwards: true, returnSequences: true }],
  ['inside of bidirectional', { returnSequences: true }, true],
];

test.each(fused)('an LSTM layer %s takes one kernel, with the same results', (_, args, bidirectional = false) => {
  const wanted = compute(args, bidirectional);
  undo = useFusedLayers();
  const { result, ran } = watch(() => compute(args, bidirectional));
  expect([ran.has('Lstm'), ran.has('LstmGrad'), ran.has('Tanh')]).toEqual([true, true, false]);
  expect(result.length).toBe(wanted.length);
  for (const [i, value] of wanted.entries()) expect(result[i]).toBeCloseTo(value, 4);
});

const stock: [string, Args][] = [
  ['of other activations', { activation: 'relu' }],
  ['of other gates', { recurrentActivation: 'relu' }],
  ['with dropout', { dropout: 0.5 }],
  ['with recurrent dropout', { recurrentDropout: 0.5 }],
];

test.each(stock)('an LSTM layer %s runs as before', (_, args) => {
  undo = useFusedLayers();
  expect(watch(() => compute(args)).ran.has('Lstm')).toBe(false);
});

test('dropout is none in a prediction: one kernel', () => {
  undo = useFusedLayers();
  const layer = layers.layers.lstm({ units: UNITS, dropout: 0.5, ...initializers(1) });
  expect(watch(() => layer.apply(x())).ran.has('Lstm')).toBe(true);
});

test('a mask, and the cpu backend, run as before', async () => {
  const model = layers.sequential({
    layers: [
      layers.layers.masking({ inputShape: [TIME, WIDTH], maskValue: 0 }),
      layers.layers.lstm({ units: UNITS, ...initializers(1) }),
    ],
  });
  undo = useFusedLayers();
  expect(watch(() => model.predict(x())).ran.has('Lstm')).toBe(false);
  await tf.setBackend('cpu');
  const { ran } = watch(() => layers.layers.lstm({ units: UNITS, ...initializers(1) }).apply(x()));
  expect([ran.has('Lstm'), ran.has('Unpack')]).toEqual([false, true]); // steps as tfjs-layers cuts them
  await tf.setBackend('wasm');
});

test('an LSTM with a state goes on from it, and from one that it is given', () => {
  const run = (): number[] => {
    const layer = layers.layers.lstm({
      units: UNITS,
      stateful: true,
      batchInputShape: [BATCH, TIME, WIDTH],
      ...initializers(5),
    });
    const input = tf.tensor(draw(6).floats([BATCH, TIME, WIDTH]).data, [BATCH, TIME, WIDTH]);
    const outs = [layer.apply(input), layer.apply(input)] as tf.Tensor[];
    layer.resetStates();
    outs.push(layer.apply(input) as tf.Tensor);
    const own = [7, 8].map((seed) => tf.tensor(draw(seed).floats([BATCH, UNITS]).data, [BATCH, UNITS]));
    const free = layers.layers.lstm({ units: UNITS, ...initializers(5) });
    outs.push(free.apply(input, { initialState: own }) as tf.Tensor);
    return outs.flatMap((out) => [...out.dataSync()]);
  };
  const wanted = run();
  undo = useFusedLayers();
  const { result, ran } = watch(run);
  expect(ran.has('Tanh')).toBe(false);
  for (const [i, value] of wanted.entries()) expect(result[i]).toBeCloseTo(value, 5);
  const size = BATCH * UNITS;
  expect(result.slice(0, size)).toEqual(result.slice(2 * size, 3 * size));
  expect(result.slice(0, size)).not.toEqual(result.slice(size, 2 * size));
});

test('a model trains to the same losses, and leaves nothing behind', async () => {
  const losses = async (): Promise<number[]> => {
    const model = layers.sequential({
      layers: [
        layers.layers.lstm({ units: UNITS, inputShape: [TIME, WIDTH], ...initializers(3) }),
        layers.layers.dense({ units: 1, kernelInitializer: layers.initializers.glorotUniform({ seed: 9 }) }),
      ],
    });
    model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
    const input = tf.tensor(draw(4).floats([16, TIME, WIDTH]).data, [16, TIME, WIDTH]);
    const y = tf.tensor(draw(5).floats([16, 1]).data, [16, 1]);
    const fit = async (): Promise<number[]> =>
      (await model.fit(input, y, { epochs: 5, batchSize: 8, shuffle: false, verbose: 0 })).history['loss'] as number[];
    const first = await fit();
    const before = tf.memory().numTensors;
    await fit();
    expect(tf.memory().numTensors).toBe(before);
    return first;
  };
  const wanted = await losses();
  undo = useFusedLayers();
  expect(useFusedLayers()).toBe(undo);
  for (const [i, value] of (await losses()).entries()) expect(value).toBeCloseTo(wanted[i]!, 4);
});
