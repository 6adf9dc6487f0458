import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/hash.js';
import { iid, labelK, stratifiedSplit, type Partition } from '../../src/learning/partition.js';
import { vectors } from './vectors.js';

const seed = fromHex('05'.repeat(32));
const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });

function expectEachOnce(parts: Partition, n: number): void {
  expect(parts.flatMap((part) => [...part]).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
}
const sizes = (parts: Partition) => parts.map((part) => part.length);

describe('iid', () => {
  it('gives the parts of the vector', () => {
    const { seed: from, n, shards, parts } = vectors.iid;
    expect(iid(n, shards, fromHex(from)).map((part) => [...part])).toEqual(parts);
  });

  it('covers each example once, with sizes that differ by at most one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 20 }), seeds, (n, shards, from) => {
        fc.pre(shards <= n);
        const parts = iid(n, shards, from);
        expectEachOnce(parts, n);
        expect(Math.max(...sizes(parts)) - Math.min(...sizes(parts))).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('refuses more shards than examples', () => {
    expect(() => iid(2, 3, seed)).toThrow(expect.objectContaining({ code: 'bad-dataset' }));
  });
});

describe('labelK', () => {
  it('gives each shard exactly k labels and covers each example once', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 8 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(7),
        seeds,
        (classes, shards, k0, from) => {
          const k = 1 + (k0 % classes);
          fc.pre(shards * k >= classes);
          const labels = Int32Array.from({ length: classes * 20 }, (_, i) => i % classes);
          const parts = labelK(labels, shards, k, from);
          expectEachOnce(parts, labels.length);
          for (const part of parts) expect(new Set([...part].map((i) => labels[i])).size).toBe(k);
        },
      ),
    );
  });

  it('takes a label with hundreds of thousands of examples', () => {
    expect(labelK(new Int32Array(300_000), 1, 1, seed).map((part) => part.length)).toEqual([300_000]);
  });

  it('refuses when a label would belong to no shard, or k exceeds the labels', () => {
    const labels = Int32Array.of(0, 1, 2, 0, 1, 2);
    expect(() => labelK(labels, 1, 2, seed)).toThrow(/cannot give 2 labels/);
    expect(() => labelK(labels, 2, 4, seed)).toThrow(/cannot give 4 labels/);
    expect(() => labelK(labels, 3, 3, seed)).toThrow(/too rare/);
  });
});

describe('stratifiedSplit', () => {
  it('takes a tenth of each class: 1,000 and 100 examples give 100 and 10', () => {
    const labels = Int32Array.from({ length: 1100 }, (_, i) => (i < 1000 ? 0 : 1));
    const [a, b, rest] = stratifiedSplit(labels, [0.1, 0.1], seed);
    for (const part of [a!, b!]) {
      expect(part.length).toBe(110);
      expect([...part].filter((i) => labels[i] === 1).length).toBe(10);
    }
    expect(rest!.length).toBe(880);
    expectEachOnce([a!, b!, rest!], 1100);
  });

  it('keeps every class within one example of its share', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(3), { minLength: 1, maxLength: 120 }),
        fc.double({ min: 0.05, max: 0.45, noNaN: true }),
        seeds,
        (list, fraction, from) => {
          const labels = Int32Array.from(list);
          const parts = stratifiedSplit(labels, [fraction], from);
          expectEachOnce(parts, list.length);
          expect(parts[0]!.length).toBe(Math.round(list.length * fraction));
          for (const label of new Set(list)) {
            const share = list.filter((x) => x === label).length * fraction;
            const got = [...parts[0]!].filter((i) => labels[i] === label).length;
            expect(Math.abs(got - share)).toBeLessThanOrEqual(1.5);
          }
        },
      ),
    );
  });

  it('splits a plain number of examples, and follows the seed', () => {
    const parts = stratifiedSplit(10, [0.2], seed);
    expect(sizes(parts)).toEqual([2, 8]);
    expect(stratifiedSplit(10, [0.2], seed)).toEqual(parts);
    expect(stratifiedSplit(1000, [0.2], fromHex('06'.repeat(32)))).not.toEqual(stratifiedSplit(1000, [0.2], seed));
  });
});
