import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { operatorLines, stagePayout, type PayoutTerms, type Stage } from '../../src/market/arena/payout.js';
import { INTERIM_SHARE_PPM, SIDES, sidesOf, stagesOf, type Side, type SideTerms } from '../../src/market/arena/pot.js';
import { RANK } from '../../src/market/arena/rank.js';
import { WEIGHTS } from '../../src/market/arena/weights.js';
import { EFFECTIVE } from '../../src/market/stake-reward.js';
import { NO_STAKES, type StakeBook } from '../../src/market/stake.js';

const key = (name: string) => name as Pubkey;
const named = <T>(of: Record<string, T>) => new Map(Object.entries(of) as [Pubkey, T][]);
const side = (stakeMsat: bigint, hasPayees = true): Side => ({ stakeMsat, hasPayees });
const byStake = (gPpm: number): SideTerms => ({ sides: 'byStake', gPpm });
const books = (
  of: Record<string, { own: bigint; by: Record<string, bigint>; sigmaPpm: number }>,
): Pick<StakeBook, 'operators' | 'worked'> => ({
  operators: new Map(
    Object.entries(of).map(([name, { sigmaPpm }]) => [key(name), { role: 'trainer', sigmaPpm, sigmaSince: 0 }]),
  ),
  worked: new Map(Object.entries(of).map(([name, { own, by }]) => [key(name), { own, by: named(by) }])),
});

describe('a pot', () => {
  it('is paid a tenth by the interim ranking, the rest by the final one', () => {
    expect(stagesOf(1_000_009n, INTERIM_SHARE_PPM)).toEqual({ interimMsat: 100_000n, finalMsat: 900_009n });
  });

  it('gives validators a fifth, or each side its part by stake', () => {
    const both = { trainers: side(7_500n), validators: side(12_000n) };
    expect(sidesOf(1_004n, SIDES, both)).toEqual({ trainersMsat: 804n, validatorsMsat: 200n, returnedMsat: 0n });
    expect(sidesOf(309_157_680n, byStake(0), both)).toEqual({
      ...{ trainersMsat: 118_906_800n, validatorsMsat: 190_250_880n, returnedMsat: 0n },
    });
    // 0.1 + 0.8 * 7,500 / 19,500 = 7.9 / 19.5
    expect(sidesOf(195_000n, byStake(100_000), both).trainersMsat).toBe(79_500n);
    const none = { trainers: side(0n), validators: side(0n) };
    expect(sidesOf(1_000n, byStake(100_000), none)).toMatchObject({ trainersMsat: 500n, validatorsMsat: 500n });
  });

  it('takes back what a side without payees would get, and gives it not to the other', () => {
    const alone = { trainers: side(7_500n), validators: side(0n, false) };
    expect(sidesOf(1_000n, SIDES, alone)).toEqual({ trainersMsat: 800n, validatorsMsat: 0n, returnedMsat: 200n });
    const empty = { trainers: side(1n, false), validators: side(1n, false) };
    expect(sidesOf(1_001n, byStake(0), empty)).toEqual({ trainersMsat: 0n, validatorsMsat: 0n, returnedMsat: 1_001n });
  });

  it('is whole in its parts, whoever stakes and whoever is there', () => {
    const amount = fc.bigInt(0n, 10n ** 15n);
    const any = fc.record({ stakeMsat: amount, hasPayees: fc.boolean() });
    const terms = fc.oneof(
      fc.record({ sides: fc.constant('fixed' as const), validatorSharePpm: fc.nat(1_000_000) }),
      fc.record({ sides: fc.constant('byStake' as const), gPpm: fc.nat(500_000) }),
    );
    fc.assert(
      fc.property(amount, terms, any, any, (pot, rule, trainers, validators) => {
        const { trainersMsat, validatorsMsat, returnedMsat } = sidesOf(pot, rule, { trainers, validators });
        expect(trainersMsat + validatorsMsat + returnedMsat).toBe(pot);
        expect([trainersMsat, validatorsMsat, returnedMsat].every((msat) => msat >= 0n)).toBe(true);
      }),
    );
  });
});

describe('those behind an operator', () => {
  it('share what sigma leaves of their part', () => {
    const book = books({ o: { own: 3_000n, by: { d: 1_000n }, sigmaPpm: 400_000 } });
    expect(operatorLines('fee', named({ o: 58_084_000n }), book, EFFECTIVE)).toEqual([
      { payee: 'o', purpose: 'fee', amountMsat: 49_371_400n },
      { payee: 'd', purpose: 'delegation:o', amountMsat: 8_712_600n },
    ]);
  });

  it('are none where no table names the operator', () => {
    expect(operatorLines('trainer', named({ o: 5n }), NO_STAKES, EFFECTIVE)).toEqual([
      { payee: 'o', purpose: 'trainer', amountMsat: 5n },
    ]);
  });
});

describe('a stage', () => {
  const terms: PayoutTerms = {
    ...{ sides: SIDES, rank: { ...RANK, minMsat: 1_000n }, weights: WEIGHTS, effective: EFFECTIVE },
  };
  const stage: Stage = {
    trainers: named({
      t1: { scorePpm: 2_000_000, stakeMsat: 1_000n },
      t2: { scorePpm: 1_500_000, stakeMsat: 2_000n },
    }),
    conduct: named({ v1: { count: 2, deviation: 0n }, v2: { count: 1, deviation: 0n } }),
    stakes: named({ v1: 500n, v2: 2_000n }),
    book: books({
      t2: { own: 1_000n, by: { d: 1_000n }, sigmaPpm: 0 },
      v1: { own: 500n, by: {}, sigmaPpm: 0 },
    }),
  };

  it('pays trainers by rank, validators by weight, and those behind them', () => {
    // Trainers 28,000 as 6 to 1, validators 7,000 as 1,000 to 2,000.
    expect(stagePayout(35_000n, stage, terms)).toEqual({
      lines: [
        { payee: 't1', purpose: 'trainer', amountMsat: 4_000n },
        { payee: 't2', purpose: 'trainer', amountMsat: 12_000n },
        { payee: 'd', purpose: 'delegation:t2', amountMsat: 12_000n },
        { payee: 'v1', purpose: 'fee', amountMsat: 2_333n },
        { payee: 'v2', purpose: 'fee', amountMsat: 4_667n },
      ],
      returnedMsat: 0n,
    });
    // T 3,000, S 2,500: 300 and 250 of 550.
    const { lines } = stagePayout(550n, stage, { ...terms, sides: byStake(0) });
    const of = (purpose: string) =>
      lines.filter((line) => line.purpose === purpose).reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
    expect([of('trainer') + of('delegation:t2'), of('fee')]).toEqual([300n, 250n]);
  });

  it('returns what nobody earned', () => {
    const quiet = { ...stage, conduct: new Map() };
    expect(stagePayout(35_000n, quiet, terms)).toMatchObject({ returnedMsat: 7_000n });
    const nobody = { ...quiet, trainers: new Map() };
    expect(stagePayout(35_000n, nobody, terms)).toEqual({ lines: [], returnedMsat: 35_000n });
  });

  it('pays to the msat, and the same in any order of what it is given', () => {
    const name = fc.string({ minLength: 1, maxLength: 3 });
    const stakeMsat = fc.oneof(fc.constant(0n), fc.bigInt(1_000n, 10n ** 9n));
    const trainers = fc.dictionary(name, fc.record({ scorePpm: fc.nat(4), stakeMsat }), { maxKeys: 8 });
    const validators = fc.dictionary(
      name,
      fc.record({ stakeMsat, count: fc.integer({ min: 1, max: 9 }), deviation: fc.bigInt(0n, 10n ** 9n) }),
      { maxKeys: 8 },
    );
    const sides = fc.constantFrom(SIDES, byStake(0), byStake(123_456));
    fc.assert(
      fc.property(trainers, validators, sides, fc.bigInt(0n, 10n ** 15n), (ours, theirs, rule, pot) => {
        const play = (order: <T>(entries: T[]) => T[]) => {
          const keyed = order(Object.entries(theirs));
          const given: Stage = {
            trainers: new Map(order(Object.entries(ours)).map(([one, row]) => [key(one), row])),
            conduct: new Map(keyed.map(([one, { count, deviation }]) => [key(one), { count, deviation }])),
            stakes: new Map(keyed.map(([one, row]) => [key(one), row.stakeMsat])),
            book: stage.book,
          };
          return stagePayout(pot, given, { ...terms, sides: rule });
        };
        const { lines, returnedMsat } = play((entries) => entries);
        expect(lines.reduce((sum, { amountMsat }) => sum + amountMsat, returnedMsat)).toBe(pot);
        expect(play((entries) => [...entries].reverse())).toEqual({ lines, returnedMsat });
      }),
    );
  });
});
