import * as tf from '@tensorflow/tfjs-core';
import type { GptSpec } from '../learning/types.js';
import type { Weights } from './net.js';
import { byName } from './net-weights.js';

type Find = ReturnType<typeof byName>;

/** Small beside the variance of what is normalised (GPT-2). */
const EPSILON = 1e-5;
/** Beside it any score vanishes in a softmax. */
const UNSEEN = -1e9;

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
  const mask = causalMask(time);
  for (let layer = 0; layer < layers; layer++) {
    const name = `block_${layer}`;
    const seen = attention(spec, linear(find, `${name}/attend`, norm(find, `${name}/norm_0`, stream)), rows, mask);
    stream = tf.add(stream, linear(find, `${name}/gather`, seen));
    const wide = gelu(linear(find, `${name}/up`, norm(find, `${name}/norm_1`, stream))); // [rows x time, 4 width]
    stream = tf.add(stream, linear(find, `${name}/down`, wide));
  }
  return tf.matMul(norm(find, 'norm', stream), find<tf.Tensor2D>('tokens'), false, true);
}

function linear(find: Find, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return tf.add(tf.matMul(x, find<tf.Tensor2D>(`${name}/kernel`)), find(`${name}/bias`));
}

/** Each row to mean 0 and variance 1, then gain and bias (Ba, Kiros and Hinton 2016, arXiv:1607.06450). */
function norm(find: Find, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const spread = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), EPSILON));
  return tf.add(tf.mul(tf.mul(centred, spread), find(`${name}/gain`)), find(`${name}/bias`));
}

/** x Phi(x) in the form with tanh of Hendrycks and Gimpel 2016, arXiv:1606.08415. */
function gelu(x: tf.Tensor2D): tf.Tensor2D {
  const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / 3.141592653589793));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
}

/** Causal attention of several heads. Queries, keys and values side by side, [rows x time, 3 width] -> [rows x time, width] */
function attention(
  { inputs: time, heads, width }: GptSpec,
  x: tf.Tensor2D,
  rows: number,
  mask: tf.Tensor,
): tf.Tensor2D {
  const size = width / heads;
  const [q, k, v] = tf
    .split(x, 3, 1)
    .map((part) => tf.transpose(tf.reshape(part, [rows, time, heads, size]), [0, 2, 1, 3])); // [rows, heads, time, size]
  const scores = tf.add(tf.mul(tf.matMul(q!, k!, false, true), 1 / Math.sqrt(size)), mask); // [rows, heads, time, time]
  const seen = tf.matMul(tf.softmax(scores), v!); // [rows, heads, time, size]
  return tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [rows * time, width]);
}

/** 0 where a place may look, far below every score where the text goes on. [time, time] */
function causalMask(time: number): tf.Tensor2D {
  const mask = new Float32Array(time * time);
  for (let from = 0; from < time; from++) for (let to = from + 1; to < time; to++) mask[from * time + to] = UNSEEN;
  return tf.tensor2d(mask, [time, time]);
}
