import type * as tf from '@tensorflow/tfjs-core';
import { positions, readsTokens } from '../learning/model-cost.js';
import { parameterShapes } from '../learning/params.js';
import type { NamedShape } from '../learning/safetensors.js';
import type { Examples, ModelSpec } from '../learning/types.js';
import type { Batch } from './model-batches.js';
import type { BatchLoss } from './model-loss.js';
import { cnnForward } from './net-cnn.js';
import { automaticGradients } from './net-automatic.js';
import { denseForward, denseGradients } from './net-dense.js';
import { gptForward } from './net-gpt.js';
import { lstmForward } from './net-lstm.js';
import { sequentialForward } from './net-sequential.js';

/** A model on the current tfjs backend. Its weights are tensors of whoever trains, in the order of `shapes`. */
export interface Net {
  readonly spec: ModelSpec;
  /** In order of names, as in a ParamSet. */
  readonly shapes: readonly NamedShape[];
  /** Answers per example: 1, or one for each token. */
  readonly positions: number;
  /**
   * Logits or values, to be called within a tidy.
   *
   * @param features  [rows, inputs], row-major
   * @returns         [rows x positions, outputs], the positions of a row one after the other
   */
  forward(weights: Weights, features: Float32Array, rows: number): tf.Tensor2D;
  /** What the outputs should be: one class or value for each row of `forward`. */
  targets(batch: Batch): Examples['labels'];
  /** Waits for nothing but the backend. The gradients of the mean loss, in the order of `shapes`, are for the caller to dispose. */
  gradients(weights: Weights, batch: Batch): Promise<NetGradients>;
}
export type Weights = readonly tf.Tensor[];
export interface NetGradients {
  readonly loss: BatchLoss;
  readonly gradients: readonly tf.Tensor[];
}

/** The spec was checked before. */
export function netOf(spec: ModelSpec): Net {
  const about = {
    spec,
    shapes: parameterShapes(spec),
    positions: positions(spec),
    targets: (batch: Batch) => (readsTokens(spec) ? nextTokens(batch, spec.inputs) : batch.labels),
  };
  switch (spec.model) {
    case 'logreg':
    case 'mlp':
      return {
        ...about,
        forward: (weights, features, rows) => denseForward(spec, weights, features, rows),
        gradients: (weights, batch) => denseGradients(spec, weights, batch),
      };
    case 'cnn':
      return automatic({
        ...about,
        forward: (weights, features, rows) => cnnForward(spec, weights, features, rows),
      });
    case 'gpt':
      return automatic({
        ...about,
        forward: (weights, features, rows) => gptForward(spec, weights, features, rows),
      });
    case 'lstm':
      return automatic({
        ...about,
        forward: (weights, features, rows) => lstmForward(spec, weights, features, rows),
      });
    case 'sequential':
      return automatic({
        ...about,
        forward: (weights, features, rows) => sequentialForward(spec, weights, features, rows),
      });
  }
}

function automatic(net: Omit<Net, 'gradients'>): Net {
  return { ...net, gradients: (weights, batch) => automaticGradients(net, weights, batch) };
}

/** The features one place later, and behind them the label. [rows, inputs] and [rows] -> [rows x inputs] */
function nextTokens({ rows, features, labels }: Batch, inputs: number): Int32Array {
  const next = new Int32Array(rows * inputs);
  for (let row = 0, at = 0; row < rows; row++, at += inputs) {
    for (let i = 1; i < inputs; i++) next[at + i - 1] = features[at + i]!;
    next[at + inputs - 1] = labels[row]!;
  }
  return next;
}
