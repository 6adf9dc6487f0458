import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { consensusOf, spreadOf } from '../../src/market/arena/consensus.js';
import { conductOf, validatorWeights, WEIGHTS, type Conduct } from '../../src/market/arena/weights.js';
import { largestRemainder } from '../../src/market/stake-reward.js';

const key = (name: string) => name as Pubkey;
const named = <T>(of: Record<string, T>) => new Map(Object.entries(of) as [Pubkey, T][]);
const scores = (...ppm: number[]) => new Map(ppm.map((score, i) => [key(`v${i}`), score]));
const ONE = 1n << 128n;

describe('the score of a submission', () => {
  it('is the lower median of its seats, and none while fewer than (m + 1) / 2 have revealed', () => {
    expect(consensusOf(scores(5, 900, 7), 5)).toBe(7);
    expect(consensusOf(scores(5, 900, 7, 8), 5)).toBe(7);
    expect(consensusOf(scores(5, 900), 5)).toBeNull();
    expect(consensusOf(scores(5, 900), 3)).toBe(5);
    expect(consensusOf(scores(), 1)).toBeNull();
  });

  it('stays among those of honest seats while fewer than half of what was revealed is anything else', () => {
    const ppm = fc.integer({ min: 0, max: 999_000_000 });
    fc.assert(
      fc.property(fc.array(ppm, { minLength: 1, maxLength: 7 }), fc.array(ppm, { maxLength: 6 }), (honest, others) => {
        const false_ = others.slice(0, honest.length - 1);
        const all = [...false_, ...honest];
        const score = consensusOf(scores(...all), all.length)!;
        expect(score).toBeGreaterThanOrEqual(Math.min(...honest));
        expect(score).toBeLessThanOrEqual(Math.max(...honest));
        expect(consensusOf(scores(...[...all].reverse()), all.length)).toBe(score);
      }),
    );
  });

  it('of an even number of reveals is theirs who are half of them, downwards only', () => {
    expect(consensusOf(scores(1, 1, 500, 501), 7)).toBe(1);
    expect(consensusOf(scores(900, 900, 500, 501), 7)).toBe(501);
  });

  it('has a spread of the median deviation and a thousandth of it, at least 100 ppm', () => {
    // Deviations 0, 1,000, 3,000, 10,000 and 90,000 from 2,000,000; the middle one and 2,000.
    const ppm = [2_000_000, 2_001_000, 1_997_000, 2_010_000, 1_910_000];
    expect(spreadOf(ppm, 2_000_000)).toBe(3_000 + 2_000);
    expect(spreadOf([50_000, 50_000, 50_000], 50_000)).toBe(100);
    // One or two reveals have no deviation to measure.
    expect(spreadOf([50_000, 70_000], 50_000)).toBe(100);
    expect(spreadOf([999_000_000], 999_000_000)).toBe(999_000);
  });
});

describe('the conduct of validators', () => {
  it('is how many scores they revealed and how far they were off on average, in millionths of the spread', () => {
    const scored = conductOf([
      // c = 100,000, spread 500 + 100: deviations 0, 500 / 600 and 1,500 / 600
      { seats: 3, scoresPpm: named({ a: 100_000, b: 99_500, d: 101_500 }) },
      // c = 200,000, spread 0 + 200: deviations 0, 0 and 100 / 200
      { seats: 3, scoresPpm: named({ a: 200_000, b: 200_000, c: 200_100 }) },
      // Drawn again.
      { seats: 3, scoresPpm: named({ d: 1 }) },
    ]);
    expect(scored.get(key('a'))).toEqual({ count: 2, deviation: 0n });
    expect(scored.get(key('b'))).toEqual({ count: 2, deviation: 833_333n / 2n });
    expect(scored.get(key('c'))).toEqual({ count: 1, deviation: 500_000n });
    expect(scored.get(key('d'))).toEqual({ count: 1, deviation: 2_500_000n });
  });
});

describe('the weight of validators', () => {
  const did = (count: number, deviation: bigint): Conduct => ({ count, deviation });

  it('is stake times count times e to the minus lambda times deviation', () => {
    const conduct = named({ a: did(2, 0n), b: did(3, 1_000_000n), c: did(1, 500_000n), poor: did(9, 0n) });
    const weights = validatorWeights(conduct, named({ a: 10n, b: 20n, c: 7n }), WEIGHTS);
    expect([...weights.keys()]).toEqual(['b', 'a', 'c']);
    expect(weights.get(key('a'))).toBe(20n * ONE);
    // 60 / e = 22.072766, 7 / sqrt(e) = 4.245715
    expect((weights.get(key('b'))! * 1_000_000n) / ONE).toBe(22_072_766n);
    expect((weights.get(key('c'))! * 1_000_000n) / ONE).toBe(4_245_714n);
    const tripled = validatorWeights(conduct, named({ b: 1n, c: 1n }), { lambdaPpm: 3_000_000, best: null });
    // 3 e^-3 to 1 e^-1.5, which is taken as 1.
    expect([tripled.get(key('c')), (tripled.get(key('b'))! * 1_000_000n) / ONE]).toEqual([ONE, 669_390n]);
  });

  it('goes to the best k2, ties by key, whatever the order', () => {
    const conduct = named({ z: did(1, 0n), b: did(1, 0n), a: did(1, 9_000_000n) });
    const stakes = named({ a: 5n, b: 5n, z: 5n });
    expect([...validatorWeights(conduct, stakes, { ...WEIGHTS, best: 1 }).keys()]).toEqual(['b']);
    const turned = validatorWeights(new Map([...conduct].reverse()), stakes, WEIGHTS);
    expect([...turned]).toEqual([...validatorWeights(conduct, stakes, WEIGHTS)]);
  });

  it('is somebody’s even where all are far off, and nobody’s without stake', () => {
    const far = named({ a: did(1, 10n ** 13n), b: did(1, 10n ** 13n) });
    expect([...validatorWeights(far, named({ a: 1n, b: 2n }), WEIGHTS)]).toEqual([
      ['b', 2n * ONE],
      ['a', ONE],
    ]);
    expect(validatorWeights(far, named({ a: 0n }), WEIGHTS).size).toBe(0);
    expect(validatorWeights(new Map(), named({ a: 1n }), WEIGHTS).size).toBe(0);
  });

  it('pays honest validators more than a liar of equal stake, and all of it to the msat', () => {
    const lie = fc.integer({ min: 10_000, max: 900_000_000 });
    const honest = fc.array(fc.integer({ min: -500, max: 500 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(honest, lie, fc.bigInt(0n, 10n ** 15n), (noise, off, pot) => {
        const all = scores(...noise.map((part) => 1_000_000 + part), 1_000_000 + off);
        const conduct = conductOf([{ seats: all.size, scoresPpm: all }]);
        const stakes = new Map([...all.keys()].map((one) => [one, 1_000n]));
        const shares = largestRemainder(pot, validatorWeights(conduct, stakes, WEIGHTS));
        const paid = [...all.keys()].map((one) => shares.get(one) ?? 0n);
        expect(paid.reduce((sum, msat) => sum + msat, 0n)).toBe(pot);
        for (const msat of paid) expect(msat >= paid.at(-1)!).toBe(true);
      }),
    );
  });
});
