import { prng } from '../learning/prng.js';
import type { Bytes } from '../hash.js';
import type { Examples } from '../learning/types.js';

export interface Batch {
  readonly rows: number;
  /** [rows, inputs] */
  readonly features: Float32Array;
  readonly labels: Examples['labels'];
}

/** Copies `count` stored features from `at` on to `to` in `out` as inputs: value / scale, rounded once to float32. */
type Reader = (at: number, count: number, out: Float32Array, to: number) => void;

function makeReader(features: Examples['features'], scale: number): Reader {
  if (features instanceof Float32Array) return (at, count, out, to) => out.set(features.subarray(at, at + count), to);
  const table = Float32Array.from({ length: 256 }, (_, value) => value / scale);
  return (at, count, out, to) => {
    for (let i = 0; i < count; i++) out[to + i] = table[features[at + i]!]!;
  };
}

/** Rows `from` to `to` (exclusive) in stored order, [to - from, inputs]. */
export function rowsOf(
  features: Examples['features'],
  scale: number,
  inputs: number,
  from: number,
  to: number,
): Float32Array {
  const out = new Float32Array((to - from) * inputs);
  makeReader(features, scale)(from * inputs, out.length, out, 0);
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

function gather(picked: Uint32Array, inputs: number, labels: Examples['labels'], read: Reader): Batch {
  const rows = picked.length;
  const features = new Float32Array(rows * inputs);
  const batchLabels = labels instanceof Int32Array ? new Int32Array(rows) : new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    read(picked[row]! * inputs, inputs, features, row * inputs);
    batchLabels[row] = labels[picked[row]!]!;
  }
  return { rows, features, labels: batchLabels };
}
