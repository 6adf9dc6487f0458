import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EngineId } from '../../src/learning/types.js';
import { effectivePrice, rungOf, runAuction, spareOffers, type Standing } from '../../src/market/auction.js';
import type { EventOf } from '../../src/protocol/events.js';
import { START_SEC, TERMS, customer, people, scriptJob } from '../support/job-script.js';

const script = scriptJob({ trainers: 8, until: 'bid/7' });
const base = script.state.bids;

type Change = Partial<EventOf<'bid'>['content']>;
/** Bids of the first people, in order of their keys. */
const bidsOf = (...changes: Change[]): EventOf<'bid'>[] =>
  changes.map((change, i) => ({ ...base[i]!, content: { ...base[i]!.content, ...change } }));

function auction(bids: readonly EventOf<'bid'>[], more: Partial<Parameters<typeof runAuction>[0]> = {}) {
  return runAuction({
    terms: { ...TERMS, trainers: 2 },
    customer: customer.pubkey,
    bids,
    standing: new Map(),
    blocked: new Set(),
    atSec: START_SEC,
    ...more,
  });
}
const names = (rows: readonly { readonly trainer: string }[]) =>
  rows.map(({ trainer }) => people.findIndex(({ pubkey }) => pubkey === trainer));

describe('the effective price', () => {
  it.each<[bigint, Standing, bigint]>([
    [1_000n, { attempts: 0, successes: 0 }, 2_000n], // 2 / 1
    [1_000n, { attempts: 1, successes: 1 }, 1_500n], // 3 / 2
    [1_000n, { attempts: 2, successes: 2 }, 1_333n], // 4 / 3, rounded down
    [1_000n, { attempts: 9, successes: 9 }, 1_100n], // 11 / 10
    [1_000n, { attempts: 10, successes: 5 }, 2_000n], // 12 / 6
    [1_000n, { attempts: 11, successes: 5 }, 2_000n], // 13 / 6, at most double
    [1_000n, { attempts: 3, successes: 4 }, 1_000n], // 5 / 5
    [1_000n, { attempts: 0, successes: 5 }, 1_000n], // 2 / 6, at least the price
    [7n, { attempts: 4, successes: 3 }, 10n], // 6 / 4: 10.5
    [0n, { attempts: 0, successes: 0 }, 0n],
  ])('of %s msat with %o is %s', (price, standing, effective) => {
    expect(effectivePrice(price, standing)).toBe(effective);
  });

  it('lies between the price and its double, and falls with every success', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 15n), fc.nat(1_000), fc.nat(1_000), (price, failures, successes) => {
        const of = (n: number) => effectivePrice(price, { attempts: failures + n, successes: n });
        expect(of(successes)).toBeGreaterThanOrEqual(price);
        expect(of(successes)).toBeLessThanOrEqual(2n * price);
        expect(of(successes + 1)).toBeLessThanOrEqual(of(successes));
      }),
    );
  });
});

describe('a job that gives a trainer several shards', () => {
  const seatsOf = (trainers: number, shardsPerTrainer: number | undefined, ...changes: Change[]) =>
    names(auction(bidsOf(...changes), { terms: { ...TERMS, trainers, shardsPerTrainer } }).seats);

  it.each<[string, bigint, number[]]>([
    ['dearer than twice', 201n, [0, 0, 1]],
    ['exactly twice as dear', 200n, [0, 1, 0]],
    ['cheaper than twice', 150n, [0, 1, 0]],
  ])('gives a second shard before a bid that is %s', (_what, priceMsat, seats) => {
    expect(seatsOf(3, 2, { priceMsat: 100n, capacity: 2 }, { priceMsat })).toEqual(seats);
  });

  it('gives nobody more than it offers, the job allows, or one where the job says nothing', () => {
    expect(seatsOf(4, 3, { capacity: 2 }, { capacity: 9 })).toEqual([0, 1, 0, 1]);
    expect(seatsOf(6, 3, { capacity: 2 }, { capacity: 9 })).toEqual([0, 1, 0, 1, 1]);
    expect(seatsOf(4, undefined, { capacity: 2 }, { capacity: 9 })).toEqual([0, 1]);
  });

  it('gives everyone a shard of a free job before anyone gets two', () => {
    const free = { priceMsat: 0n, capacity: 4 };
    expect(seatsOf(5, 4, free, free, free)).toEqual([0, 1, 2, 0, 1]);
  });

  it('pays each shard the price of the bid, and says how many were offered', () => {
    const bids = bidsOf({ priceMsat: 100n, capacity: 9 }, { priceMsat: 900n });
    const { seats, considered } = auction(bids, { terms: { ...TERMS, trainers: 2, shardsPerTrainer: 4 } });
    expect(seats.map(({ shard, priceMsat }) => [shard, priceMsat])).toEqual([
      [0, 100n],
      [1, 100n],
    ]);
    expect(considered.map(({ outcome, shards }) => [outcome, shards])).toEqual([
      ['won', 4],
      ['spare', undefined],
    ]);
    expect(names(spareOffers(considered, 2))).toEqual([0, 0, 1]);
  });

  it('fills what is offered, with the winners first, whatever the order of bids', () => {
    const offer = fc.record({ priceMsat: fc.bigInt(0n, 5n), capacity: fc.integer({ min: 1, max: 4 }) });
    const cases = fc.record({
      ...{ offers: fc.array(offer, { minLength: 1, maxLength: 8 }), trainers: fc.integer({ min: 1, max: 12 }) },
      shardsPerTrainer: fc.integer({ min: 2, max: 4 }),
    });
    fc.assert(
      fc.property(cases, ({ offers, trainers, shardsPerTrainer }) => {
        const bids = bidsOf(...offers);
        const terms = { ...TERMS, trainers, shardsPerTrainer };
        const found = auction(bids, { terms });
        expect(auction([...bids].reverse(), { terms })).toEqual(found);
        const counts = bids.map(({ author }) => found.seats.filter(({ trainer }) => trainer === author).length);
        const most = offers.map(({ capacity }) => Math.min(capacity, shardsPerTrainer));
        counts.forEach((count, i) => expect(count).toBeLessThanOrEqual(most[i]!));
        const total = most.reduce((sum, one) => sum + one, 0);
        expect(found.seats).toHaveLength(Math.min(trainers, total));
        const outcomes = found.considered.map(({ outcome }) => outcome).join(' ');
        expect(outcomes).toMatch(/^won( won)*( spare)*$/);
        expect(spareOffers(found.considered, trainers)).toHaveLength(Math.max(0, total - trainers));
      }),
    );
  });
});

describe('the auction', () => {
  it('gives seats to the lowest effective prices, at the price of the bid', () => {
    const { seats, considered } = auction(bidsOf({ priceMsat: 300n }, { priceMsat: 100n }, { priceMsat: 200n }));
    expect(names(seats)).toEqual([1, 2]);
    expect(seats.map(({ shard, priceMsat }) => [shard, priceMsat])).toEqual([
      [0, 100n],
      [1, 200n],
    ]);
    expect(considered.map(({ outcome, effectiveMsat }) => [outcome, effectiveMsat])).toEqual([
      ['won', 200n],
      ['won', 400n],
      ['spare', 600n],
    ]);
  });

  it('prefers a key with a good record to a cheaper unknown one', () => {
    const bids = bidsOf({ priceMsat: 100n }, { priceMsat: 150n });
    const standing = new Map([[people[1]!.pubkey, { attempts: 9, successes: 9 }]]); // 165 against 200
    const { seats } = auction(bids, { standing, terms: { ...TERMS, trainers: 1 } });
    expect(names(seats)).toEqual([1]);
    expect(seats[0]!.priceMsat).toBe(150n);
  });

  it('breaks ties by key', () => {
    expect(names(auction(bidsOf({}, {}, {}, {}).reverse()).seats)).toEqual([0, 1]);
  });

  it.each<[string, Change, string]>([
    ['above the ceiling', { priceMsat: TERMS.maxPriceMsat + 1n }, 'price-above-ceiling'],
    ['on another engine', { engine: 'cpu/1/2/3' as EngineId }, 'engine-not-accepted'],
    ['whose time is over', { expires: START_SEC - 1 }, 'expired'],
  ])('refuses a bid %s and says why', (_what, change, rule) => {
    const { seats, considered } = auction(bidsOf(change, {}));
    expect(names(seats)).toEqual([1]);
    expect(considered.at(-1)).toMatchObject({ trainer: people[0]!.pubkey, outcome: 'refused', rule });
  });

  it('takes a bid at the ceiling and in its last second', () => {
    expect(auction(bidsOf({ priceMsat: TERMS.maxPriceMsat, expires: START_SEC })).seats).toHaveLength(1);
  });

  it('refuses the customer’s own bid and those of blocked keys', () => {
    const own = auction(bidsOf({}, {}), { customer: people[0]!.pubkey });
    expect(own.considered.at(-1)).toMatchObject({ rule: 'own-job' });
    const blocked = auction(bidsOf({}, {}), { blocked: new Set([people[1]!.pubkey]) });
    expect(blocked.considered.at(-1)).toMatchObject({ trainer: people[1]!.pubkey, rule: 'blocked' });
  });

  it('leaves seats empty when there are too few bids', () => {
    expect(auction([])).toEqual({ considered: [], seats: [] });
    expect(auction(bidsOf({})).seats).toHaveLength(1);
  });

  it('gives the same result for every order of bids', () => {
    const prices = fc.array(fc.bigInt(1n, 5n), { minLength: 1, maxLength: 8 });
    const orders = prices.chain((list) => {
      const bids = bidsOf(...list.map((priceMsat) => ({ priceMsat })));
      return fc.tuple(fc.constant(bids), fc.shuffledSubarray(bids, { minLength: bids.length }));
    });
    fc.assert(
      fc.property(orders, ([bids, shuffled]) => {
        expect(auction(shuffled)).toEqual(auction(bids));
      }),
    );
  });

  it('reads the kind of engine from the first part of its id', () => {
    expect(rungOf('wasm/3f2a9c10/4.22.0/x64')).toBe('wasm');
    expect(rungOf('wasmer/1')).toBe('wasmer');
  });
});
