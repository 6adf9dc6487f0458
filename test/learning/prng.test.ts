import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/hash.js';
import { prng } from '../../src/learning/prng.js';

/** Computed by an independent Python implementation of the docstring. */
interface Vector {
  seed: string;
  label: string;
  uint32: number[];
  float: number[];
  below3000000000: number[];
  shuffle20: number[];
  normal: number[];
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/learning/prng.json', import.meta.url), 'utf8')) as Vector[];

describe('prng', () => {
  it.each(vectors)('gives the numbers of the vector $label', (vector) => {
    const start = () => prng(fromHex(vector.seed), vector.label);
    const words = start();
    expect(vector.uint32.map(() => words.uint32())).toEqual(vector.uint32);
    const floats = start();
    expect(vector.float.map(() => floats.float())).toEqual(vector.float);
    const bounded = start();
    expect(vector.below3000000000.map(() => bounded.below(3000000000))).toEqual(vector.below3000000000);
    expect([...start().shuffle(20)]).toEqual(vector.shuffle20);
    const normals = start();
    expect(vector.normal.map(() => normals.normal())).toEqual(vector.normal);
  });

  it('shuffles into a permutation', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.string(), (n, label) => {
        const order = prng(new Uint8Array(32), label).shuffle(n);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      }),
    );
  });

  it('is uniform: 60,000 draws below 6 hit each face 10,000 times within 4 standard deviations', () => {
    const stream = prng(new Uint8Array(32), 'die');
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60000; i++) counts[stream.below(6)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10000)).toBeLessThan(4 * Math.sqrt(60000 * (1 / 6) * (5 / 6)));
  });

  it('has a normal with mean 0 and stdDev 1', () => {
    const stream = prng(new Uint8Array(32), 'normal');
    const values = Array.from({ length: 20000 }, () => stream.normal());
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + (x - mean) * (x - mean), 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });

  it('refuses a bound that is not an integer in [1, 2^32]', () => {
    for (const n of [0, -1, 1.5, NaN, 4294967297])
      expect(() => prng(new Uint8Array(1), '').below(n)).toThrow(RangeError);
  });
});
