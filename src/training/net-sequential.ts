import * as tf from '@tensorflow/tfjs-core';
import type { Layer, SequentialSpec } from '../learning/types.js';
import type { Weights } from './net.js';
import { byName } from './net-weights.js';

/** [rows, inputs] -> [rows, outputs], layer by layer */
export function sequentialForward(
  spec: SequentialSpec,
  weights: Weights,
  features: Float32Array,
  rows: number,
): tf.Tensor2D {
  const find = byName(spec, weights);
  let stream: tf.Tensor = tf.tensor(features, [rows, ...spec.shape]);
  spec.stack.forEach((layer, i) => {
    stream = apply(layer, stream, <T extends tf.Tensor>(name: string) => find<T>(`layer_${i}/${name}`));
  });
  return stream as tf.Tensor2D;
}

function apply(layer: Layer, below: tf.Tensor, find: <T extends tf.Tensor>(name: string) => T): tf.Tensor {
  switch (layer.kind) {
    case 'relu':
      return tf.relu(below);
    case 'flatten':
      return tf.reshape(below, [below.shape[0], -1]);
    case 'dense':
    case 'conv': {
      const sums =
        layer.kind === 'dense'
          ? tf.matMul(below, find<tf.Tensor2D>('kernel'))
          : tf.conv2d(below as tf.Tensor4D, find<tf.Tensor4D>('kernel'), [...layer.strides], layer.padding);
      return layer.bias ? tf.add(sums, find('bias')) : sums;
    }
    case 'max-pool':
      return tf.maxPool(below as tf.Tensor4D, [...layer.size], [...layer.strides], layer.padding);
    case 'average-pool':
      return tf.avgPool(below as tf.Tensor4D, [...layer.size], [...layer.strides], layer.padding);
  }
}
