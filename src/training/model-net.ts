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
export function forward(layers: readonly Layer[], features: Float32Array, rows: number): Float32Array {
  let outputs: Float32Array = new Float32Array(0);
  tf.tidy(() => {
    outputs = read(activations(layers, features, rows).at(-1)!);
  });
  return outputs;
}

/**
 * Gradients in the order of the layers, kernel before bias, and what `lossOf` made of the outputs.
 *
 * @param lossOf  gets the outputs [rows, outputs] and answers d(loss) / d(outputs) of the same size
 */
export function gradients<L extends { readonly delta: Float32Array }>(
  layers: readonly Layer[],
  batch: Batch,
  lossOf: (outputs: Float32Array) => L,
): { readonly loss: L; readonly gradients: readonly Float32Array[] } {
  const found: Float32Array[] = [];
  let loss!: L;
  // Arrays leave tidy by assignment: a typed array returned from it is walked element by element.
  tf.tidy(() => {
    const hidden = activations(layers, batch.features, batch.rows);
    loss = lossOf(read(hidden.at(-1)!));
    let delta = tf.tensor2d(loss.delta, [batch.rows, layers.at(-1)!.outputs]); // [rows, out]
    for (let layer = layers.length - 1; layer >= 0; layer--) {
      const { inputs, outputs, kernel } = layers[layer]!;
      const below = hidden[layer]!; // [rows, in]
      found.unshift(read(tf.matMul(below, delta, true)), read(tf.sum(delta, 0))); // [in, out], [out]
      if (layer === 0) break;
      const back = tf.matMul(delta, tf.tensor2d(kernel, [inputs, outputs]), false, true); // [rows, in]
      delta = tf.mul(back, tf.step(below)); // relu' is 1 above 0
    }
  });
  return { loss, gradients: found };
}

/** The inputs followed by the output of each layer. */
function activations(layers: readonly Layer[], features: Float32Array, rows: number): readonly tf.Tensor2D[] {
  const all = [tf.tensor2d(features, [rows, layers[0]!.inputs])];
  for (const [i, { kernel, bias, inputs, outputs }] of layers.entries()) {
    const sum = tf.add(tf.matMul(all[i]!, tf.tensor2d(kernel, [inputs, outputs])), tf.tensor1d(bias));
    all.push((i === layers.length - 1 ? sum : tf.relu(sum)) as tf.Tensor2D); // [rows, outputs]
  }
  return all;
}

/** On `cpu` these are the tensor's own values: nobody writes to them, and the tensor ends with its tidy. */
function read(tensor: tf.Tensor): Float32Array {
  return tensor.dataSync<'float32'>();
}
