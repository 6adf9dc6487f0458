import * as tf from '@tensorflow/tfjs-core';
import { lstm } from '../kernels/lstm.js';
import type { LstmSpec } from '../learning/types.js';
import type { Weights } from './net.js';
import { byName } from './net-weights.js';

/**
 * Logits for the next token at each place.
 *
 * @param features  token numbers, [rows, context]
 * @returns         [rows x context, vocabulary]
 */
export function lstmForward(spec: LstmSpec, weights: Weights, features: Float32Array, rows: number): tf.Tensor2D {
  const { inputs: time, layers, width } = spec;
  const find = byName(spec, weights);
  const ids = tf.tensor1d(Int32Array.from(features), 'int32');
  let stream: tf.Tensor3D = tf.reshape(tf.gather(find('tokens'), ids), [rows, time, width]);
  for (let layer = 0; layer < layers; layer++) {
    const of = <T extends tf.Tensor>(name: string) => find<T>(`lstm_${layer}/${name}`);
    const parts = {
      kernel: of<tf.Tensor2D>('kernel'),
      recurrentKernel: of<tf.Tensor2D>('recurrent'),
      bias: of<tf.Tensor1D>('bias'),
    };
    stream = lstm(stream, parts).h;
  }
  const flat = tf.reshape<tf.Rank.R2>(stream, [rows * time, width]);
  return tf.add(tf.matMul(flat, find<tf.Tensor2D>('head/kernel')), find('head/bias'));
}
