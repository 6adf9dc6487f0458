import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sha256, u32be, type Pubkey } from '../../src/hash.js';
import { collusionProbability, drawSeats } from '../../src/market/stake-draw.js';

const key = (i: number) => `key ${i}` as Pubkey;
const seedOf = (n: number) => sha256('a draw', u32be(n));

it('gives every key one seat at most, nobody without stake one, and depends on no order', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt(0n, 10n ** 18n), { maxLength: 12 }), fc.nat(9), fc.nat(999), (stakes, seats, n) => {
      const all = stakes.map((stake, i) => [key(i), stake] as const);
      const drawn = drawSeats(seedOf(n), new Map(all), seats);
      const able = stakes.filter((stake) => stake > 0n).length;
      expect(new Set(drawn).size).toBe(Math.min(seats, able));
      expect(drawn.every((one) => stakes[Number(one.slice(4))]! > 0n)).toBe(true);
      expect(drawSeats(seedOf(n), new Map([...all].reverse()), seats)).toEqual(drawn);
    }),
    { numRuns: 60 },
  );
});

it('draws the first seat as often as stakes say, whole or split', () => {
  const first = (stakes: readonly bigint[]) => {
    const counts = stakes.map(() => 0);
    for (let n = 0; n < 4_000; n++) {
      const [drawn] = drawSeats(seedOf(n), new Map(stakes.map((stake, i) => [key(i), stake])), 1);
      counts[Number(drawn!.slice(4))]!++;
    }
    return counts.map((count) => count / 4_000);
  };
  const [a, b] = first([3n, 1n]);
  expect(a).toBeCloseTo(0.75, 1);
  expect(b).toBeCloseTo(0.25, 1);
  const [x, y] = first([1n, 2n, 1n]);
  expect(x! + y!).toBeCloseTo(0.75, 1);
});

it('computes the chance of a majority: two of seven with equal stakes get two of three seats in a seventh of all draws', () => {
  const of = (colluders: number, stake = 1) =>
    Array.from({ length: 7 }, (_, i) => ({ stake: i < colluders ? stake : 1, colludes: i < colluders }));
  // C(2,2) C(5,1) / C(7,3) = 5 / 35.
  expect(collusionProbability(of(2), 3, 2)).toBeCloseTo(1 / 7, 12);
  // Of five seats two keys never get three.
  expect(collusionProbability(of(2), 5, 3)).toBe(0);
  // C(4,3) C(3,2) / C(7,5) + C(4,4) C(3,1) / C(7,5) = (12 + 3) / 21.
  expect(collusionProbability(of(4), 5, 3)).toBeCloseTo(15 / 21, 12);
  expect(collusionProbability(of(2, 1_000_000), 3, 2)).toBeGreaterThan(0.999);
});
