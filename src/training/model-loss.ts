import { exp, log } from '../learning/math.js';
import type { Examples, Task } from '../learning/types.js';

/** Loss of one batch and its derivative by the outputs of the last layer. */
export interface BatchLoss {
  /** Sum over the rows, float64, added in row order. */
  readonly sum: number;
  /** Rows whose largest output is the label (the first of equals); of multilabel the share of labels, added over the rows; 0 for regression. */
  readonly hits: number;
  /** d(mean loss) / d(output), [rows, outputs]. */
  readonly delta: Float32Array;
}

/**
 * Softmax cross-entropy (classification), squared error (regression) or the mean of a row's binary cross-entropies (multilabel), in float64
 * from float32 outputs.
 *
 * @param outputs  [rows, width] logits or values, row-major
 * @param labels   one per row: class in [0, width), set of labels whose bit i is output i, or the wanted value
 * @param each     takes the loss of each row
 */
export function batchLoss(
  task: Task,
  outputs: Float32Array,
  labels: Examples['labels'],
  width: number,
  each?: Float64Array,
): BatchLoss {
  const rows = labels.length;
  if (task === 'multilabel') return multilabelLoss(outputs, labels, width, each);
  const delta = new Float32Array(outputs.length);
  let sum = 0;
  let hits = 0;
  for (let row = 0; row < rows; row++) {
    const at = row * width;
    const label = labels[row]!;
    if (task === 'regression') {
      const error = outputs[at]! - label;
      const loss = error * error;
      sum += loss;
      if (each !== undefined) each[row] = loss;
      delta[at] = (2 * error) / rows;
      continue;
    }
    const best = largest(outputs, at, width);
    const total = exponentials(outputs, at, width, outputs[at + best]!);
    const loss = log(total) - (outputs[at + label]! - outputs[at + best]!);
    sum += loss;
    if (each !== undefined) each[row] = loss;
    if (best === label) hits += 1;
    for (let i = 0; i < width; i++) delta[at + i] = (powers[i]! / total - (i === label ? 1 : 0)) / rows;
  }
  return { sum, hits, delta };
}

/** Of a label z with answer y: max(z, 0) - z y + log(1 + exp(-|z|)), which no z overflows. A label is said where its output is above 0. */
function multilabelLoss(
  outputs: Float32Array,
  labels: Examples['labels'],
  width: number,
  each: Float64Array | undefined,
): BatchLoss {
  const rows = labels.length;
  const delta = new Float32Array(outputs.length);
  let sum = 0;
  let right = 0;
  for (let row = 0; row < rows; row++) {
    let loss = 0;
    for (let i = 0; i < width; i++) {
      const z = outputs[row * width + i]!;
      const wanted = (labels[row]! >> i) & 1;
      loss += Math.max(z, 0) - z * wanted + log(1 + exp(-Math.abs(z)));
      if (z > 0 === (wanted === 1)) right += 1;
      delta[row * width + i] = (sigmoid(z) - wanted) / (rows * width);
    }
    sum += loss / width;
    if (each !== undefined) each[row] = loss / width;
  }
  return { sum, hits: right / width, delta };
}

function sigmoid(z: number): number {
  const power = exp(-Math.abs(z));
  return (z >= 0 ? 1 : power) / (1 + power);
}

/** What outputs stand for: probabilities of classes, a probability for each label, or the values themselves. [rows, width] -> [rows, width] */
export function answersOf(task: Task, outputs: Float32Array, width: number): Float32Array {
  if (task === 'regression') return outputs;
  return task === 'classification' ? softmaxRows(outputs, width) : outputs.map(sigmoid);
}

/** Softmax over each row, rounded once to float32. [rows, width] -> [rows, width] */
export function softmaxRows(outputs: Float32Array, width: number): Float32Array {
  const probabilities = new Float32Array(outputs.length);
  for (let at = 0; at < outputs.length; at += width) {
    const total = exponentials(outputs, at, width, outputs[at + largest(outputs, at, width)]!);
    for (let i = 0; i < width; i++) probabilities[at + i] = powers[i]! / total;
  }
  return probabilities;
}

let powers = new Float64Array(16);

/** Fills `powers` with exp(output - peak) and answers their sum, which is in [1, width]. */
function exponentials(outputs: Float32Array, at: number, width: number, peak: number): number {
  if (powers.length < width) powers = new Float64Array(width);
  let total = 0;
  for (let i = 0; i < width; i++) {
    const power = exp(outputs[at + i]! - peak);
    powers[i] = power;
    total += power;
  }
  return total;
}

function largest(outputs: Float32Array, at: number, width: number): number {
  let best = 0;
  for (let i = 1; i < width; i++) if (outputs[at + i]! > outputs[at + best]!) best = i;
  return best;
}
