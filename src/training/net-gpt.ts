import * as tf from '@tensorflow/tfjs-core';
import { attention } from '../kernels/attention.js';
import { gelu } from '../kernels/gelu.js';
import { layerNorm } from '../kernels/norm.js';
import type { GptSpec } from '../learning/types.js';
import type { Weights } from './net.js';
import { byName } from './net-weights.js';

type Find = ReturnType<typeof byName>;

/** Small beside the variance of what is normalised (GPT-2). */
const EPSILON = 1e-5;

/**
 * Logits for the next token at each place.
 *
 * @param features  token numbers, [rows, context]
 * @returns         [rows x context, vocabulary]
 */
export function gptForward(spec: GptSpec, weights: Weights, features: Float32Array, rows: number): tf.Tensor2D {
  const { inputs: time, layers, width } = spec;
  const find = byName(spec, weights);
  const ids = tf.tensor1d(Int32Array.from(features), 'int32');
  const words = tf.reshape(tf.gather(find('tokens'), ids), [rows, time, width]);
  let stream: tf.Tensor2D = tf.reshape(tf.add(words, find('positions')), [rows * time, width]);
  for (let layer = 0; layer < layers; layer++) {
    const name = `block_${layer}`;
    const seen = attend(spec, linear(find, `${name}/attend`, norm(find, `${name}/norm_0`, stream)), rows);
    stream = tf.add(stream, linear(find, `${name}/gather`, seen));
    const wide = gelu(linear(find, `${name}/up`, norm(find, `${name}/norm_1`, stream))); // [rows x time, 4 width]
    stream = tf.add(stream, linear(find, `${name}/down`, wide));
  }
  return tf.matMul(norm(find, 'norm', stream), find<tf.Tensor2D>('tokens'), false, true);
}

function linear(find: Find, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return tf.add(tf.matMul(x, find<tf.Tensor2D>(`${name}/kernel`)), find(`${name}/bias`));
}

function norm(find: Find, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return layerNorm(x, find<tf.Tensor1D>(`${name}/gain`), find<tf.Tensor1D>(`${name}/bias`), EPSILON);
}

/** Causal attention of several heads. Queries, keys and values side by side, [rows x time, 3 width] -> [rows x time, width] */
function attend({ inputs: time, heads, width }: GptSpec, x: tf.Tensor2D, rows: number): tf.Tensor2D {
  const size = width / heads;
  const [q, k, v] = tf
    .split(x, 3, 1)
    .map((part) => tf.transpose<tf.Tensor4D>(tf.reshape(part, [rows, time, heads, size]), [0, 2, 1, 3])) as Three;
  const seen = attention(q, k, v, { causal: true }); // [rows, heads, time, size]
  return tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [rows * time, width]);
}
type Three = [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
