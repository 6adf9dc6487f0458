import * as tf from '@tensorflow/tfjs-core';
import { POOL } from '../learning/architecture.js';
import type { CnnSpec } from '../learning/types.js';
import type { Weights } from './net.js';
import { byName } from './net-weights.js';

/** [rows, height x width x channels] -> [rows, outputs] */
export function cnnForward(spec: CnnSpec, weights: Weights, features: Float32Array, rows: number): tf.Tensor2D {
  const find = byName(spec, weights);
  const [height, width, channels] = spec.shape as [number, number, number];
  let maps = tf.tensor4d(features, [rows, height, width, channels]);
  spec.filters.forEach((_, layer) => {
    const sums = tf.conv2d(maps, find<tf.Tensor4D>(`conv_${layer}/kernel`), 1, 'same');
    maps = tf.maxPool(tf.relu(tf.add<tf.Tensor4D>(sums, find(`conv_${layer}/bias`))), POOL, POOL, 'valid');
  });
  let flat: tf.Tensor2D = tf.reshape(maps, [rows, -1]);
  const last = spec.hidden.length;
  for (let layer = 0; layer <= last; layer++) {
    const sum = tf.add<tf.Tensor2D>(
      tf.matMul(flat, find<tf.Tensor2D>(`dense_${layer}/kernel`)),
      find(`dense_${layer}/bias`),
    );
    flat = layer === last ? sum : tf.relu(sum);
  }
  return flat;
}
