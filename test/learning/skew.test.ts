import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/hash.js';
import { chanceLevel, classCounts } from '../../src/learning/balance.js';
import { stratified, type Partition } from '../../src/learning/partition.js';
import { byOwner, dirichlet, sizeSkew } from '../../src/learning/skew.js';

const SEED = sha256('skew');
const labelsOf = (rows: number, classes: number) => Int32Array.from({ length: rows }, (_, row) => row % classes);
const all = (partition: Partition) => partition.flatMap((part) => [...part]).sort((a, b) => a - b);
const numbers = (rows: number) => Array.from({ length: rows }, (_, row) => row);

const PARTITIONERS = {
  stratified: (rows: number, shards: number, seed: Uint8Array) => stratified(labelsOf(rows, 5), shards, seed),
  dirichlet: (rows: number, shards: number, seed: Uint8Array) => dirichlet(labelsOf(rows, 5), shards, 1, seed),
  'size-skew': (rows: number, shards: number, seed: Uint8Array) => sizeSkew(rows, shards, 1, seed),
  'by owner': (rows: number, shards: number, seed: Uint8Array) => byOwner(labelsOf(rows, 9), shards, seed),
};

describe.each(Object.entries(PARTITIONERS))('%s', (_, partition) => {
  test('puts every example into one shard, and none is empty', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 400 }), fc.integer({ min: 1, max: 8 }), (rows, shards) => {
        const parts = partition(rows, shards, SEED);
        expect(all(parts)).toEqual(numbers(rows));
        expect(parts).toHaveLength(shards);
        expect(Math.min(...parts.map((part) => part.length))).toBeGreaterThan(0);
      }),
      { numRuns: 30 },
    );
  });

  test('follows from its seed', () => {
    expect(partition(300, 4, SEED)).toEqual(partition(300, 4, SEED));
    expect(partition(300, 4, SEED)).not.toEqual(partition(300, 4, sha256('another')));
  });
});

test('stratified: each class in every shard, up to one example', () => {
  const labels = labelsOf(103, 4);
  for (const part of stratified(labels, 5, SEED)) {
    const counts = [0, 1, 2, 3].map((label) => [...part].filter((row) => labels[row] === label).length);
    // 26, 26, 26 and 25 examples among five shards
    for (const count of counts) expect([5, 6]).toContain(count);
  }
});

/** Mean over shards of the share of its most frequent class. */
function purity(labels: Int32Array, partition: Partition): number {
  const shares = partition.map((part) =>
    chanceLevel(classCounts({ labels: labels.filter((_, row) => part.includes(row)) }, 10))!,
  );
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

test('dirichlet: the smaller alpha, the fewer classes make up a shard', () => {
  const labels = labelsOf(1_000, 10);
  const [narrow, half, wide] = [0.05, 0.5, 100].map((alpha) => purity(labels, dirichlet(labels, 8, alpha, SEED)));
  expect(narrow).toBeGreaterThan(0.5);
  expect(half).toBeLessThan(narrow!);
  expect(half).toBeGreaterThan(wide!);
  expect(wide).toBeLessThan(0.2);
});

test('dirichlet: shares have the mean and the variance of the distribution', () => {
  // One class, four shards, alpha 0.5: mean 1/4, variance (1/4)(3/4) / (4 * 0.5 + 1) = 0.0625
  const firsts = Array.from(
    { length: 400 },
    (_, i) => dirichlet(new Int32Array(2_000), 4, 0.5, sha256(`${i}`))[0]!.length / 2_000,
  );
  const mean = firsts.reduce((sum, share) => sum + share, 0) / 400;
  const variance = firsts.reduce((sum, share) => sum + (share - mean) ** 2, 0) / 400;
  expect(mean).toBeGreaterThan(0.21);
  expect(mean).toBeLessThan(0.29);
  expect(variance).toBeGreaterThan(0.05);
  expect(variance).toBeLessThan(0.075);
});

test('size-skew: sizes differ by more than they do in uniform samples', () => {
  const sizes = sizeSkew(1_000, 5, 0.5, SEED).map((part) => part.length);
  expect(Math.max(...sizes)).toBeGreaterThan(2 * Math.min(...sizes));
});

test('what cannot be cut is refused with what to do', () => {
  for (const cut of [() => dirichlet(labelsOf(20, 2), 15, 0.01, SEED), () => sizeSkew(5, 4, 0.1, SEED)])
    expect(cut).toThrow(
      expect.objectContaining({ code: 'bad-dataset', remedy: expect.stringContaining('--alpha') as string }) as Error,
    );
});

test('chance is the share of the largest class', () => {
  expect(classCounts({ labels: Int32Array.of(0, 2, 2, 2) }, 3)).toEqual([1, 0, 3]);
  expect(chanceLevel([1, 0, 3])).toBe(0.75);
  expect(classCounts({ labels: Float32Array.of(1) }, 1)).toBeNull();
  expect(chanceLevel(null)).toBeNull();
});

describe('by owner', () => {
  const ownersOf = (sizes: readonly number[]) =>
    Int32Array.from(sizes.flatMap((size, owner) => new Array<number>(size).fill(owner)));

  test('keeps an owner in one shard, the largest first where there is least: 7, 5, 4, 3, 1 in two shards are 7 + 3 and 5 + 4 + 1', () => {
    const owners = ownersOf([5, 4, 7, 1, 3]);
    const parts = byOwner(owners, 2, SEED);
    expect(parts.map((part) => [...new Set([...part].map((index) => owners[index]!))].sort())).toEqual([
      [2, 4],
      [0, 1, 3],
    ]);
    expect(parts.map((part) => part.length)).toEqual([10, 10]);
  });

  test('is never further from even than the largest owner', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 2, max: 30 }), { minLength: 4, maxLength: 30 }), (sizes) => {
        const owners = ownersOf(sizes);
        const parts = byOwner(owners, 4, SEED);
        expect(all(parts)).toEqual(numbers(owners.length));
        for (const owner of new Set(owners))
          expect(parts.filter((part) => part.some((index) => owners[index] === owner))).toHaveLength(1);
        const lengths = parts.map((part) => part.length);
        expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(Math.max(...sizes));
      }),
      { numRuns: 50 },
    );
  });

  test('refuses fewer owners than shards, and owners of one example', () => {
    expect(() => byOwner(ownersOf([5, 5]), 3, SEED)).toThrow(
      expect.objectContaining({ code: 'bad-dataset', expected: 'at least 3 different values', got: '2' }),
    );
    expect(() => byOwner(ownersOf([5, 1]), 2, SEED)).toThrow(expect.objectContaining({ got: '5, 1' }));
  });
});
