import * as tf from '@tensorflow/tfjs-core';
import type { ParamSet } from '../learning/types.js';
import type { Batch } from './model-batches.js';

/**
 * A stack of dense layers on the current tfjs backend: relu between layers, none after the last. Back-propagation is
 * written out, so that which operations run, and in which order, is ours.
 */
export interface Layer {
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
  readonly inputs: number;
  readonly outputs: number;
}

/** From canonical parameters; the arrays are copies, so training cannot change what the caller holds. */
export function layersOf(widths: readonly number[], weights: ParamSet): readonly Layer[] {
  const data = new Map(weights.map((tensor) => [tensor.name, tensor.data]));
  return widths.slice(1).map((outputs, layer) => ({
    kernel: new Float32Array(data.get(`dense_${layer}/kernel`)!),
    bias: new Float32Array(data.get(`dense_${layer}/bias`)!),
    inputs: widths[layer]!,
    outputs,
  }));
}

/** Outputs of the last layer, [rows, outputs], row-major. */
export async function forward(layers: readonly Layer[], features: Float32Array, rows: number): Promise<Float32Array> {
  const [outputs] = await readAll(tf.tidy(() => [activations(layers, features, rows).at(-1)!]));
  return outputs!;
}

/**
 * Gradients in the order of the layers, kernel before bias, and what `lossOf` made of the outputs.
 *
 * @param lossOf  gets the outputs [rows, outputs] and answers d(loss) / d(outputs) of the same size
 */
export async function gradients<L extends { readonly delta: Float32Array }>(
  layers: readonly Layer[],
  batch: Batch,
  lossOf: (outputs: Float32Array) => L,
): Promise<{ readonly loss: L; readonly gradients: readonly Float32Array[] }> {
  const hidden = tf.tidy(() => activations(layers, batch.features, batch.rows));
  try {
    const loss = lossOf(await hidden.at(-1)!.data<'float32'>());
    const found = tf.tidy(() => {
      const slopes: tf.Tensor[] = [];
      let delta = tf.tensor2d(loss.delta, [batch.rows, layers.at(-1)!.outputs]); // [rows, out]
      for (let layer = layers.length - 1; layer >= 0; layer--) {
        const { inputs, outputs, kernel } = layers[layer]!;
        const below = hidden[layer]!; // [rows, in]
        slopes.unshift(tf.matMul(below, delta, true), tf.sum(delta, 0)); // [in, out], [out]
        if (layer === 0) break;
        const back = tf.matMul(delta, tf.tensor2d(kernel, [inputs, outputs]), false, true); // [rows, in]
        delta = tf.mul(back, tf.step(below)); // relu' is 1 above 0
      }
      return slopes;
    });
    return { loss, gradients: await readAll(found) };
  } finally {
    tf.dispose(hidden);
  }
}

/** The inputs followed by the output of each layer. */
function activations(layers: readonly Layer[], features: Float32Array, rows: number): tf.Tensor2D[] {
  const all = [tf.tensor2d(features, [rows, layers[0]!.inputs])];
  for (const [i, { kernel, bias, inputs, outputs }] of layers.entries()) {
    const sum = tf.add(tf.matMul(all[i]!, tf.tensor2d(kernel, [inputs, outputs])), tf.tensor1d(bias));
    all.push((i === layers.length - 1 ? sum : tf.relu(sum)) as tf.Tensor2D); // [rows, outputs]
  }
  return all;
}

/**
 * The values, and the end of the tensors. Never `dataSync`: a GPU cannot answer at once (backend webgpu has no readSync in
 * Node.js). On `cpu` these are the tensor's own values: nobody writes to them any more.
 */
async function readAll(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
  try {
    return await Promise.all(tensors.map((tensor) => tensor.data<'float32'>()));
  } finally {
    tf.dispose([...tensors]);
  }
}
