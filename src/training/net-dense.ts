import * as tf from '@tensorflow/tfjs-core';
import { denseWidths } from '../learning/architecture.js';
import type { DenseSpec } from '../learning/types.js';
import type { Batch } from './model-batches.js';
import { batchLoss } from './model-loss.js';
import type { NetGradients, Weights } from './net.js';
import { byName } from './net-weights.js';

/**
 * A stack of dense layers on the current tfjs backend: relu between layers, none after the last. Back-propagation is
 * written out, so that which operations run, and in which order, is ours.
 */
interface Layer {
  readonly kernel: tf.Tensor2D;
  readonly bias: tf.Tensor1D;
}

function layersOf(spec: DenseSpec, weights: Weights): readonly Layer[] {
  const find = byName(spec, weights);
  return denseWidths(spec)
    .slice(1)
    .map((_, layer) => ({ kernel: find(`dense_${layer}/kernel`), bias: find(`dense_${layer}/bias`) }));
}

/** Outputs of the last layer, [rows, outputs]. */
export function denseForward(spec: DenseSpec, weights: Weights, features: Float32Array, rows: number): tf.Tensor2D {
  return activations(spec, layersOf(spec, weights), features, rows).at(-1)!;
}

export async function denseGradients(spec: DenseSpec, weights: Weights, batch: Batch): Promise<NetGradients> {
  const layers = layersOf(spec, weights);
  const hidden = tf.tidy(() => activations(spec, layers, batch.features, batch.rows));
  try {
    const loss = batchLoss(spec.task, await hidden.at(-1)!.data<'float32'>(), batch.labels, spec.outputs);
    return { loss, gradients: tf.tidy(() => backwards(layers, hidden, loss.delta)) };
  } finally {
    tf.dispose(hidden);
  }
}

/** @param slope  d(mean loss) / d(outputs), [rows, outputs] */
function backwards(layers: readonly Layer[], hidden: readonly tf.Tensor2D[], slope: Float32Array): tf.Tensor[] {
  const found: tf.Tensor[] = [];
  let delta = tf.tensor2d(slope, hidden.at(-1)!.shape); // [rows, out]
  for (let layer = layers.length - 1; layer >= 0; layer--) {
    const below = hidden[layer]!; // [rows, in]
    found.unshift(tf.sum(delta, 0), tf.matMul(below, delta, true)); // [out], [in, out]: bias before kernel, by name
    if (layer === 0) break;
    const back = tf.matMul(delta, layers[layer]!.kernel, false, true); // [rows, in]
    delta = tf.mul(back, tf.step(below)); // relu' is 1 above 0
  }
  return inOrderOfNames(found, layers.length);
}

/** `dense_10` comes before `dense_2`. */
function inOrderOfNames(slopes: readonly tf.Tensor[], layers: number): tf.Tensor[] {
  const order = Array.from({ length: layers }, (_, layer) => layer).sort((a, b) => (`${a}/` < `${b}/` ? -1 : 1));
  return order.flatMap((layer) => slopes.slice(2 * layer, 2 * layer + 2));
}

/** The inputs followed by the output of each layer. */
function activations(spec: DenseSpec, layers: readonly Layer[], features: Float32Array, rows: number): tf.Tensor2D[] {
  const all = [tf.tensor2d(features, [rows, spec.inputs])];
  for (const [i, { kernel, bias }] of layers.entries()) {
    const sum = tf.add(tf.matMul(all[i]!, kernel), bias);
    all.push((i === layers.length - 1 ? sum : tf.relu(sum)) as tf.Tensor2D); // [rows, outputs]
  }
  return all;
}
