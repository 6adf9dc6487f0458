import { initialParams } from '../../src/learning/params.js';
import { prng } from '../../src/learning/prng.js';
import type { DenseSpec, Examples, ModelSpec, ParamSet, SequentialSpec } from '../../src/learning/types.js';
import type { TrainRequest } from '../../src/ports.js';

/** Two clouds in the plane around (2, 2) and (-2, -2): any linear model separates them. */
export function clouds(rows: number): Examples {
  const random = prng(new Uint8Array(32), 'clouds');
  const labels = Int32Array.from({ length: rows }, (_, row) => row % 2);
  const features = new Float32Array(rows * 2);
  for (let i = 0; i < features.length; i++) features[i] = random.float() - 0.5 + (labels[i >> 1] === 0 ? 2 : -2);
  return { rows, inputs: 2, features, scale: 1, labels };
}

/** Byte images whose class is the tenth of the pixels that is bright. */
export function brightTenths(rows: number, inputs: number): Examples {
  const random = prng(new Uint8Array(32), 'tenths');
  const labels = Int32Array.from({ length: rows }, (_, row) => row % 10);
  const features = new Uint8Array(rows * inputs);
  for (let i = 0; i < features.length; i++)
    features[i] = random.below(128) + (i % 10 === labels[Math.floor(i / inputs)] ? 127 : 0);
  return { rows, inputs, features, scale: 255, labels };
}

export const logreg: DenseSpec = { model: 'logreg', task: 'classification', inputs: 2, outputs: 2, hidden: [] };
export const mlp: DenseSpec = { model: 'mlp', task: 'classification', inputs: 50, outputs: 10, hidden: [19, 12] };

/** Each kind of layer, with and without bias, strides and both paddings. */
export const sequential: SequentialSpec = {
  ...{ model: 'sequential', task: 'classification', inputs: 9 * 8 * 2, outputs: 4, shape: [9, 8, 2] },
  stack: [
    { kind: 'conv', filters: 3, kernel: [3, 2], strides: [1, 1], padding: 'same', bias: true },
    { kind: 'relu' },
    { kind: 'max-pool', size: [2, 2], strides: [2, 2], padding: 'same' }, // [5, 4, 3]
    { kind: 'conv', filters: 5, kernel: [2, 2], strides: [2, 1], padding: 'valid', bias: false }, // [2, 3, 5]
    { kind: 'average-pool', size: [2, 2], strides: [1, 1], padding: 'valid' }, // [1, 2, 5]
    { kind: 'flatten' },
    { kind: 'dense', units: 7, bias: false },
    { kind: 'relu' },
    { kind: 'dense', units: 4, bias: true },
  ],
};

export const seed = (value: number): Uint8Array => new Uint8Array(32).fill(value);
export const initial = (spec: ModelSpec): ParamSet => initialParams(spec, seed(1));
export const zeros = (spec: ModelSpec): ParamSet =>
  initial(spec).map((tensor) => ({ ...tensor, data: new Float32Array(tensor.data.length) }));

/** Two epochs of Adam. */
export const request: TrainRequest = {
  model: mlp,
  weights: initial(mlp),
  examples: brightTenths(64, 50),
  hyper: { optimizer: 'adam', learningRate: 0.01, batch: 10, epochs: 2 },
  seed: seed(5),
};
