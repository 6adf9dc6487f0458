import type { Bytes } from '../hash.js';
import { NmktError } from '../errors.js';
import { prng } from './prng.js';

/** Indices of examples, each index in exactly one part. */
export type Partition = Uint32Array[];

function tooFew(message: string, expected: string, got: string): NmktError {
  return new NmktError('bad-dataset', message, { remedy: 'use fewer shards or more examples', expected, got });
}

/** Cuts into parts whose sizes differ by at most one, the longer ones first. */
function deal(order: Uint32Array, parts: number): Partition {
  const base = Math.floor(order.length / parts);
  const longer = order.length % parts;
  return Array.from({ length: parts }, (_, i) =>
    order.slice(i * base + Math.min(i, longer), (i + 1) * base + Math.min(i + 1, longer)),
  );
}

/**
 * Shards of a uniform shuffle; sizes differ by at most one.
 *
 * @throws NmktError `bad-dataset` when a shard would be empty
 */
export function iid(n: number, shards: number, seed: Bytes): Partition {
  if (shards < 1 || n < shards)
    throw tooFew(`cannot cut ${n} examples into ${shards} shards`, `1 to ${n} shards`, `${shards}`);
  return deal(prng(seed, 'partition/iid').shuffle(n), shards);
}

/** Adds to the list; spread into `push`, some hundred thousand arguments end the stack. */
export function append(list: number[], indices: Uint32Array): void {
  for (const index of indices) list.push(index);
}

/** Labels ascending, their examples in the given order. */
export function indicesByLabel(labels: Int32Array, order: Uint32Array): Map<number, Uint32Array> {
  const lists = new Map<number, number[]>();
  for (const index of order) {
    const label = labels[index]!;
    const list = lists.get(label);
    if (list === undefined) lists.set(label, [index]);
    else list.push(index);
  }
  return new Map([...lists].sort(([a], [b]) => a - b).map(([label, list]) => [label, Uint32Array.from(list)]));
}

/**
 * Shards with the classes in the proportions of the whole, up to one example of each; sizes differ by at most one.
 *
 * @throws NmktError `bad-dataset` when a shard would be empty
 */
export function stratified(labels: Int32Array, shards: number, seed: Bytes): Partition {
  if (shards < 1 || labels.length < shards)
    throw tooFew(
      `cannot cut ${labels.length} examples into ${shards} shards`,
      `1 to ${labels.length} shards`,
      `${shards}`,
    );
  const order = prng(seed, 'partition/stratified').shuffle(labels.length);
  // Dealt one by one, class after class, so that no shard is far ahead in any.
  const parts: number[][] = Array.from({ length: shards }, () => []);
  let next = 0;
  for (const members of indicesByLabel(labels, order).values())
    for (const index of members) parts[next++ % shards]!.push(index);
  return parts.map((part) => Uint32Array.from(part));
}

/**
 * Each shard holds examples of exactly k labels (`#C = k` of Li et al. 2022, arXiv:2102.02079): labels in a random order
 * are dealt to the shards k at a time, round and round, and a label's examples are shared evenly among its shards.
 *
 * @param k  in [1, labels that occur], and shards * k >= labels that occur, so that none is left out
 * @throws   NmktError `bad-dataset`
 */
export function labelK(labels: Int32Array, shards: number, k: number, seed: Bytes): Partition {
  const stream = prng(seed, 'partition/label-k');
  const byLabel = indicesByLabel(labels, stream.shuffle(labels.length));
  const present = [...byLabel.keys()];
  const classes = present.length;
  if (k < 1 || k > classes || shards * k < classes)
    throw tooFew(
      `cannot give ${k} labels to each of ${shards} shards`,
      `k in [1, ${classes}] and shards x k >= ${classes}`,
      `k ${k}, shards ${shards}`,
    );
  const dealt = [...stream.shuffle(classes)].map((i) => present[i]!);
  const owners = new Map<number, number[]>(present.map((label) => [label, []]));
  for (let slot = 0; slot < shards * k; slot++) owners.get(dealt[slot % classes]!)!.push(Math.floor(slot / k));
  const parts: number[][] = Array.from({ length: shards }, () => []);
  for (const [label, indices] of byLabel) {
    const holders = owners.get(label)!;
    if (indices.length < holders.length)
      throw tooFew(
        `label ${label} is too rare for its ${holders.length} shards`,
        `${holders.length} examples`,
        `${indices.length}`,
      );
    deal(indices, holders.length).forEach((part, i) => append(parts[holders[i]!]!, part));
  }
  return parts.map((part) => Uint32Array.from(part));
}

/**
 * Splits by fractions, each class in the same proportion up to one example. A class's examples are shuffled and spread
 * evenly over [0, 1); cutting that line at the fractions cuts every class there.
 *
 * @param labels     class indices, or a number of examples without classes
 * @param fractions  each in (0, 1), sum below 1
 * @returns          one part per fraction, of round(n * fraction) examples, then the rest
 */
export function stratifiedSplit(labels: Int32Array | number, fractions: readonly number[], seed: Bytes): Partition {
  const n = typeof labels === 'number' ? labels : labels.length;
  const order = prng(seed, 'partition/split').shuffle(n);
  const classes = typeof labels === 'number' ? [order] : [...indicesByLabel(labels, order).values()];
  const place = new Float64Array(n);
  for (const members of classes) members.forEach((index, rank) => (place[index] = (rank + 0.5) / members.length));
  const line = order.slice().sort((a, b) => place[a]! - place[b]! || a - b);
  const ends = fractions.map((_, i) =>
    Math.round(n * fractions.slice(0, i + 1).reduce((sum, fraction) => sum + fraction, 0)),
  );
  return [...ends, n].map((end, i) => line.slice(ends[i - 1] ?? 0, end));
}
