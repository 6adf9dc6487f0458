import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventId, Pubkey, Sha256 } from '../../src/hash.js';
import { potShares } from '../../src/market/pot.js';
import { slashShares } from '../../src/market/slashing.js';
import type { Slash } from '../../src/market/stake.js';

const key = (name: string) => name as Pubkey;
const lost = (amountMsat: bigint, of: Partial<Slash> = {}): Slash => ({
  ...{
    event: 'e' as EventId,
    lock: 'l' as Sha256,
    evidence: [],
    reporter: key('r'),
    guilty: key('g'),
    owner: key('g'),
  },
  ...{ signers: new Set([key('g')]), ...slashShares(amountMsat) },
  ...of,
});
const earned = (of: Record<string, bigint>) => new Map(Object.entries(of) as [Pubkey, bigint][]);
const customer = key('customer');
const sum = (shares: ReadonlyMap<Pubkey, bigint>) => [...shares.values()].reduce((all, one) => all + one, 0n);

describe('what was slashed', () => {
  it('goes to those that worked, by what they earned, and not to the guilty', () => {
    const facts = { customer, slashes: [lost(3_000n)], frauds: new Set<Pubkey>() };
    const shares = potShares({ ...facts, earned: earned({ a: 20n, b: 10n, g: 30n }) });
    expect([...shares]).toEqual([
      ['a', 1_800n],
      ['b', 900n],
    ]);
  });

  it('goes never to the customer, a signer of its evidence, an owner of the lock, or a proven fraud', () => {
    const slash = lost(1_000n, { signers: new Set([key('g'), key('w')]), owner: key('o') });
    const all = earned({ customer: 9n, w: 9n, o: 9n, f: 9n, g: 9n, a: 1n });
    const shares = potShares({ customer, slashes: [slash], earned: all, frauds: new Set([key('f')]) });
    expect([...shares]).toEqual([['a', 900n]]);
    const nobody = potShares({ customer, slashes: [slash], earned: earned({ w: 9n }), frauds: new Set() });
    expect(nobody.size).toBe(0);
  });

  it('is paid out to the msat, whatever the order in which payees stand', () => {
    const people = fc.dictionary(fc.string({ minLength: 1, maxLength: 4 }), fc.bigInt(1n, 10n ** 10n), { minKeys: 1 });
    const locks = fc.array(fc.bigInt(1n, 10n ** 12n), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(people, locks, (weights, amounts) => {
        const names = Object.entries(weights).map(([name, msat]) => [key(`n${name}`), msat] as const);
        const facts = { customer, slashes: amounts.map((msat) => lost(msat)), frauds: new Set<Pubkey>() };
        const shares = potShares({ ...facts, earned: new Map(names) });
        expect(sum(shares)).toBe(amounts.reduce((all, msat) => all + slashShares(msat).potMsat, 0n));
        const turned = potShares({ ...facts, earned: new Map([...names].reverse()) });
        expect(new Map(turned)).toEqual(new Map(shares));
      }),
    );
  });

  it('brings a key that works under several names at most a msat more for each of them', () => {
    const parts = fc.array(fc.bigInt(1n, 10n ** 9n), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(parts, fc.bigInt(1n, 10n ** 9n), fc.bigInt(1n, 10n ** 12n), (split, other, amount) => {
        const facts = { customer, slashes: [lost(amount)], frauds: new Set<Pubkey>() };
        const whole = split.reduce((all, one) => all + one, 0n);
        const one = potShares({ ...facts, earned: earned({ x: whole, other }) }).get(key('x')) ?? 0n;
        const named = Object.fromEntries(split.map((msat, i) => [`x${i}`, msat]));
        const many = potShares({ ...facts, earned: earned({ ...named, other }) });
        const gained = split.reduce((all, _, i) => all + (many.get(key(`x${i}`)) ?? 0n), 0n) - one;
        expect(gained <= BigInt(split.length)).toBe(true);
      }),
    );
  });
});
