import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers the gradients
import { FusedAdam } from '../src/kernels/adam.js';
import { lstm as sequence } from '../src/kernels/lstm.js';
import { parameterShapes } from '../src/learning/params.js';
import type { GptSpec } from '../src/learning/types.js';
import { gptForward } from '../src/training/net-gpt.js';

/** Small models written out over tfjs, as a user would, with one Adam step to be timed. */
export interface BenchModel {
  readonly name: string;
  /** What is counted: `samples`, `tokens`. */
  readonly unit: string;
  /** Examples per step on wasm; cpu gets fewer where one step would take too long. */
  readonly batch: number;
  readonly cpuBatch: number;
  /** Makes the variables on the current backend and answers a step over `batch` examples. */
  start(batch: number): { readonly step: () => void; readonly stop: () => void };
}

type Loss = () => tf.Scalar;

/** Optimizer and variables of one training; `lossOf` gets the variables by name. */
function training(
  shapes: Readonly<Record<string, readonly number[]>>,
  inputs: tf.Tensor[],
  lossOf: (w: Weights) => tf.Scalar,
) {
  const names = Object.keys(shapes);
  const weights = Object.fromEntries(
    names.map((name, i) => {
      const fanIn = shapes[name]!.slice(0, -1).reduce((a, b) => a * b, 1);
      const value = /[/](b|bias)$/.test(name)
        ? tf.zeros([...shapes[name]!])
        : name.endsWith('/gain')
          ? tf.ones([...shapes[name]!])
          : tf.randomNormal([...shapes[name]!], 0, 1 / Math.sqrt(fanIn), 'float32', i + 1);
      return [name, tf.variable(value)];
    }),
  );
  // Where our kernels are, their Adam; a user changes one word for it.
  const fused = tf.getBackend() === 'wasm' && tf.getKernel('FusedAdamStep', 'wasm') !== undefined;
  const optimizer = fused ? new FusedAdam({ learningRate: 1e-3 }) : tf.train.adam(1e-3);
  const loss: Loss = () => lossOf((name) => weights[name]!);
  return {
    step: () => void optimizer.minimize(loss, false, Object.values(weights)),
    stop: () => {
      tf.dispose([...inputs, ...Object.values(weights)]);
      optimizer.dispose();
    },
  };
}
type Weights = (name: string) => tf.Variable;

const labels = (batch: number, classes: number): tf.Tensor =>
  tf.oneHot(
    Array.from({ length: batch }, (_, i) => (i * 7) % classes),
    classes,
  );

const dense = (x: tf.Tensor, w: Weights, name: string): tf.Tensor =>
  tf.add(tf.matMul(x, w(`${name}/w`)), w(`${name}/b`));

const mlp: BenchModel = {
  name: 'MLP 784-128-10',
  unit: 'samples',
  batch: 64,
  cpuBatch: 64,
  start(batch) {
    const x = tf.randomUniform([batch, 784], 0, 1, 'float32', 1);
    const y = labels(batch, 10);
    const shapes = { '0/w': [784, 128], '0/b': [128], '1/w': [128, 10], '1/b': [10] };
    return training(shapes, [x, y], (w) => {
      const hidden = tf.relu(dense(x, w, '0')); // [batch, 128]
      return tf.losses.softmaxCrossEntropy(y, dense(hidden, w, '1'));
    });
  },
};

const lenet: BenchModel = {
  name: 'LeNet 28x28',
  unit: 'samples',
  batch: 64,
  cpuBatch: 16,
  start(batch) {
    const x = tf.randomUniform<tf.Rank.R4>([batch, 28, 28, 1], 0, 1, 'float32', 1);
    const y = labels(batch, 10);
    const shapes = {
      'c0/w': [5, 5, 1, 6],
      'c0/b': [6],
      'c1/w': [5, 5, 6, 16],
      'c1/b': [16],
      '0/w': [400, 120],
      '0/b': [120],
      '1/w': [120, 84],
      '1/b': [84],
      '2/w': [84, 10],
      '2/b': [10],
    };
    return training(shapes, [x, y], (w) => {
      const conv = (h: tf.Tensor4D, name: string, pad: 'same' | 'valid'): tf.Tensor4D => {
        const sums = tf.conv2d(h, w(`${name}/w`) as unknown as tf.Tensor4D, 1, pad);
        return tf.maxPool(tf.relu(tf.add<tf.Tensor4D>(sums, w(`${name}/b`))), 2, 2, 'valid');
      };
      const maps = conv(conv(x, 'c0', 'same'), 'c1', 'valid'); // [batch, 5, 5, 16]
      const flat = tf.reshape(maps, [batch, 400]);
      return tf.losses.softmaxCrossEntropy(y, dense(tf.relu(dense(tf.relu(dense(flat, w, '0')), w, '1')), w, '2'));
    });
  },
};

const lstm: BenchModel = {
  name: 'LSTM 64, 20 steps',
  unit: 'samples',
  batch: 32,
  cpuBatch: 32,
  start(batch) {
    const [time, units, words] = [20, 64, 100];
    const ids = tf.tensor2d(
      Array.from({ length: batch * time }, (_, i) => (i * 31) % words),
      [batch, time],
      'int32',
    );
    const y = labels(batch, 2);
    const shapes = {
      embedding: [words, units],
      'cell/w': [2 * units, 4 * units],
      'cell/b': [4 * units],
      'out/w': [units, 2],
      'out/b': [2],
    };
    return training(shapes, [ids, y], (w) => {
      const steps = tf.unstack(tf.gather(w('embedding'), ids), 1); // time times [batch, units]
      let [c, h] = [tf.zeros([batch, units]), tf.zeros([batch, units])];
      for (const x of steps) {
        const [i, f, o, g] = tf.split(dense(tf.concat([x, h], 1), w, 'cell'), 4, 1);
        c = tf.add(tf.mul(tf.sigmoid(f!), c), tf.mul(tf.sigmoid(i!), tf.tanh(g!)));
        h = tf.mul(tf.sigmoid(o!), tf.tanh(c));
      }
      return tf.losses.softmaxCrossEntropy(y, dense(h, w, 'out'));
    });
  },
};

/** The same size, as one kernel over the sequence. Where ours are not, `sequence` is a composition of stock kernels. */
const fusedLstm: BenchModel = {
  ...lstm,
  name: 'fused LSTM 64, 20 steps',
  start(batch) {
    const [time, units, words] = [20, 64, 100];
    const ids = tf.tensor2d(
      Array.from({ length: batch * time }, (_, i) => (i * 31) % words),
      [batch, time],
      'int32',
    );
    const y = labels(batch, 2);
    const shapes = {
      embedding: [words, units],
      'cell/w': [units, 4 * units],
      'cell/r': [units, 4 * units],
      'cell/b': [4 * units],
      'out/w': [units, 2],
      'out/b': [2],
    };
    return training(shapes, [ids, y], (w) => {
      const x = tf.gather<tf.Tensor>(w('embedding'), ids) as tf.Tensor3D; // [batch, time, units]
      const { h } = sequence(x, {
        kernel: w('cell/w') as unknown as tf.Tensor2D,
        recurrentKernel: w('cell/r') as unknown as tf.Tensor2D,
        bias: w('cell/b') as unknown as tf.Tensor1D,
      });
      const last = tf.reshape(tf.slice(h, [0, time - 1, 0], [batch, 1, units]), [batch, units]);
      return tf.losses.softmaxCrossEntropy(y, dense(last, w, 'out'));
    });
  },
};

/** Written out of operations of tfjs. */
const gpt: BenchModel = {
  name: 'char-GPT 4x128, context 64',
  unit: 'tokens',
  batch: 16,
  cpuBatch: 1,
  start(batch) {
    const [layers, width, heads, time, words] = [4, 128, 4, 64, 65];
    const ids = tf.tensor2d(
      Array.from({ length: batch * time }, (_, i) => (i * 31) % words),
      [batch, time],
      'int32',
    );
    const y = labels(batch * time, words);
    const mask = tf.mul(tf.sub(tf.linalg.bandPart(tf.ones([time, time]), -1, 0), 1), 1e9);
    const shapes: Record<string, number[]> = { words: [words, width], places: [time, width] };
    for (let i = 0; i < layers; i++)
      for (const [name, wide, narrow] of [
        ['qkv', 3 * width, width],
        ['proj', width, width],
        ['up', 4 * width, width],
        ['down', width, 4 * width],
      ] as const)
        Object.assign(shapes, { [`${i}/${name}/w`]: [narrow, wide], [`${i}/${name}/b`]: [wide] });
    return training(shapes, [ids, y, mask], (w) => {
      const rows = batch * time;
      const norm = (x: tf.Tensor): tf.Tensor => {
        const centred = tf.sub(x, tf.mean(x, -1, true));
        return tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5)));
      };
      const split = (x: tf.Tensor): tf.Tensor =>
        tf.transpose(tf.reshape(x, [batch, time, heads, width / heads]), [0, 2, 1, 3]); // [batch, heads, time, size]
      const looked = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor => {
        const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(width / heads)), mask);
        return tf.matMul(tf.softmax(scores), v);
      };
      let h: tf.Tensor = tf.reshape(tf.add(tf.gather(w('words'), ids), w('places')), [rows, width]);
      for (let i = 0; i < layers; i++) {
        const [q, k, v] = tf.split(dense(norm(h), w, `${i}/qkv`), 3, 1).map(split);
        const seen = tf.transpose(looked(q!, k!, v!), [0, 2, 1, 3]);
        h = tf.add(h, dense(tf.reshape(seen, [rows, width]), w, `${i}/proj`));
        h = tf.add(h, dense(tf.relu(dense(norm(h), w, `${i}/up`)), w, `${i}/down`));
      }
      return tf.losses.softmaxCrossEntropy(y, tf.matMul(norm(h), w('words'), false, true));
    });
  },
};

/** The same size as nmkt trains it: its forward pass, with biases and gains of layer normalization, and GELU. The loss is that of tfjs. */
const ownGpt: BenchModel = {
  ...gpt,
  name: `nmkt's char-GPT 4x128, context 64`,
  start(batch) {
    const [time, words] = [64, 65];
    const spec: GptSpec = {
      ...{ model: 'gpt', task: 'classification', inputs: time, outputs: words },
      ...{ layers: 4, width: 128, heads: 4 },
    };
    const ids = Float32Array.from({ length: batch * time }, (_, i) => (i * 31) % words);
    const y = labels(batch * time, words);
    const shapes = parameterShapes(spec).map(({ name, shape }) => [name, [...shape]] as const);
    return training(Object.fromEntries(shapes), [y], (w) => {
      const weights = shapes.map(([name]) => w(name));
      return tf.losses.softmaxCrossEntropy(y, gptForward(spec, weights, ids, batch));
    });
  },
};

export const models: readonly BenchModel[] = [mlp, lenet, lstm, gpt, fusedLstm, ownGpt];
/** Examples in `batch`: a text is `context` tokens. */
export function examplesIn(model: BenchModel, batch: number): number {
  return model.unit === 'tokens' ? batch * 64 : batch;
}
