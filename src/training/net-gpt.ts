import * as tf from '@tensorflow/tfjs-core';
import { selfAttention } from '../kernels/attention.js';
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
  const { inputs: time, layers, heads, width } = spec;
  const find = byName(spec, weights);
  const ids = tf.tensor1d(Int32Array.from(features), 'int32');
  const words = tf.reshape(tf.gather(find('tokens'), ids), [rows, time, width]);
  let stream: tf.Tensor2D = tf.reshape(tf.add(words, find('positions')), [rows * time, width]);
  for (let layer = 0; layer < layers; layer++) {
    const name = `block_${layer}`;
    const sides = linear(find, `${name}/attend`, norm(find, `${name}/norm_0`, stream)); // queries, keys, values
    const seen = selfAttention(sides, { texts: rows, heads }, { causal: true }); // [rows x time, width]
    stream = tf.add(stream, linear(find, `${name}/gather`, seen));
    const sums = tf.matMul<tf.Tensor2D>(norm(find, `${name}/norm_1`, stream), find<tf.Tensor2D>(`${name}/up/kernel`));
    const wide = gelu(sums, 'tanh', find<tf.Tensor1D>(`${name}/up/bias`)); // [rows x time, 4 width]
    stream = tf.add(stream, linear(find, `${name}/down`, wide));
  }
  return tf.matMul(norm(find, 'norm', stream), find<tf.Tensor2D>('tokens'), false, true);
}

function linear(find: Find, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const product = { a: x, b: find<tf.Tensor2D>(`${name}/kernel`), bias: find(`${name}/bias`) };
  return tf.fused.matMul(product) as tf.Tensor2D;
}

function norm(find: Find, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return layerNorm(x, find<tf.Tensor1D>(`${name}/gain`), find<tf.Tensor1D>(`${name}/bias`), EPSILON);
}
