import * as tf from '@tensorflow/tfjs-core';
import type { Examples, Task } from '../learning/types.js';
import type { Batch } from './model-batches.js';
import { batchLoss } from './model-loss.js';
import type { Net, NetGradients, Weights } from './net.js';

let tape: Promise<unknown> | undefined;

/** tfjs-core has the derivatives of its operations but registers none in its build for Node.js; tfjs-layers does, and takes 0.2 s to load. */
export function loadTape(): Promise<unknown> {
  return (tape ??= import('@tensorflow/tfjs-layers'));
}

/**
 * Gradients by the tape of tfjs, from one forward pass. The loss itself is worked out from the outputs in float64; what goes back
 * into the tape is its slope, as tensors, so that a backend that cannot answer at once (a GPU) is waited for once per step.
 */
export async function automaticGradients(
  net: Omit<Net, 'gradients'>,
  weights: Weights,
  batch: Batch,
): Promise<NetGradients> {
  await loadTape();
  const { task, outputs: width } = net.spec;
  const targets = net.targets(batch);
  const { outputs, gradients } = tf.tidy(() => {
    let outputs!: tf.Tensor2D;
    const { grads } = tf.engine().gradients(() => {
      outputs = tf.keep(net.forward(weights, batch.features, batch.rows));
      return withSlope(task, targets, width)(outputs);
    }, [...weights]);
    return { outputs, gradients: grads };
  });
  try {
    return { loss: batchLoss(task, await outputs.data<'float32'>(), targets, width), gradients };
  } finally {
    outputs.dispose();
  }
}

/** A stand-in for the mean loss: its value is 0, its derivative by the outputs is that of the loss. */
function withSlope(task: Task, targets: Examples['labels'], width: number): (outputs: tf.Tensor2D) => tf.Tensor {
  return tf.customGrad((outputs, save) => {
    (save as tf.GradSaveFunc)([outputs as tf.Tensor]);
    const gradFunc = (_: tf.Tensor, [saved]: tf.Tensor[]): tf.Tensor => {
      const [rows] = [targets.length];
      if (task === 'regression')
        return tf.mul(tf.sub(saved!, tf.tensor2d(targets as Float32Array, [rows, 1])), 2 / rows);
      if (task === 'multilabel') {
        const asked = tf.tensor2d(bitsOf(targets, width), [rows, width]);
        return tf.mul(tf.sub(tf.sigmoid(saved!), asked), 1 / (rows * width));
      }
      const wanted = tf.oneHot(tf.tensor1d(targets as Int32Array, 'int32'), width);
      return tf.mul(tf.sub(tf.softmax(saved as tf.Tensor2D), wanted), 1 / rows); // [rows, width]
    };
    return { value: tf.scalar(0), gradFunc: gradFunc };
  });
}

/** [rows] sets of labels -> [rows, width] of 0 and 1 */
function bitsOf(sets: Examples['labels'], width: number): Float32Array {
  return Float32Array.from(
    { length: sets.length * width },
    (_, i) => (sets[Math.floor(i / width)]! >> (i % width)) & 1,
  );
}
