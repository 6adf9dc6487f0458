import { exp } from './math.js';

/** How good answers are. Sums in float64, in the order of the rows. */

const LN_2 = 0.6931471805599453;

/** @param loss  mean cross-entropy per token, in nats */
export function perplexity(loss: number): number {
  return exp(loss);
}

/** Of a mean cross-entropy in nats: per token, so per character or byte where those are the tokens. */
export function bits(loss: number): number {
  return loss / LN_2;
}

/**
 * Share of rows whose label is among the `k` largest outputs; of equal outputs the first counts as larger.
 *
 * @param outputs  [rows, width], row-major
 * @param labels   classes in [0, width)
 */
export function topAccuracy(outputs: ArrayLike<number>, labels: ArrayLike<number>, width: number, k: number): number {
  let hits = 0;
  for (let row = 0; row < labels.length; row++) {
    const at = row * width;
    const [label, own] = [labels[row]!, outputs[at + labels[row]!]!];
    let before = 0;
    for (let i = 0; i < width; i++) if (outputs[at + i]! > own || (outputs[at + i]! === own && i < label)) before += 1;
    if (before < k) hits += 1;
  }
  return hits / labels.length;
}

/**
 * Share of rows whose labels are all right; a label is said where its probability is above one half.
 *
 * @param outputs  [rows, width], row-major
 * @param labels   sets, bit i for label i
 */
export function exactMatches(outputs: ArrayLike<number>, labels: ArrayLike<number>, width: number): number {
  let hits = 0;
  for (let row = 0; row < labels.length; row++) {
    let said = 0;
    for (let i = 0; i < width; i++) if (outputs[row * width + i]! > 0.5) said |= 1 << i;
    if (said === labels[row]) hits += 1;
  }
  return hits / labels.length;
}

export function meanAbsoluteError(values: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let sum = 0;
  for (let row = 0; row < wanted.length; row++) sum += Math.abs(values[row]! - wanted[row]!);
  return sum / wanted.length;
}

export function rootMeanSquaredError(values: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let sum = 0;
  for (let row = 0; row < wanted.length; row++) {
    const error = values[row]! - wanted[row]!;
    sum += error * error;
  }
  return Math.sqrt(sum / wanted.length);
}

/**
 * Area under the ROC curve: how likely a row of class 1 has a higher score than one of class 0, a tie counting half. By mean ranks
 * (Mann and Whitney 1947; Hanley and McNeil 1982).
 *
 * @returns null where one of the classes is missing
 */
export function areaUnderCurve(scores: ArrayLike<number>, labels: ArrayLike<number>): number | null {
  const order = Array.from(scores, (_, row) => row).sort((a, b) => scores[a]! - scores[b]!);
  let positives = 0;
  let ranks = 0; // of the positives, from 1
  for (let from = 0, to = 0; from < order.length; from = to) {
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) to += 1;
    const here = order.slice(from, to).filter((row) => labels[row] === 1).length;
    positives += here;
    ranks += (here * (from + 1 + to)) / 2;
  }
  const negatives = order.length - positives;
  if (positives === 0 || negatives === 0) return null;
  return (ranks - (positives * (positives + 1)) / 2) / (positives * negatives);
}
