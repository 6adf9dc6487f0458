import { createHash } from 'node:crypto';
import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';
import { selfAttention } from '../../src/kernels/attention.js';
import { gelu } from '../../src/kernels/gelu.js';
import { lstm } from '../../src/kernels/lstm.js';
import { layerNorm } from '../../src/kernels/norm.js';
import { stream } from './cases.js';

/** Small networks over tf.variable and tf.train.adam, from numbers that every machine draws alike. */
export interface Network {
  readonly name: string;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly inputs: readonly number[];
  readonly logits: (x: tf.Tensor4D, w: (name: string) => tf.Variable<tf.Rank.R4>) => tf.Tensor;
}
type Weights = Parameters<Network['logits']>[1];
const CLASSES = 3;
const BATCH = 6;

const dense = (x: tf.Tensor, w: (name: string) => tf.Tensor, name: string): tf.Tensor =>
  tf.add(tf.matMul(tf.reshape(x, [x.shape[0], -1]), w(`${name}/w`)), w(`${name}/b`));

/** [batch, time, width]: a vector for each of the 11 symbols that the numbers in [-1, 1) of x are taken for. */
const embed = (x: tf.Tensor, w: Weights): tf.Tensor3D =>
  tf.gather(w('embedding'), tf.cast(tf.floor(tf.mul(tf.add(x, 1), 5.5)), 'int32')) as unknown as tf.Tensor3D;

/** Over the batch and the places, as in training. Once: shifts before a second one have a gradient of nothing but rounding. */
function normalize(x: tf.Tensor4D, w: Weights, name: string): tf.Tensor4D {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  return tf.batchNorm4d(x, mean as tf.Tensor1D, variance as tf.Tensor1D, flat(w(`${name}/b`)), flat(w(`${name}/g`)));
}

const flat = (x: tf.Tensor): tf.Tensor1D => tf.reshape(x, [-1]);
const WIDTH = 12;
const HEADS = 2;
const TIME = 7;

/** One block of a decoder, before the head: [batch, time, width]. */
function block(x: tf.Tensor3D, w: Weights, isFused: boolean): tf.Tensor3D {
  const matrix = (name: string): tf.Tensor2D => w(name) as unknown as tf.Tensor2D;
  const rows = (y: tf.Tensor, by: string): tf.Tensor2D =>
    tf.matMul(tf.reshape<tf.Rank.R2>(y, [-1, y.shape.at(-1)!]), matrix(by));
  const norm = (y: tf.Tensor3D, name: string): tf.Tensor3D => {
    if (isFused) return layerNorm(y, flat(w(`${name}/g`)), flat(w(`${name}/b`)));
    const { mean, variance } = tf.moments(y, -1, true);
    const scaled = tf.mul(tf.sub(y, mean), tf.rsqrt(tf.add(variance, 1e-5)));
    return tf.add(tf.mul(scaled, flat(w(`${name}/g`))), flat(w(`${name}/b`)));
  };
  const sides = rows(norm(x, 'n0'), 'qkv'); // queries, keys, values
  const [q, k, v] = tf
    .split(tf.reshape(sides, [-1, TIME, 3 * HEADS, WIDTH / HEADS]), 3, 2)
    .map((part) => tf.transpose<tf.Tensor4D>(part as tf.Tensor4D, [0, 2, 1, 3])) as [
    tf.Tensor4D,
    tf.Tensor4D,
    tf.Tensor4D,
  ];
  const future = tf.mul(tf.sub(1, tf.linalg.bandPart(tf.ones([TIME, TIME]), -1, 0)), -1e9);
  const weights = (): tf.Tensor4D =>
    tf.softmax(tf.add<tf.Tensor4D>(tf.mul(tf.matMul(q, k, false, true), Math.sqrt(HEADS / WIDTH)), future));
  const together = isFused
    ? selfAttention(sides, { texts: x.shape[0], heads: HEADS }, { causal: true })
    : tf.reshape(tf.transpose(tf.matMul(weights(), v), [0, 2, 1, 3]), [-1, WIDTH]);
  const seen = tf.add<tf.Tensor3D>(x, tf.reshape(rows(together, 'out'), x.shape));
  const wide = rows(norm(seen, 'n1'), 'up');
  const bent = isFused ? gelu(wide) : tf.mul(wide, tf.sigmoid(tf.mul(wide, 1.702)));
  return tf.add(seen, tf.reshape(rows(bent, 'down'), x.shape));
}

const transformer = (isFused: boolean): Network => ({
  name: `a block of a transformer, ${isFused ? 'of fused functions' : 'of the operations of tfjs'}`,
  inputs: [TIME],
  shapes: {
    embedding: [11, WIDTH],
    'n0/g': [WIDTH],
    'n0/b': [WIDTH],
    'n1/g': [WIDTH],
    'n1/b': [WIDTH],
    qkv: [WIDTH, 3 * WIDTH],
    out: [WIDTH, WIDTH],
    up: [WIDTH, 4 * WIDTH],
    down: [4 * WIDTH, WIDTH],
    '0/w': [TIME * WIDTH, CLASSES],
    '0/b': [CLASSES],
  },
  logits: (x, w) => dense(block(embed(x, w), w, isFused), w, '0'),
});

const UNITS = 10;
const recurrent = (isFused: boolean): Network => ({
  name: `an embedding and an LSTM, ${isFused ? 'in one function' : 'of the operations of tfjs'}`,
  inputs: [TIME],
  shapes: {
    embedding: [11, WIDTH],
    kernel: [WIDTH, 4 * UNITS],
    recurrent: [UNITS, 4 * UNITS],
    bias: [4 * UNITS],
    '0/w': [TIME * UNITS, CLASSES],
    '0/b': [CLASSES],
  },
  logits(x, w) {
    const options = {
      kernel: w('kernel') as unknown as tf.Tensor2D,
      recurrentKernel: w('recurrent') as unknown as tf.Tensor2D,
      bias: flat(w('bias')),
    };
    return dense(isFused ? lstm(embed(x, w), options).h : unrolled(embed(x, w), options), w, '0');
  },
});

/** [batch, time, units]; gates in the order of Keras. */
function unrolled(
  x: tf.Tensor3D,
  { kernel, recurrentKernel, bias }: { kernel: tf.Tensor2D; recurrentKernel: tf.Tensor2D; bias: tf.Tensor1D },
): tf.Tensor3D {
  let h = tf.zeros<tf.Rank.R2>([x.shape[0], UNITS]);
  let c = h;
  const states = (tf.unstack(x, 1) as tf.Tensor2D[]).map((now) => {
    const sums = tf.add<tf.Tensor2D>(tf.add(tf.matMul(now, kernel), tf.matMul(h, recurrentKernel)), bias);
    const [i, f, g, o] = tf.split(sums, 4, 1) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    c = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
    h = tf.mul(tf.sigmoid(o), tf.tanh(c));
    return h;
  });
  return tf.stack(states, 1) as tf.Tensor3D;
}

export const networks: readonly Network[] = [
  {
    name: 'two dense layers',
    inputs: [3, 4, 2],
    shapes: { '0/w': [24, 33], '0/b': [33], '1/w': [33, CLASSES], '1/b': [CLASSES] },
    logits: (x, w) => dense(tf.relu(dense(x, w, '0')), w, '1'),
  },
  {
    name: 'convolutions with maximum pooling, like LeNet',
    inputs: [12, 12, 1],
    shapes: {
      c0: [5, 5, 1, 6],
      c1: [3, 3, 6, 9],
      '0/w': [36, 20],
      '0/b': [20],
      '1/w': [20, CLASSES],
      '1/b': [CLASSES],
    },
    logits(x, w) {
      const first = tf.maxPool(tf.conv2d(x, w('c0'), 1, 'same'), 2, 2, 'valid'); // [batch, 6, 6, 6]: negative values too
      const second = tf.maxPool(tf.relu(tf.conv2d(first, w('c1'), 1, 'valid')), 2, 2, 'valid'); // [batch, 2, 2, 9]
      return dense(tf.relu(dense(second, w, '0')), w, '1');
    },
  },
  {
    name: 'strided and depthwise convolutions with average pooling',
    inputs: [11, 9, 3],
    shapes: { c0: [3, 3, 3, 8], d0: [3, 3, 8, 1], d1: [2, 2, 8, 2], '0/w': [32, CLASSES], '0/b': [CLASSES] },
    logits(x, w) {
      const first = tf.relu(tf.conv2d(x, w('c0'), 2, 'same')); // [batch, 6, 5, 8]
      const second = tf.relu(tf.depthwiseConv2d(first, w('d0'), 1, 'same'));
      const third = tf.depthwiseConv2d(second, w('d1'), 1, 'valid'); // [batch, 5, 4, 16]
      return dense(tf.avgPool(third, [4, 3], [1, 2], 'valid'), w, '0'); // [batch, 2, 1, 16]
    },
  },
  {
    name: 'depthwise convolutions with batch normalization',
    inputs: [9, 8, 3],
    shapes: {
      d0: [3, 3, 3, 2],
      'n0/g': [6],
      'n0/b': [6],
      c1: [1, 1, 6, 10],
      b1: [10],
      '0/w': [200, CLASSES],
      '0/b': [CLASSES],
    },
    logits(x, w) {
      const first = tf.relu(normalize(tf.depthwiseConv2d(x, w('d0'), 2, 'same'), w, 'n0')); // [batch, 5, 4, 6]
      return dense(tf.relu6(tf.add(tf.conv2d(first, w('c1'), 1, 'same'), flat(w('b1')))), w, '0');
    },
  },
  recurrent(false),
  recurrent(true),
  transformer(false),
  transformer(true),
];

export interface Training {
  step(): number;
  weights(): Float32Array[];
  stop(): void;
}

export function startTraining({ shapes, inputs, logits }: Network): Training {
  const next = stream(1);
  const values = <R extends tf.Rank>(shape: readonly number[], scale: number): tf.Tensor<R> => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => (next() * 2 - 1) * scale);
    return tf.tensor<R>(data, [...shape] as tf.ShapeMap[R]);
  };
  const variables = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const fanIn = shape.slice(0, -1).reduce((a, b) => a * b, 1);
      return [name, tf.variable(values(shape, 1.5 / Math.sqrt(fanIn)))];
    }),
  );
  const x = values<tf.Rank.R4>([BATCH, ...inputs], 1);
  const labels = tf.oneHot(tf.tensor1d([0, 1, 2, 2, 1, 0], 'int32'), CLASSES);
  const optimizer = tf.train.adam(0.01);
  const loss = (): tf.Scalar =>
    tf.losses.softmaxCrossEntropy(
      labels,
      logits(x, (name) => variables[name] as tf.Variable<tf.Rank.R4>),
    );
  return {
    step() {
      const value = optimizer.minimize(loss, true)!;
      const number = value.dataSync()[0]!;
      value.dispose();
      return number;
    },
    weights: () => Object.values(variables).map((variable) => variable.dataSync<'float32'>().slice()),
    stop() {
      tf.dispose([x, labels, ...Object.values(variables)]);
      optimizer.dispose();
    },
  };
}

export const STEPS = 100;

/** The weights after `steps` steps on the current backend. */
export function train(network: Network, steps: number): Float32Array[] {
  const training = startTraining(network);
  for (let i = 0; i < steps; i++) training.step();
  const weights = training.weights();
  training.stop();
  return weights;
}

export function hashOf(weights: readonly Float32Array[]): string {
  const hash = createHash('sha256');
  for (const data of weights) hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex').slice(0, 16);
}
