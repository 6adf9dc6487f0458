import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { effectivePrice, highestPrice, runAuction, type Standing } from '../../src/market/auction.js';
import type { ContentOf, EventOf } from '../../src/protocol/events.js';
import { START_SEC, TERMS, customer, people, scriptJob } from '../support/job-script.js';
import { sealedScript } from '../support/sealed-script.js';

const { bids: made } = scriptJob({ trainers: 8, until: 'bid/7' }).state;
const CEILING = 30n;
const asked = (prices: readonly bigint[]): EventOf<'bid'>[] =>
  prices.map((priceMsat, i) => ({ ...made[i]!, content: { ...made[i]!.content, priceMsat } }));
const auction = (
  bids: readonly EventOf<'bid'>[],
  trainers: number,
  standing: ReadonlyMap<Pubkey, Standing> = new Map(),
  newKeyShare?: number,
) =>
  runAuction({
    terms: { ...TERMS, trainers, maxPriceMsat: CEILING, payment: 'uniform', bids: 'sealed', newKeyShare },
    ...{ customer: customer.pubkey, bids, standing, blocked: new Set<never>(), atSec: START_SEC },
  });
const paid = ({ seats }: ReturnType<typeof auction>) =>
  new Map(seats.map(({ trainer, priceMsat }) => [people.findIndex(({ pubkey }) => pubkey === trainer), priceMsat]));

describe('the uniform price', () => {
  it.each<[readonly bigint[], number, [number, bigint][]]>([
    // Unknown keys all count double: the price is what the first loser asks.
    [
      [10n, 18n, 14n],
      2,
      [
        [0, 18n],
        [2, 18n],
      ],
    ],
    [[10n, 10n, 10n], 1, [[0, 10n]]],
    // Nobody loses: the ceiling.
    [
      [10n, 18n],
      2,
      [
        [0, CEILING],
        [1, CEILING],
      ],
    ],
    [[10n, CEILING + 1n], 1, [[0, CEILING]]],
  ])('of %s for %s seats', (prices, trainers, expected) => {
    expect([...paid(auction(asked(prices), trainers))]).toEqual(expected);
  });

  it('is divided by what the winner’s own price is multiplied with', () => {
    const standing = new Map([[people[0]!.pubkey, { attempts: 2, successes: 2 }]]);
    // 12 * 4/3 = 16 against 2 * 10 = 20: highest p with floor(p * 4/3) <= 20 is 15.
    expect([...paid(auction(asked([12n, 10n]), 1, standing))]).toEqual([[0, 15n]]);
  });

  const standings = fc.record({ attempts: fc.nat(6), successes: fc.nat(6) }).map(({ attempts, successes }) => ({
    attempts: Math.max(attempts, successes),
    successes,
  }));
  const cases = fc.record({
    prices: fc.array(fc.bigInt(0n, CEILING + 2n), { minLength: 1, maxLength: 8 }),
    standing: fc
      .array(standings, { minLength: 8, maxLength: 8 })
      .map((list) => new Map(list.map((one, i) => [people[i]!.pubkey, one]))),
    trainers: fc.integer({ min: 1, max: 5 }),
    newKeyShare: fc.constantFrom(undefined, 0, 300_000, 500_000, 1_000_000),
  });

  it('is never below the own bid nor above the ceiling, and no order of arrival changes it', () => {
    fc.assert(
      fc.property(cases, ({ prices, standing, trainers, newKeyShare }) => {
        const bids = asked(prices);
        const result = auction(bids, trainers, standing, newKeyShare);
        for (const [i, price] of paid(result)) {
          expect(price).toBeGreaterThanOrEqual(prices[i]!);
          expect(price).toBeLessThanOrEqual(CEILING);
        }
        expect(auction([...bids].reverse(), trainers, standing, newKeyShare)).toEqual(result);
      }),
    );
  });

  it('makes no bid better than what the work costs, by every other bid a key could make', () => {
    fc.assert(
      fc.property(cases, fc.nat(7), ({ prices, standing, trainers, newKeyShare }, at) => {
        const me = at % prices.length;
        const cost = prices[me]!;
        const gain = (bid: bigint): bigint => {
          const price = paid(
            auction(asked(prices.map((one, i) => (i === me ? bid : one))), trainers, standing, newKeyShare),
          ).get(me);
          return price === undefined ? 0n : price - cost;
        };
        const honest = gain(cost);
        for (let bid = 0n; bid <= CEILING + 1n; bid++) expect(gain(bid)).toBeLessThanOrEqual(honest);
      }),
      { numRuns: 60 },
    );
  });

  it('inverts the effective price', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 12n), standings, (most, standing) => {
        const price = highestPrice(most, standing);
        expect(effectivePrice(price, standing)).toBeLessThanOrEqual(most);
        expect(effectivePrice(price + 1n, standing)).toBeGreaterThan(most);
      }),
    );
  });
});

describe('an award of sealed bids', () => {
  type Award = ContentOf<'award'>;
  const foldWith = (change: (award: Award) => Award, terms: Partial<ContentOf<'job'>> = { payment: 'uniform' }) => {
    const { script, award } = sealedScript([10_000n, 18_000n, 14_000n], terms);
    script.say(customer, 'award', 'award', change(award));
    return script.state;
  };
  const first = (change: Partial<Award['bids'][number]>) => (award: Award) => ({
    ...award,
    bids: award.bids.map((row, i) => (i === 0 ? { ...row, ...change } : row)),
  });

  it('opens them: winners, spares and prices follow', () => {
    const state = foldWith((award) => award);
    expect(state.firstBad).toBeNull();
    expect([...state.assignments.values()].map(({ trainer, priceMsat }) => [trainer, priceMsat])).toEqual([
      [people[0]!.pubkey, 18_000n],
      [people[2]!.pubkey, 18_000n],
    ]);
    expect(state.spares.map(({ priceMsat }) => priceMsat)).toEqual([18_000n]);
    expect(foldWith((award) => award, {}).assignments.get(0)).toMatchObject({ priceMsat: 10_000n });
  });

  it.each<[string, string, (award: Award) => Award]>([
    ['another price than was committed to', 'award-opening', first({ priceMsat: 11_000n })],
    [
      'another salt',
      'award-opening',
      (award) => first({ opened: { ...award.bids[0]!.opened!, salt: new Uint8Array(32) } })(award),
    ],
    ['a bid that wins unopened', 'award-order', first({ opened: undefined })],
    [
      'a price below the first loser’s',
      'award-winners',
      (award) => ({ ...award, winners: award.winners.map((row) => ({ ...row, priceMsat: 14_000n })) }),
    ],
  ])('with %s breaks %s', (_what, rule, change) => {
    expect(foldWith(change).firstBad).toMatchObject({ author: customer.pubkey, rule });
  });

  it('may say of one that its seal does not open it', () => {
    const state = foldWith((award) => {
      const [best, ...rest] = award.bids;
      const closed = {
        ...best!,
        priceMsat: 0n,
        effectiveMsat: 0n,
        outcome: 'refused' as const,
        rule: 'sealed' as const,
      };
      const { opened: _, ...row } = closed;
      const won = rest.map((one) => ({ ...one, outcome: 'won' as const }));
      const seats = won.map(({ trainer, bid }, shard) => ({
        ...{ ...award.winners[0]!, trainer, bid, shard },
        priceMsat: TERMS.maxPriceMsat,
      }));
      return { ...award, bids: [...won, row], winners: seats };
    });
    expect(state.firstBad).toBeNull();
    expect(state.spares).toEqual([]);
  });

  it('takes no open bid', () => {
    const alter = { award: (award: Award) => award };
    expect(scriptJob({ until: 'award', terms: { bids: 'sealed' }, alter }).state.firstBad).toMatchObject({
      rule: 'award-bids',
    });
  });
});
