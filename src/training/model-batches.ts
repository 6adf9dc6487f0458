import { prng } from '../learning/prng.js';
import type { Bytes } from '../hash.js';
import type { Examples } from '../learning/types.js';

export interface Batch {
  readonly rows: number;
  /** [rows, inputs] */
  readonly features: Float32Array;
  readonly labels: Examples['labels'];
}

/** Turns stored features into inputs: value / scale, rounded once to float32. */
export function makeReader(features: Examples['features'], scale: number): (at: number) => number {
  if (features instanceof Float32Array) return (at) => features[at]!;
  const table = Float32Array.from({ length: 256 }, (_, value) => value / scale);
  return (at) => table[features[at]!]!;
}

/** Rows `from` to `to` (exclusive) in stored order, [to - from, inputs]. */
export function rowsOf(
  features: Examples['features'],
  scale: number,
  inputs: number,
  from: number,
  to: number,
): Float32Array {
  const read = makeReader(features, scale);
  const out = new Float32Array((to - from) * inputs);
  for (let i = 0, at = from * inputs; i < out.length; i++, at++) out[i] = read(at);
  return out;
}

/**
 * Batches for ever: each pass visits every example once, in an order drawn from (seed, pass); the last batch of a pass
 * holds what is left. The order is Fisher-Yates on prng(seed, "shuffle/<pass>"), passes counted from 0.
 *
 * @param step  batches to leave out at the beginning
 */
export function* batchesForever(examples: Examples, batchSize: number, seed: Bytes, step = 0): Generator<Batch, never> {
  const { rows, inputs, features, labels } = examples;
  const read = makeReader(features, examples.scale);
  const perPass = Math.ceil(rows / batchSize);
  for (let pass = Math.floor(step / perPass), skip = step % perPass; ; pass++, skip = 0) {
    const order = prng(seed, `shuffle/${pass}`).shuffle(rows);
    for (let from = skip * batchSize; from < rows; from += batchSize) {
      const picked = order.subarray(from, Math.min(from + batchSize, rows));
      yield gather(picked, inputs, labels, read);
    }
  }
}

function gather(picked: Uint32Array, inputs: number, labels: Examples['labels'], read: (at: number) => number): Batch {
  const rows = picked.length;
  const features = new Float32Array(rows * inputs);
  const batchLabels = labels instanceof Int32Array ? new Int32Array(rows) : new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const from = picked[row]! * inputs;
    for (let i = 0; i < inputs; i++) features[row * inputs + i] = read(from + i);
    batchLabels[row] = labels[picked[row]!]!;
  }
  return { rows, features, labels: batchLabels };
}
