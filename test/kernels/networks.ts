import { createHash } from 'node:crypto';
import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';
import { stream } from './cases.js';

/** Small networks over tf.variable and tf.train.adam, from numbers that every machine draws alike. */
export interface Network {
  readonly name: string;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly inputs: readonly number[];
  readonly logits: (x: tf.Tensor4D, w: (name: string) => tf.Variable<tf.Rank.R4>) => tf.Tensor;
}
const CLASSES = 3;
const BATCH = 6;

const dense = (x: tf.Tensor, w: (name: string) => tf.Tensor, name: string): tf.Tensor =>
  tf.add(tf.matMul(tf.reshape(x, [x.shape[0], -1]), w(`${name}/w`)), w(`${name}/b`));

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
  const x: tf.Tensor4D = values([BATCH, ...inputs], 1);
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
