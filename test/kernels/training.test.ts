import { execFileSync } from 'node:child_process';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startBackends, stream } from './cases.js';
import { hashOf, networks, startTraining, STEPS, train } from './networks.js';

beforeAll(startBackends);
beforeEach(async () => {
  await tf.setBackend('wasm');
});

/** Of the weights after STEPS steps. They change only together with a kernel, and so with the engine id. */
const golden: Readonly<Record<string, string>> = {
  'two dense layers': 'aa62ede2be2d049f',
  'convolutions with maximum pooling, like LeNet': 'f64e83027dbc3cfa',
  'strided and depthwise convolutions with average pooling': '3f47ddf661c2c9e1',
  'depthwise convolutions with batch normalization': 'f11775f40ee35990',
  'an embedding and an LSTM, of the operations of tfjs': '607cbe4fbb294913',
  'an embedding and an LSTM, in one function': '967d2064b0036a7d',
  'a block of a transformer, of the operations of tfjs': 'e5c7890c3c84ac44',
  'a block of a transformer, of fused functions': 'c42842256dceec49',
};

describe.each(networks)('$name', (network) => {
  test('ends after 100 steps of Adam where the cpu backend ends', async () => {
    const ours = train(network, STEPS);
    await tf.setBackend('cpu');
    const wanted = train(network, STEPS);
    // Rounding differs from the first step on, and Adam divides by the root of what may be almost nothing.
    expect(distance(ours, wanted) / distance(train(network, 0), wanted)).toBeLessThan(1e-5);
  });

  test('learns, and ends in the same bits every time, on every release of Node.js', () => {
    const training = startTraining(network);
    const losses = Array.from({ length: STEPS }, () => training.step());
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 4);
    const hash = hashOf(training.weights());
    training.stop();
    expect(hashOf(train(network, STEPS))).toBe(hash);
    if (process.arch === 'x64') expect(hash).toBe(golden[network.name]);
  });

  test('leaves nothing behind after three hundred steps', () => {
    const training = startTraining(network);
    const heap = (): number => (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length;
    for (let i = 0; i < 5; i++) training.step();
    const before = { tensors: tf.memory().numTensors, bytes: tf.memory().numBytes, heap: heap() };
    for (let i = 0; i < 300; i++) training.step();
    expect({ tensors: tf.memory().numTensors, bytes: tf.memory().numBytes, heap: heap() }).toEqual(before);
    training.stop();
  });
});

const distance = (a: readonly Float32Array[], b: readonly Float32Array[]): number =>
  Math.hypot(...a.map((data, i) => Math.hypot(...data.map((value, j) => value - b[i]![j]!))));

/** Of V8: other processors, and code of its first compiler alone. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  'a processor without AVX and fused multiply-add': ['--no-enable-avx', '--no-enable-avx2', '--no-enable-fma3'],
  'a processor of 2008, without SSE 4.2': [
    '--no-enable-avx',
    '--no-enable-sse4-2',
    '--no-enable-popcnt',
    '--no-enable-bmi2',
  ],
  'code that is compiled once': ['--liftoff-only'],
  'four threads': [],
};

test.each(Object.entries(OTHERS))('the bits are the same with %s', (name, flags) => {
  const words = [
    ...flags,
    '--import',
    'tsx',
    'test/kernels/print-hashes.ts',
    ...(name === 'four threads' ? ['4'] : []),
  ];
  const stdout = execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  expect(JSON.parse(stdout)).toEqual(hashes());
});

const made = new Map<string, string>();
/** Of this process, each worked out once. */
const hashes = (): Record<string, string> =>
  Object.fromEntries(
    networks.map((network) => {
      const hash = made.get(network.name) ?? hashOf(train(network, STEPS));
      made.set(network.name, hash);
      return [network.name, hash];
    }),
  );

test('fit, evaluate and predict of tf.layers, and the optimizers of tfjs, work as on the cpu backend', async () => {
  const next = stream(5);
  const data = Float32Array.from({ length: 24 * 8 * 8 }, () => next());
  const run = async (optimizer: string | tf.Optimizer): Promise<number[]> => {
    const model = layers.sequential({
      layers: [
        layers.layers.conv2d({
          inputShape: [8, 8, 1],
          filters: 4,
          kernelSize: 3,
          activation: 'relu',
          kernelInitializer: layers.initializers.glorotUniform({ seed: 1 }),
        }),
        layers.layers.maxPooling2d({ poolSize: 2 }),
        layers.layers.flatten(),
        layers.layers.dense({
          units: 1,
          activation: 'sigmoid',
          kernelInitializer: layers.initializers.glorotUniform({ seed: 2 }),
        }),
      ],
    });
    model.compile({ optimizer, loss: 'binaryCrossentropy', metrics: ['accuracy'] });
    const x = tf.tensor4d(data, [24, 8, 8, 1]);
    const y = tf.tensor2d(
      Array.from({ length: 24 }, (_, i) => (data[i * 64]! > 0.5 ? 1 : 0)),
      [24, 1],
    );
    const history = await model.fit(x, y, {
      epochs: 3,
      batchSize: 8,
      shuffle: false,
      validationSplit: 0.25,
      verbose: 0,
    });
    const [loss] = model.evaluate(x, y, { batchSize: 24 }) as tf.Scalar[];
    const predicted = model.predict(x) as tf.Tensor;
    return [...(history.history['val_loss'] as number[]), ...loss!.dataSync(), ...predicted.dataSync()];
  };
  for (const optimizer of ['sgd', 'momentum', 'adam', 'adamax', 'adagrad', 'rmsprop', 'adadelta']) {
    const make = () => (optimizer === 'momentum' ? tf.train.momentum(0.01, 0.9) : optimizer); // no name in tf.layers
    await tf.setBackend('wasm');
    const ours = await run(make());
    await tf.setBackend('cpu');
    const wanted = await run(make());
    expect(Math.max(...wanted.map((value, i) => Math.abs(value - ours[i]!))), optimizer).toBeLessThan(1e-4);
  }
});
