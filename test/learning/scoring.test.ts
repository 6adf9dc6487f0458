import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/hash.js';
import {
  dropErrorPpm,
  dropPpm,
  fedstrTests,
  leastWork,
  lossPpm,
  NOTHING_ASKED,
  sampleIndices,
  workFloor,
  workScore,
} from '../../src/learning/scoring.js';
import { vectors } from './vectors.js';

describe('losses in ppm', () => {
  it('rounds to an integer, and clamps what is no loss', () => {
    expect(lossPpm(2.302585)).toBe(2_302_585);
    expect(lossPpm(0.0000005)).toBe(1);
    expect(lossPpm(-0.1)).toBe(0);
    for (const loss of [NaN, Infinity, 1e300]) expect(lossPpm(loss)).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('drops 25 % from 2 to 1.5, grows 50 % from 2 to 3, rounds down', () => {
    expect(dropPpm(2_000_000, 1_500_000)).toBe(250_000);
    expect(dropPpm(2_000_000, 3_000_000)).toBe(-500_000);
    expect(dropPpm(3, 2)).toBe(333_333);
    expect(dropPpm(3, 4)).toBe(-333_334);
    expect(dropPpm(0, 0)).toBe(0);
    expect(dropPpm(0, 1)).toBe(-1e12);
    expect(dropPpm(1, Number.MAX_SAFE_INTEGER)).toBe(-1e12);
  });

  it('is a safe integer for any losses', () => {
    const loss = fc.nat(Number.MAX_SAFE_INTEGER);
    fc.assert(
      fc.property(loss, loss, loss, loss, (a, b, c, d) => {
        const { dPpm, ePpm } = workScore({ before: a, after: b }, { before: c, after: d });
        expect(Number.isSafeInteger(dPpm) && Number.isSafeInteger(ePpm)).toBe(true);
        expect(dPpm).toBeLessThanOrEqual(1_000_000);
      }),
    );
  });
});

describe('work floor', () => {
  const score = (before: number, after: number, otherBefore: number, otherAfter: number) =>
    workFloor(
      { ...workScore({ before, after }, { before: otherBefore, after: otherAfter }), ownSePpm: 0, otherSePpm: 0 },
      NOTHING_ASKED,
    );

  it('passes work that helps the assigned shard more than other data', () => {
    expect(workScore({ before: 1000, after: 800 }, { before: 1000, after: 900 })).toEqual({
      dPpm: 200_000,
      ePpm: 100_000,
    });
    expect(score(1000, 800, 1000, 900)).toEqual({ pass: true });
  });

  it('rejects an idle update and work on other data by E, a worse model by D', () => {
    expect(score(1000, 1000, 1000, 1000)).toEqual({ pass: false, rule: 'not-on-assigned-shard' });
    expect(score(1000, 900, 1000, 800)).toEqual({ pass: false, rule: 'not-on-assigned-shard' });
    expect(score(100_000, 100_501, 100_000, 150_000)).toEqual({ pass: false, rule: 'loss-grew' });
    expect(score(100_000, 100_500, 100_000, 150_000)).toEqual({ pass: true });
  });
});

describe('work floor near zero', () => {
  // 2 standard errors of E: 2 * sqrt(30,000^2 + 40,000^2) = 100,000 ppm.
  const floor = (ePpm: number, dPpm: number) =>
    workFloor({ dPpm, ePpm, ownSePpm: 30_000, otherSePpm: 40_000 }, NOTHING_ASKED).pass;

  it('gives honest work the benefit of the doubt where samples cannot tell shards apart', () => {
    expect(floor(-99_999, 60_001)).toBe(true);
    expect(floor(0, 600_000)).toBe(true);
  });

  it('but not without a drop of more than two standard errors, nor where E is clearly negative', () => {
    expect(floor(-99_999, 60_000)).toBe(false);
    expect(floor(-100_000, 600_000)).toBe(false);
    expect(floor(-1, 0)).toBe(false);
    const still = (dPpm: number) => workFloor({ dPpm, ePpm: 0, ownSePpm: 10, otherSePpm: 10 }, NOTHING_ASKED).pass;
    expect([still(5_000), still(5_001)]).toEqual([false, true]);
  });

  it('measures the error of a drop, paired by example', () => {
    // differences 0.1, 0.3: mean 0.2, variance 0.02, error sqrt(0.02 / 2) = 0.1, of a mean loss of 1: 100,000 ppm.
    expect(dropErrorPpm(Float64Array.of(1, 1), Float64Array.of(0.9, 0.7))).toBeCloseTo(100_000, -1);
    expect(dropErrorPpm(Float64Array.of(1, 3), Float64Array.of(0.5, 2.5))).toBe(0);
    for (const hopeless of [[1], [0, 0], [NaN, 1], [Infinity, 1]])
      expect(dropErrorPpm(Float64Array.from(hopeless), new Float64Array(hopeless.length))).toBe(1e12);
  });
});

describe('the work that a round asks for', () => {
  const scores = (...pairs: readonly (readonly [number, number])[]) => pairs.map(([dPpm, ePpm]) => ({ dPpm, ePpm }));

  it('is a share of the lower median of D, and half of that share of the lower median of E', () => {
    const three = scores([900_000, 40_000], [100_000, 400_000], [600_000, 80_000]);
    expect(leastWork(three, 500_000)).toEqual({ dPpm: 300_000, ePpm: 20_000 });
    expect(leastWork(three, 1_000_000)).toEqual({ dPpm: 600_000, ePpm: 40_000 });
    expect(leastWork([...three, ...scores([200_001, 40_003])], 500_000)).toEqual({ dPpm: 100_000, ePpm: 10_000 });
  });

  it('is nothing among two, or where the round hardly changes the model, or shards are alike', () => {
    expect(leastWork([], 500_000)).toEqual(NOTHING_ASKED);
    expect(leastWork(scores([900_000, 90_000], [600_000, 60_000]), 500_000)).toEqual(NOTHING_ASKED);
    expect(leastWork(scores([5_000, 5_000], [5_000, 5_000], [900_000, -1]), 500_000)).toEqual(NOTHING_ASKED);
    const alike = scores([5_001, 5_000], [5_001, 5_000], [900_000, 900_000]);
    expect(leastWork(alike, 500_000)).toEqual({ dPpm: 2_500, ePpm: null });
  });

  it('is met within one standard error, by work that passes without it', () => {
    const least = { dPpm: 300_000, ePpm: null };
    const floor = (dPpm: number, ownSePpm: number) => workFloor({ dPpm, ePpm: 1, ownSePpm, otherSePpm: 0 }, least);
    expect(floor(300_000, 0)).toEqual({ pass: true });
    expect(floor(299_999, 0)).toEqual({ pass: false, rule: 'little-work' });
    expect(floor(250_000, 50_000)).toEqual({ pass: true });
    const elsewhere = workFloor({ dPpm: 400_000, ePpm: -1, ownSePpm: 0, otherSePpm: 0 }, least);
    expect(elsewhere).toEqual({ pass: false, rule: 'not-on-assigned-shard' });
    // One error of E: sqrt(30,000^2 + 40,000^2) = 50,000.
    const differs = (ePpm: number) =>
      workFloor({ dPpm: 1, ePpm, ownSePpm: 30_000, otherSePpm: 40_000 }, { dPpm: null, ePpm: 60_000 }).pass;
    expect([differs(10_000), differs(9_999), differs(90_000)]).toEqual([true, false, true]);
  });

  it('lies between those of honest updates, whatever fewer than half of the others show', () => {
    const ppm = fc.integer({ min: -1_000_000, max: 1_000_000 });
    const score = fc.record({ dPpm: ppm, ePpm: ppm });
    fc.assert(
      fc.property(
        fc.array(score, { minLength: 2, maxLength: 9 }),
        fc.array(score, { maxLength: 8 }),
        (honest, lies) => {
          const { dPpm } = leastWork([...honest, ...lies.slice(0, honest.length - 1)], 1_000_000);
          if (dPpm === null) return;
          expect(dPpm).toBeGreaterThanOrEqual(Math.min(...honest.map((one) => one.dPpm)));
          expect(dPpm).toBeLessThanOrEqual(Math.max(...honest.map((one) => one.dPpm)));
        },
      ),
    );
  });
});

describe('sampleIndices', () => {
  it('gives the indices of the vector', () => {
    const { seed, round, shard, n, max, indices } = vectors.sample;
    expect([...sampleIndices(n, fromHex(seed), round, shard, max)]).toEqual(indices);
  });

  it('takes everything up to 2,000, then 2,000 distinct ones that differ by round and shard', () => {
    const secret = new Uint8Array(32);
    expect([...sampleIndices(5, secret, 0, 0)]).toEqual([0, 1, 2, 3, 4]);
    const sample = sampleIndices(5000, secret, 0, 0);
    expect(new Set(sample).size).toBe(2000);
    expect(Math.max(...sample)).toBeLessThan(5000);
    expect(sampleIndices(5000, secret, 1, 0)).not.toEqual(sample);
    expect(sampleIndices(5000, secret, 0, 1)).not.toEqual(sample);
    expect(sampleIndices(5000, secret, 0, 'other')).not.toEqual(sample);
  });
});

describe('FEDSTR tests', () => {
  it('allows 10 % above the previous loss and 20 % above the mean of the others, to the last ppm', () => {
    // others of the third: (1,000,000 + 1,000,000) / 2 * 1.2 = 1,200,000
    expect(fedstrTests([1_000_000, 1_000_000, 1_200_000], 1_000_000)).toEqual([
      { improves: true, agrees: true },
      { improves: true, agrees: true },
      { improves: false, agrees: true },
    ]);
    expect(fedstrTests([1_000_000, 1_000_000, 1_200_001], 1_090_909)[2]).toEqual({ improves: false, agrees: false });
    expect(fedstrTests([1_200_000], 1_090_910)).toEqual([{ improves: true, agrees: true }]);
  });
});
