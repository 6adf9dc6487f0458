import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventId, Pubkey } from '../../src/hash.js';
import { newKeySeats, runAuction } from '../../src/market/auction.js';
import { counts, knownBidders, MAX_COUNTED, standingIn, type EarlierJob } from '../../src/market/standing.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { hashOf, people, scriptJob, START_SEC, TERMS, customer, type ScriptOptions } from '../support/job-script.js';

const of = (options: ScriptOptions) => {
  const { state } = scriptJob(options);
  const rail = options.rail ?? 'instalments';
  const known = standingIn(state.chains.get(customer.pubkey)!.events, rail);
  return people.slice(0, 3).map(({ pubkey }) => {
    const one = known.get(pubkey);
    return one === undefined ? null : [one.attempts, one.successes];
  });
};

describe('the standing of a trainer in a job', () => {
  it('counts closed rounds, and as successes those accepted and paid', () => {
    expect(of({ trainers: 2, rounds: 3 })).toEqual([[3, 3], [3, 3], null]);
    expect(of({ trainers: 3, rounds: 2, terms: { quorum: 1 }, alter: { 'commit/1/1': () => null } })).toEqual([
      [2, 2],
      [2, 1],
      [2, 2],
    ]);
  });

  it('leaves out what is accepted and not paid yet, and void rounds', () => {
    const unpaid = { rounds: 1, alter: { 'claim/0/1': () => null }, until: 'received/0/0' };
    expect(of({ trainers: 2, ...unpaid })).toEqual([[1, 1], null, null]);
    const alter = { 'commit/0/0': () => null, 'commit/0/1': () => null };
    expect(of({ trainers: 2, rounds: 2, alter })).toEqual([[1, 1], [1, 1], null]);
  });

  it('needs no receipt on rail none', () => {
    expect(of({ trainers: 2, rounds: 2, rail: 'none' })).toEqual([[2, 2], [2, 2], null]);
  });
});

describe('what an award counts', () => {
  it.each([
    ['bitcoin', 'instalments', 'bitcoin', 'instalments', true],
    ['bitcoin', 'instalments', 'sandbox', 'none', true],
    ['sandbox', 'instalments', 'bitcoin', 'instalments', false],
    ['sandbox', 'instalments', 'sandbox', 'instalments', true],
    ['testnet', 'instalments', 'signet', 'instalments', false],
    ['bitcoin', 'none', 'bitcoin', 'instalments', false],
    ['bitcoin', 'none', 'bitcoin', 'none', true],
  ] as const)('of %s %s for %s %s: %s', (network, rail, forNetwork, forRail, isIt) => {
    expect(counts({ network, rail }, { network: forNetwork, rail: forRail })).toBe(isIt);
  });

  const jobs = (count: number): EarlierJob[] =>
    Array.from({ length: count }, (_, i) => ({
      head: hashOf(`head ${i}`) as string as EventId,
      terms: { network: 'sandbox', rail: 'instalments' },
      standing: new Map([[people[i % 2]!.pubkey, { attempts: 2, successes: 1 }]]),
    }));
  const both = new Set<Pubkey>([people[0]!.pubkey, people[1]!.pubkey]);
  const job = { network: 'sandbox', rail: 'instalments' } as const;

  it('is summed over jobs that had a bidder, and names those only', () => {
    const { standing, counted } = knownBidders(job, jobs(5), new Set([people[0]!.pubkey]));
    expect([...standing]).toEqual([[people[0]!.pubkey, { attempts: 6, successes: 3 }]]);
    expect(counted).toEqual([0, 2, 4].map((i) => hashOf(`head ${i}`)));
  });

  it('is of so many jobs as its event can name, the first ones', () => {
    const { standing, counted } = knownBidders(job, jobs(2 * MAX_COUNTED), both);
    expect(counted).toHaveLength(MAX_COUNTED);
    expect(standing.get(people[0]!.pubkey)).toEqual({ attempts: MAX_COUNTED, successes: MAX_COUNTED / 2 });
  });
});

describe('newKeyShare', () => {
  const { bids } = scriptJob({ trainers: 6, until: 'bid/5' }).state;
  const known = (...indices: number[]) =>
    new Map(indices.map((i) => [people[i]!.pubkey, { attempts: 1, successes: 1 }]));
  const auction = (newKeyShare: number | undefined, trainers: number, standing = known(), some = bids) =>
    runAuction({
      ...{ terms: { ...TERMS, trainers, newKeyShare }, customer: customer.pubkey, bids: some, standing },
      ...{ blocked: new Set<never>(), atSec: START_SEC },
    });
  const seats = ({ seats: taken }: ReturnType<typeof auction>) =>
    taken.map(({ trainer }) => people.findIndex(({ pubkey }) => pubkey === trainer));

  it.each([
    [undefined, 3, 3],
    [1_000_000, 3, 3],
    [500_000, 3, 2],
    [500_000, 1, 1],
    [0, 5, 0],
  ])('of %s ppm leaves, of %s seats, %s', (newKeyShare, trainers, most) => {
    expect(newKeySeats({ trainers, newKeyShare })).toBe(most);
  });

  it('passes over further new keys for known ones that come later in the order', () => {
    const result = auction(500_000, 4, known(4, 5));
    // Known keys have the lower effective price; equal bids otherwise.
    expect(seats(result)).toEqual([4, 5, 0, 1]);
    const dear = bids.map((bid, i) => (i >= 4 ? { ...bid, content: { ...bid.content, priceMsat: 45_000n } } : bid));
    expect(seats(auction(500_000, 4, known(4, 5), dear))).toEqual([0, 1, 4, 5]);
  });

  it('names the seats that it leaves empty', () => {
    const result = auction(500_000, 4);
    expect([seats(result), result.withheld]).toEqual([[0, 1], 2]);
    expect(auction(500_000, 4, known(), bids.slice(0, 3)).withheld).toBe(1);
    expect(auction(undefined, 4).withheld).toBeUndefined();
  });

  it('never gives new keys more, and leaves no seat empty that a known one bid for', () => {
    fc.assert(
      fc.property(
        fc.nat(1_000_000),
        fc.integer({ min: 1, max: 8 }),
        fc.subarray([0, 1, 2, 3, 4, 5]),
        (ppm, trainers, ok) => {
          const taken = seats(auction(ppm, trainers, known(...ok)));
          const news = taken.filter((i) => !ok.includes(i)).length;
          expect(news).toBe(
            Math.min(
              6 - ok.length,
              newKeySeats({ trainers, newKeyShare: ppm }),
              trainers - Math.min(trainers, taken.length - news),
            ),
          );
          if (taken.length < trainers) expect(ok.every((i) => taken.includes(i))).toBe(true);
        },
      ),
    );
  });
});

it('an award that withholds seats without newKeyShare breaks award-winners', () => {
  const alter = { award: (content: ContentOf<'award'>) => ({ ...content, withheld: 1 }) };
  expect(scriptJob({ until: 'award', alter }).state.firstBad).toMatchObject({ rule: 'award-winners' });
});
