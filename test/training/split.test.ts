import { describe, expect, it } from 'vitest';
import type { Examples } from '../../src/learning/types.js';
import { splitDataset } from '../../src/training/split.js';

const seed = new Uint8Array(32).fill(9);
/** The feature is the example's number, the label its last digit. */
function numbered(rows: number): Examples {
  const features = Float32Array.from({ length: rows }, (_, i) => i);
  return { rows, inputs: 1, features, scale: 1, labels: Int32Array.from(features, (x) => x % 10) };
}
const ids = (sets: readonly Examples[]) => sets.flatMap((set) => [...set.features]).sort((a, b) => a - b);

describe('splitDataset', () => {
  it('gives every example one place: 1,000 are 100 for A, 100 for B and 3 shards of 267, 267, 266', () => {
    const { shards, a, b } = splitDataset(numbered(1000), { shards: 3, seed });
    expect([a.rows, b.rows, ...shards.map((shard) => shard.rows)]).toEqual([100, 100, 267, 267, 266]);
    expect(ids([a, b, ...shards])).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    for (const set of [a, b])
      for (let c = 0; c < 10; c++) expect([...set.labels].filter((x) => x === c).length).toBe(10);
  });

  it('keeps labels with their features', () => {
    const { shards } = splitDataset(numbered(100), { shards: 2, seed });
    for (const { features, labels } of shards) features.forEach((x, i) => expect(labels[i]).toBe(x % 10));
  });

  it('takes B from a test set as it is', () => {
    const test = numbered(7);
    const { shards, a, b } = splitDataset(numbered(100), { shards: 2, seed, test });
    expect(b).toBe(test);
    expect(ids([a, ...shards]).length).toBe(100);
  });

  it('follows the seed', () => {
    const split = splitDataset(numbered(100), { shards: 2, seed });
    expect(splitDataset(numbered(100), { shards: 2, seed })).toEqual(split);
    expect(splitDataset(numbered(100), { shards: 2, seed: new Uint8Array(32) })).not.toEqual(split);
  });

  it('gives each shard two labels when asked', () => {
    const { shards } = splitDataset(numbered(1000), {
      shards: 5,
      seed,
      partition: { name: 'label-k', labelsPerShard: 2 },
    });
    for (const { labels } of shards) expect(new Set(labels).size).toBe(2);
  });

  it('keeps rows of one owner in one shard, whichever of them A and B took', () => {
    const owners = Int32Array.from({ length: 1000 }, (_, i) => Math.floor(i / 100));
    const partition = { name: 'by-column', column: 'who' } as const;
    const { shards, a, b } = splitDataset(numbered(1000), { shards: 3, seed, owners, partition });
    expect(ids([a, b, ...shards])).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    const seen = shards.map(({ features }) => [...new Set([...features].map((x) => Math.floor(x / 100)))]);
    expect(seen.flat().sort()).toEqual(Array.from({ length: 10 }, (_, owner) => owner));
  });

  it('refuses too few examples, a fraction out of range, and labels per shard without classes', () => {
    expect(() => splitDataset(numbered(3), { shards: 1, seed })).toThrow(
      expect.objectContaining({ code: 'bad-dataset' }),
    );
    expect(() => splitDataset(numbered(10), { shards: 9, seed })).toThrow(
      expect.objectContaining({ code: 'bad-dataset' }),
    );
    for (const evalFraction of [0, 0.5, NaN]) {
      expect(() => splitDataset(numbered(100), { shards: 1, seed, evalFraction })).toThrow(
        expect.objectContaining({ code: 'bad-usage' }),
      );
    }
    const values = { ...numbered(100), labels: new Float32Array(100) };
    expect(() => splitDataset(values, { shards: 2, seed, partition: { name: 'label-k', labelsPerShard: 2 } })).toThrow(
      expect.objectContaining({ code: 'bad-usage' }),
    );
  });
});
