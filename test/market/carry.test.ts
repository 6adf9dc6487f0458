import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Hex, type Pubkey } from '../../src/hash.js';
import { carriedMsat, NOTHING_CARRIED, payOrCarry, type Carried } from '../../src/market/carry.js';

const key = (name: string): Pubkey => sha256Hex(name) as string as Pubkey;
const [anna, berta] = [key('anna'), key('berta')].sort() as [Pubkey, Pubkey];
const FLOOR = { floorMsat: 200n, isLast: false };
const line = (payee: Pubkey, purpose: string, amountMsat: bigint) => ({ payee, purpose, amountMsat });

describe('payOrCarry', () => {
  it('pays lines of the floor, and lets smaller ones wait until they make one', () => {
    const first = payOrCarry([line(anna, 'fee', 200n), line(berta, 'fee', 199n)], NOTHING_CARRIED, FLOOR);
    expect(first).toEqual({ lines: [line(anna, 'fee', 200n)], carried: new Map([[berta, 199n]]) });
    const second = payOrCarry([line(anna, 'fee', 50n), line(berta, 'fee', 1n)], first.carried, FLOOR);
    expect(second).toEqual({ lines: [line(berta, 'carry', 200n)], carried: new Map([[anna, 50n]]) });
    const both = [line(anna, 'fee', 60n), line(anna, 'trainer', 300n), line(anna, 'delegation:x', 90n)];
    expect(payOrCarry(both, second.carried, FLOOR).lines).toEqual([
      line(anna, 'trainer', 300n),
      line(anna, 'carry', 200n),
    ]);
  });

  it('pays everything with the last one, below the floor too', () => {
    const carried = new Map([[anna, 3n]]);
    expect(payOrCarry([line(berta, 'fee', 1n)], carried, { ...FLOOR, isLast: true })).toEqual({
      lines: [line(berta, 'fee', 1n), line(anna, 'carry', 3n)],
      carried: NOTHING_CARRIED,
    });
    expect(payOrCarry([], carried, { ...FLOOR, isLast: true }).lines).toEqual([line(anna, 'carry', 3n)]);
  });

  it('lets neither bonuses nor refunds nor corrections wait: the own wallet does not pay them so', () => {
    const lines = ['bonus', 'refund', 'correction'].map((purpose) => line(anna, purpose, 1n));
    expect(payOrCarry(lines, NOTHING_CARRIED, FLOOR)).toEqual({ lines, carried: NOTHING_CARRIED });
  });

  it('without a floor changes nothing', () => {
    const lines = [line(anna, 'fee', 1n), line(berta, 'trainer', 2n)];
    expect(payOrCarry(lines, NOTHING_CARRIED, { floorMsat: 0n, isLast: false })).toEqual({
      lines,
      carried: NOTHING_CARRIED,
    });
  });

  it('pays each payee to the msat what it was promised, over any number of settlements, nothing below the floor before the last', () => {
    const names = ['anna', 'berta', 'clara', 'dora'].map(key);
    const anyLine = fc.record({
      payee: fc.constantFrom(...names),
      purpose: fc.constantFrom('trainer', 'fee', `delegation:${names[0]!}`, 'bonus'),
      amountMsat: fc.oneof(fc.bigInt(1n, 1_000n), fc.bigInt(1n, 2n ** 40n)),
    });
    const plans = fc.array(fc.array(anyLine, { maxLength: 6 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(plans, fc.bigInt(0n, 2_000n), (rounds, floorMsat) => {
        const promised = new Map<Pubkey, bigint>();
        const paid = new Map<Pubkey, bigint>();
        const add = (to: Map<Pubkey, bigint>, payee: Pubkey, msat: bigint) =>
          to.set(payee, (to.get(payee) ?? 0n) + msat);
        let carried: Carried = NOTHING_CARRIED;
        for (const [round, lines] of rounds.entries()) {
          const isLast = round === rounds.length - 1;
          const settled = payOrCarry(lines, carried, { floorMsat, isLast });
          const sum = (of: readonly { readonly amountMsat: bigint }[]) =>
            of.reduce((all, one) => all + one.amountMsat, 0n);
          expect(sum(settled.lines) + carriedMsat(settled.carried)).toBe(sum(lines) + carriedMsat(carried));
          for (const { payee, amountMsat } of lines) add(promised, payee, amountMsat);
          for (const { payee, purpose, amountMsat } of settled.lines) {
            add(paid, payee, amountMsat);
            if (!isLast && purpose !== 'bonus') expect(amountMsat).toBeGreaterThanOrEqual(floorMsat);
          }
          for (const msat of settled.carried.values()) expect(msat).toBeLessThan(floorMsat);
          carried = settled.carried;
        }
        expect(carried.size).toBe(0);
        expect(new Map([...paid].sort())).toEqual(new Map([...promised].sort()));
      }),
    );
  });
});
