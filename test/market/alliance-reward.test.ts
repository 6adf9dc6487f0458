import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Hex, type Pubkey } from '../../src/hash.js';
import { roundPart, roundReward, type AllianceRound } from '../../src/market/alliance/reward.js';
import { tally, type Vote } from '../../src/market/alliance/vote.js';

const key = (name: string) => name as Pubkey;
const says = (name: string, vote: 1 | -1): Vote => ({
  ...{ aggregate: sha256Hex(name), vote, beforePpm: 2, afterPpm: 1 },
});

/** One participant: it proposes, with a proposal or none, or votes. */
interface Row {
  readonly who: string;
  readonly stake: bigint;
  readonly does: 'proposes' | 'idles' | Vote | null;
}
function roundOf(rows: readonly Row[]): AllianceRound {
  const isVoter = ({ does }: Row) => does === null || typeof does === 'object';
  const stakes = new Map(rows.map(({ who, stake }) => [key(who), stake]));
  const voters = rows.filter(isVoter);
  const reveals = new Map(
    voters.flatMap(({ who, does }) => (typeof does === 'object' && does !== null ? [[key(who), does] as const] : [])),
  );
  return {
    roles: {
      proposers: rows.filter((row) => !isVoter(row)).map(({ who }) => key(who)),
      voters: voters.map(({ who }) => key(who)),
    },
    proposed: new Set(rows.filter(({ does }) => does === 'proposes').map(({ who }) => key(who))),
    tally: tally(new Map(voters.map(({ who, stake }) => [key(who), stake])), reveals),
    stakes,
  };
}

const five: readonly Row[] = [
  { who: 'a', stake: 30n, does: 'proposes' },
  { who: 'b', stake: 20n, does: 'idles' },
  { who: 'c', stake: 40n, does: says('x', 1) },
  { who: 'd', stake: 30n, does: says('x', 1) },
  { who: 'e', stake: 25n, does: says('x', -1) },
];
const revote = (vote: 1 | -1) => five.map((row) => (row.who === 'd' ? { ...row, does: says('x', vote) } : row));

describe('a round of an alliance', () => {
  it('may pay what is left of the pot by the rounds that are left', () => {
    expect([roundPart(1_000n, 3), roundPart(667n, 2), roundPart(334n, 1)]).toEqual([333n, 333n, 334n]);
  });

  it('pays by stake those that proposed, and voted with most', () => {
    // 1,000 as 30 to 40 to 30.
    expect(roundReward(3_000n, 3, roundOf(five))).toEqual({
      lines: [
        { payee: 'a', purpose: 'trainer', amountMsat: 300n },
        { payee: 'c', purpose: 'fee', amountMsat: 400n },
        { payee: 'd', purpose: 'fee', amountMsat: 300n },
      ],
      carriedMsat: 0n,
    });
    // 101 as 30.3, 40.4 and 30.3: the msat that is left goes to the largest remainder.
    expect(roundReward(101n, 1, roundOf(five)).lines.map(({ amountMsat }) => amountMsat)).toEqual([30n, 41n, 30n]);
    // 5 as 1.5, 2 and 1.5: of equal remainders to the lower key.
    expect(roundReward(5n, 1, roundOf(five)).lines.map(({ amountMsat }) => amountMsat)).toEqual([2n, 2n, 1n]);
  });

  it('pays no proposer of an aggregate that was refused', () => {
    // 40 for, 30 + 25 against.
    expect(roundReward(1_100n, 1, roundOf(revote(-1))).lines).toEqual([
      { payee: 'd', purpose: 'fee', amountMsat: 600n },
      { payee: 'e', purpose: 'fee', amountMsat: 500n },
    ]);
  });

  it('carries its part over where nobody is on-side', () => {
    const silent = five.map((row) => (typeof row.does === 'object' ? { ...row, does: null } : row));
    expect(roundReward(3_000n, 3, roundOf(silent))).toEqual({ lines: [], carriedMsat: 1_000n });
    expect(roundReward(3_000n, 3, roundOf([]))).toEqual({ lines: [], carriedMsat: 1_000n });
  });

  const side = fc.constantFrom(1 as const, -1 as const);
  const does = fc.oneof(
    fc.constantFrom('proposes' as const, 'idles' as const, null),
    fc.tuple(fc.constantFrom('x', 'y'), side).map(([name, vote]) => says(name, vote)),
  );
  const rows = fc
    .array(fc.record({ stake: fc.bigInt(8n, 10n ** 15n), does }), { maxLength: 9 })
    .map((all) => all.map((row, i): Row => ({ ...row, who: `key ${i}` })));
  const pot = fc.bigInt(0n, 10n ** 15n);

  it('pays to the msat, in any order, and all rounds together the pot or what nobody earned of the last one', () => {
    fc.assert(
      fc.property(fc.array(rows, { minLength: 1, maxLength: 4 }), pot, (rounds, whole) => {
        let left = whole;
        let carried = 0n;
        for (const [i, all] of rounds.entries()) {
          const { lines, carriedMsat } = roundReward(left, rounds.length - i, roundOf(all));
          expect(roundReward(left, rounds.length - i, roundOf([...all].reverse()))).toEqual({ lines, carriedMsat });
          const paid = lines.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
          expect(paid + carriedMsat).toBe(roundPart(left, rounds.length - i));
          left -= paid;
          carried = carriedMsat;
        }
        expect(left).toBe(carried);
      }),
    );
  });

  it('pays a stake that is split over keys the same, but for a msat per key', () => {
    fc.assert(
      fc.property(rows, pot, fc.nat(8), fc.integer({ min: 2, max: 8 }), (all, msat, at, keys) => {
        const one = all[at % (all.length || 1)];
        fc.pre(one !== undefined);
        const size = one.stake / BigInt(keys);
        const parts = Array.from({ length: keys }, (_, i) => ({
          ...{ who: `${one.who} part ${i}`, does: one.does },
          stake: i === 0 ? one.stake - size * BigInt(keys - 1) : size,
        }));
        const earned = (of: readonly Row[]) =>
          roundReward(msat, 1, roundOf(of))
            .lines.filter(({ payee }) => payee === one.who || payee.startsWith(`${one.who} `))
            .reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
        const gain = earned(all.flatMap((row) => (row === one ? parts : [row]))) - earned(all);
        expect(gain <= BigInt(keys) && gain >= -BigInt(keys)).toBe(true);
      }),
    );
  });
});
