import { expect, it } from 'vitest';
import { MARKET_ATTACKS } from '../../src/market/attacks/all.js';
import { collusion } from '../../src/market/attacks/collusion.js';
import { expectedLazyProfit, honestProfit, lazyProfits } from '../../src/market/attacks/laziness.js';

const SEEDS = 20;

it('every attack ends as computed, and twice the same', () => {
  const rows = MARKET_ATTACKS.flatMap((attack) => attack(SEEDS));
  expect(rows.filter(({ fits }) => !fits)).toEqual([]);
  expect(new Set(rows.map(({ setting }) => setting)).size).toBe(rows.length);
  expect(MARKET_ATTACKS[0]!(SEEDS)).toEqual(rows.slice(0, 18));
});

it('two of seven validators hold two of three seats in one draw of seven, and never three of five', () => {
  const [three, five] = collusion(SEEDS);
  // Of the 35 ways to seat 3 of 7, 5 have both.
  expect(three).toMatchObject({ setting: '2 of 7 validators, 3 seats, equal stakes: scores moved', unit: 'share' });
  expect(three!.computed).toBeCloseTo(1 / 7, 12);
  expect(five).toMatchObject({ measured: 0, computed: 0 });
});

const JOB = { rounds: 2, priceSat: 100, costSat: 40, segments: 4, trained: 1, passesFloor: 1, rate: 1, stakeSat: 0 };

it('a lazy trainer gains the work it saves, until a segment that it left out is drawn', () => {
  expect(honestProfit(JOB)).toBe(120);
  // The first round as agreed: 60. Then a quarter of the work, 10, for 100 if that quarter is drawn.
  expect(expectedLazyProfit(JOB)).toBe(60 - 10 + 25);
  expect(expectedLazyProfit({ ...JOB, rate: 0 })).toBe(60 - 10 + 100);
  expect(expectedLazyProfit({ ...JOB, stakeSat: 200 })).toBe(60 - 10 + 25 - 150);
  // Twice as much work is found out less often; what the work floor refuses costs the pay alone.
  expect(expectedLazyProfit({ ...JOB, trained: 2, stakeSat: 200 })).toBe(60 - 20 + 50 - 100);
  expect(expectedLazyProfit({ ...JOB, rate: 0, passesFloor: 0.25, stakeSat: 200 })).toBe(60 - 10 + 25);
});

it('plays lazy trainers by the draw of the market: without a check each gets the same, with one some lose their stake', () => {
  expect(lazyProfits({ ...JOB, rate: 0 }, SEEDS)).toMatchObject({ measured: 150, computed: 150, fits: true });
  expect(lazyProfits({ ...JOB, rounds: 4, rate: 0.5, passesFloor: 0.5 }, SEEDS).fits).toBe(true);
  const { measured, fits } = lazyProfits({ ...JOB, stakeSat: 200 }, SEEDS);
  expect(fits).toBe(true);
  expect(measured).toBeLessThan(60);
});
