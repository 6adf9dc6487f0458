import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { argument, expMinus, minusLog2, twoToMinus } from '../../src/market/arena/fixed-point.js';
import { RANK, rankShares, type Ranked } from '../../src/market/arena/rank.js';

const key = (name: string) => name as Pubkey;
const sum = (shares: ReadonlyMap<Pubkey, bigint>) => [...shares.values()].reduce((all, one) => all + one, 0n);
type Row = readonly [name: string, scorePpm: number, stakeMsat: bigint];
const field = (...rows: Row[]): ReadonlyMap<Pubkey, Ranked> =>
  new Map(rows.map(([name, scorePpm, stakeMsat]) => [key(name), { scorePpm, stakeMsat }]));
const TERMS = { ...RANK, minMsat: 10n };
const shares = (potMsat: bigint, rows: Row[], terms = {}) =>
  Object.fromEntries(rankShares(potMsat, field(...rows), { ...TERMS, ...terms }));

describe('fixed-point powers', () => {
  const near = (got: bigint, exact: bigint) => expect(got - exact >= -1n && got - exact <= 1n).toBe(true);

  it('of 2 halve with every whole step', () => {
    for (const steps of [0n, 1n, 7n, 127n, 128n]) expect(twoToMinus(argument(steps, 1n))).toBe(1n << (128n - steps));
    expect(twoToMinus(argument(129n, 1n))).toBe(0n);
    expect(twoToMinus(argument(10n ** 30n, 1n))).toBe(0n);
  });

  // floor(2^128 * value), worked out to 200 decimal digits elsewhere.
  it.each([
    [1n, 2n, 240615969168004511545033772477625056927n, 206391688497133195273760705512282642279n],
    [3n, 2n, 120307984584002255772516886238812528463n, 75927259026755760213823603619306498527n],
    [1n, 10n, 317494674775468773183020924238786383963n, 307900218287906978086884547973715191811n],
    [11n, 4n, 50583276481543324281374162957154434493n, 21753523923611694181505047931947641031n],
  ])('of %s/%s are those of long arithmetic, to a unit', (numerator, denominator, two, e) => {
    near(twoToMinus(argument(numerator, denominator)), two);
    near(expMinus(argument(numerator, denominator)), e);
  });

  // floor(-log2(q) * 2^160), by the same arithmetic.
  it.each([
    [500_000, 1n << 160n],
    [1_000_000, 0n],
    [600_000, 1077076422530452028022636914783504656533462806869n],
    [900_000, 222152769949302789766972734551652605775596587697n],
    [999_999, 2108502218679679002643349116046504747379012n],
    [1, 29130020098640442616114024562687536479619164671957n],
  ])('of q = %d ppm have its logarithm', (qPpm, exact) => {
    near(minusLog2(qPpm), exact);
  });

  it('multiply where arguments add', () => {
    const y = fc.bigInt(0n, 20n << 160n);
    fc.assert(
      fc.property(y, y, (a, b) => {
        for (const power of [twoToMinus, expMinus]) near((power(a) * power(b)) >> 128n, power(a + b));
      }),
    );
  });
});

describe('a pot by rank', () => {
  it('halves from rank to rank where stakes are equal, as in the source', () => {
    const rows: Row[] = [
      ['a', 30, 10n],
      ['b', 10, 10n],
      ['c', 20, 10n],
    ];
    expect(shares(7_000n, rows)).toEqual({ b: 4_000n, c: 2_000n, a: 1_000n });
    expect(shares(3_000n, rows, { best: 2 })).toEqual({ b: 2_000n, c: 1_000n, a: 0n });
    // 1 : 0.1 : 0.01
    expect(shares(111_000n, rows, { qPpm: 100_000 })).toEqual({ b: 100_000n, c: 10_000n, a: 1_000n });
  });

  it('passes as many ranks as a stake has minima', () => {
    // 1 - 1/4 of the pot to two minima, 1/4 - 1/8 to the next one: 6 to 1.
    const rows: Row[] = [
      ['a', 1, 20n],
      ['b', 2, 10n],
    ];
    expect(shares(7_000n, rows)).toEqual({ a: 6_000n, b: 1_000n });
    // One and a half minima below: 3/4, 1/8 and 1/8 - 0.5^4.5 = 0.0808058, of their sum 0.9558058.
    expect(shares(1_000_000n, [...rows, ['c', 3, 15n]])).toEqual({ a: 784_678n, b: 130_780n, c: 84_542n });
  });

  it('gives equal scores theirs by stake', () => {
    // Four minima are all there is; two of them get 1 - 1/4 of 15/16.
    const rows: Row[] = [
      ['a', 1, 5n],
      ['b', 1, 15n],
      ['c', 2, 20n],
    ];
    expect(shares(15_000n, rows)).toEqual({ a: 3_000n, b: 9_000n, c: 3_000n });
  });

  it('of one trainer is all its own, of none nobody’s', () => {
    expect(shares(1_001n, [['a', 999_000_000, 10n]])).toEqual({ a: 1_001n });
    expect(shares(1_001n, [['a', 1, 0n]])).toEqual({});
    expect(shares(1_001n, [])).toEqual({});
  });

  it('rounds to the better score, then to the smaller key', () => {
    const twins: Row[] = [
      ['b', 1, 10n],
      ['a', 1, 10n],
    ];
    expect(shares(3n, twins)).toEqual({ a: 2n, b: 1n });
    expect(shares(1n, [...twins, ['c', 2, 10n]])).toEqual({ a: 1n, b: 0n, c: 0n });
  });

  it('leaves ten copies of the best model what one key with their stake gets, where ranks by key gave them 99 %', () => {
    const honest: Row[] = Array.from({ length: 10 }, (_, i) => [`h${i}`, 100 + i, 10n]);
    const whole = shares(1_000_000n, [['x', 1, 100n], ...honest], { best: 10 });
    const copies: Row[] = Array.from({ length: 10 }, (_, i) => [`x${i}`, 1, 10n]);
    const split = shares(1_000_000n, [...copies, ...honest], { best: 10 });
    expect(copies.reduce((all, [name]) => all + split[name]!, 0n)).toBe(whole['x']);
    // With one minimum at stake, ten copies of a tenth each pass one rank between them: half of the pot.
    const cheap = shares(1_023_000n, [...copies.map(([name]): Row => [name, 1, 1n]), ...honest.slice(0, 9)]);
    expect(copies.reduce((all, [name]) => all + cheap[name]!, 0n)).toBe(512_000n);
  });

  const stake = fc.bigInt(10n, 10n ** 6n);
  const people = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 3 }), fc.nat(5), stake), {
    selector: ([name]) => name,
    minLength: 1,
    maxLength: 12,
  });
  const terms = fc.record({
    qPpm: fc.integer({ min: 1, max: 999_999 }),
    best: fc.option(fc.integer({ min: 1, max: 50 }), { nil: null }),
    minMsat: fc.constantFrom(10n, 7n, 3n),
  });
  const pot = fc.bigInt(0n, 10n ** 15n);

  it('is paid out to the msat, in any order of the trainers', () => {
    fc.assert(
      fc.property(people, terms, pot, (rows, all, potMsat) => {
        const paid = rankShares(potMsat, field(...rows), all);
        expect(sum(paid)).toBe(potMsat);
        expect([...rankShares(potMsat, field(...[...rows].reverse()), all)]).toEqual([...paid]);
      }),
    );
  });

  it('changes by at most a msat per key when a stake is split over copies, for who splits and for everybody else', () => {
    const parts = fc.array(fc.bigInt(1n, 10n ** 6n), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(people, parts, terms, pot, (rows, split, all, potMsat) => {
        const others = rows.slice(1);
        const [name, score] = rows[0]!;
        const whole = split.reduce((total, one) => total + one, 0n);
        const before = rankShares(potMsat, field([name, score, whole], ...others), all);
        const copies = split.map((one, i): Row => [`${name} copy ${i}`, score, one]);
        const after = rankShares(potMsat, field(...copies, ...others), all);
        const theirs = copies.reduce((total, [copy]) => total + after.get(key(copy))!, 0n);
        const moved = (from: bigint, to: bigint) => (to > from ? to - from : from - to);
        expect(moved(before.get(key(name))!, theirs) <= BigInt(split.length)).toBe(true);
        for (const [other] of others) expect(moved(before.get(key(other))!, after.get(key(other))!) <= 1n).toBe(true);
      }),
    );
  });

  it('is that of floating point to 2 msat, whatever the stakes', () => {
    fc.assert(
      fc.property(people, terms, fc.bigInt(0n, 10n ** 6n), (rows, all, potMsat) => {
        const paid = rankShares(potMsat, field(...rows), all);
        const end = all.best ?? Infinity;
        const minima = (row: Row) => Number(row[2]) / Number(all.minMsat);
        const left = (depth: number) => (all.qPpm / 1e6) ** Math.min(depth, end);
        const depthOf = (is: (score: number) => boolean) =>
          rows.filter((row) => is(row[1])).reduce((sum, row) => sum + minima(row), 0);
        const whole = 1 - left(depthOf(() => true));
        for (const row of rows) {
          const [from, to] = [depthOf((score) => score < row[1]), depthOf((score) => score <= row[1])];
          const exact = (((left(from) - left(to)) / whole) * Number(potMsat) * minima(row)) / (to - from);
          expect(Math.abs(Number(paid.get(key(row[0]))!) - exact)).toBeLessThan(2 + 1e-3);
        }
      }),
    );
  });

  it('never pays more for a worse score', () => {
    fc.assert(
      fc.property(people, terms, pot, stake, (rows, all, potMsat, one) => {
        const equal = rows.map(([name, score]): Row => [name, score, one]);
        const paid = rankShares(potMsat, field(...equal), all);
        const inOrder = [...equal].sort((a, b) => a[1] - b[1]).map(([name]) => paid.get(key(name))!);
        for (const [i, msat] of inOrder.slice(1).entries()) expect(msat <= inOrder[i]! + 1n).toBe(true);
      }),
    );
  });
});
