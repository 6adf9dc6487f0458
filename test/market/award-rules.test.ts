import { describe, expect, it } from 'vitest';
import { foldJob } from '../../src/market/fold.js';
import type { ContentOf } from '../../src/protocol/events.js';
import {
  ENGINE,
  PRICE_MSAT,
  TERMS,
  awardOf,
  customer,
  grantOf,
  hashOf,
  people,
  scriptJob,
  type JobScript,
} from '../support/job-script.js';

type Award = ContentOf<'award'>;
type Replace = ContentOf<'replace'>;

const [first, second, third, spare] = people as [
  (typeof people)[0],
  (typeof people)[0],
  (typeof people)[0],
  (typeof people)[0],
];

/** The job as far as the award, which is changed. */
function awarded(change: (award: Award, script: JobScript) => Award) {
  return scriptJob({ trainers: 2, spares: 2, alter: { award: change }, until: 'award' }).state;
}

const firstRow = (award: Award, change: Partial<Award['bids'][number]>): Award => ({
  ...award,
  bids: award.bids.map((row, i) => (i === 0 ? { ...row, ...change } : row)),
});

describe('an award', () => {
  it('gives seats to the cheapest and keeps the rest as spares', () => {
    const state = awarded((award) => award);
    expect(state).toMatchObject({ phase: 'awarded', firstBad: null });
    expect([...state.assignments.values()].map(({ shard, trainer, priceMsat }) => [shard, trainer, priceMsat])).toEqual(
      [
        [0, first.pubkey, PRICE_MSAT],
        [1, second.pubkey, PRICE_MSAT],
      ],
    );
    expect(state.spares.map((row) => row.trainer)).toEqual([third.pubkey, spare.pubkey]);
  });

  it('takes the standing it names into the order', () => {
    const state = awarded((award, script) => {
      const rows = award.bids.map((row) =>
        row.trainer === spare.pubkey
          ? { ...row, attempts: 9, successes: 10, effectiveMsat: PRICE_MSAT, outcome: 'won' as const }
          : { ...row, outcome: row.trainer === first.pubkey ? ('won' as const) : ('spare' as const) },
      );
      const seats = [spare, first].map((who, shard) => ({
        trainer: who.pubkey,
        bid: award.bids.find((row) => row.trainer === who.pubkey)!.bid,
        shard,
        priceMsat: PRICE_MSAT,
        grant: grantOf(who, shard),
      }));
      expect(script.state.bids).toHaveLength(4);
      return { ...award, bids: [rows[3]!, ...rows.slice(0, 3)], winners: seats };
    });
    expect(state.firstBad).toBeNull();
    expect(state.assignments.get(0)!.trainer).toBe(spare.pubkey);
  });

  it.each<[string, string, (award: Award) => Award]>([
    ['another order of bids', 'award-order', (award) => ({ ...award, bids: [...award.bids].reverse() })],
    ['an effective price that does not follow', 'award-order', (award) => firstRow(award, { effectiveMsat: 1n })],
    ['another price of a bid', 'award-order', (award) => firstRow(award, { priceMsat: 1n })],
    ['another trainer of a bid', 'award-order', (award) => firstRow(award, { trainer: people[7]!.pubkey })],
    ['a standing its effective price denies', 'award-order', (award) => firstRow(award, { attempts: 5, successes: 9 })],
    [
      'a refusal without its reason',
      'award-order',
      (award) => firstRow(award, { outcome: 'refused', rule: 'expired' }),
    ],
    ['a loser as winner', 'award-winners', (award) => withWinner(award, 0, award.bids[3]!)],
    ['winners in other seats', 'award-winners', (award) => ({ ...award, winners: [...award.winners].reverse() })],
    ['a winner short', 'award-winners', (award) => ({ ...award, winners: award.winners.slice(1) })],
    [
      'another price than the bid’s',
      'award-winners',
      (award) => ({ ...award, winners: award.winners.map((row) => ({ ...row, priceMsat: row.priceMsat - 1n })) }),
    ],
    ['a bid considered twice', 'award-bids', (award) => ({ ...award, bids: [award.bids[0]!, ...award.bids] })],
  ])('with %s breaks %s', (_what, rule, change) => {
    const state = awarded(change);
    expect(state).toMatchObject({ phase: 'frozen', firstBad: { author: customer.pubkey, rule } });
    expect(state.award).toBeNull();
    expect(state.assignments.size).toBe(0);
  });

  it('that considers something else than a bid breaks award-bids', () => {
    const state = awarded((award, script) => firstRow(award, { bid: script.jobId }));
    expect(state.firstBad).toMatchObject({ rule: 'award-bids' });
  });

  it('that blocks a bidder says so and passes it over', () => {
    const state = awarded((award, script) => {
      const blocked = { ...award.bids[0]!, outcome: 'refused' as const, rule: 'blocked' as const };
      const rest = awardOf(script, [first, second], [third, spare], PRICE_MSAT).bids.slice(1);
      return {
        ...award,
        bids: [...rest.map((row, i) => ({ ...row, outcome: i < 2 ? ('won' as const) : ('spare' as const) })), blocked],
        winners: [second, third].map((who, shard) => ({
          ...award.winners[0]!,
          trainer: who.pubkey,
          bid: rest[shard]!.bid,
          shard,
        })),
      };
    });
    expect(state.firstBad).toBeNull();
    expect(state.assignments.get(1)!.trainer).toBe(third.pubkey);
  });

  describe('by hand', () => {
    const byHand = (choice: readonly number[], terms: object = {}) =>
      scriptJob({
        ...{ trainers: 2, spares: 2, until: 'award', terms: { award: 'manual', ...terms } },
        alter: {
          award: (award: Award) => ({
            ...award,
            bids: award.bids.map((row, i) => ({ ...row, outcome: choice.includes(i) ? 'won' : 'spare' })),
            winners: choice.map((i, shard) => ({
              ...{ ...award.winners[0]!, shard, trainer: award.bids[i]!.trainer, bid: award.bids[i]!.bid },
              grant: grantOf(people[i]!, shard),
            })),
          }),
        },
      }).state;

    it('gives seats to whom the customer names, and keeps the order for spares', () => {
      const state = byHand([3, 1]);
      expect(state.firstBad).toBeNull();
      expect([...state.assignments.values()].map((seat) => seat.trainer)).toEqual([
        people[3]!.pubkey,
        people[1]!.pubkey,
      ]);
      expect(state.spares.map((spare) => spare.trainer)).toEqual([people[0]!.pubkey, people[2]!.pubkey]);
      expect(byHand([2]).assignments.size).toBe(1);
    });

    it.each([
      ['one bid twice', [0, 0]],
      ['more than there are seats', [0, 1, 2]],
    ])('of %s breaks award-winners', (_what, choice) => {
      expect(byHand(choice).firstBad?.rule).toMatch(/^award-/);
    });

    it('breaks award-order where the job is awarded by its rules', () => {
      expect(byHand([3, 1], { award: 'deadline' }).firstBad).toMatchObject({ rule: 'award-order' });
    });
  });

  it('comes once', () => {
    const script = scriptJob({ trainers: 2, spares: 2, until: 'ready/1' });
    const again = script.say(customer, 'award', 'again', script.at('award', 'award').content)!;
    expect(script.state.firstBad).toMatchObject({ event: again.id, rule: 'second-award' });
  });
});

function withWinner(award: Award, seat: number, row: Award['bids'][number]): Award {
  return {
    ...award,
    winners: award.winners.map((winner, i) =>
      i === seat ? { ...winner, trainer: row.trainer, bid: row.bid } : winner,
    ),
  };
}

describe('a replacement', () => {
  /** Trainer 1 loses shard 1 to the first spare, after `step`. */
  function replaced(change: Partial<Replace> | ((replace: Replace) => Replace), until = 'award', maxReplacements = 2) {
    const script = scriptJob({ trainers: 2, spares: 2, terms: { maxReplacements }, until });
    const honest: Replace = {
      shard: 1,
      out: second.pubkey,
      reason: 'not-started',
      in: {
        trainer: third.pubkey,
        bid: script.raw('bid/2').id,
        priceMsat: PRICE_MSAT,
        grant: grantOf(third, 1),
      },
    };
    script.say(
      customer,
      'replace',
      'replace',
      typeof change === 'function' ? change(honest) : { ...honest, ...change },
    );
    return script;
  }

  it('gives the shard to the best spare, which then answers its own grant', () => {
    const script = replaced({});
    const { id } = script.raw('replace');
    script.say(third, 'ready', 'ready', { award: id, shard: 1, grant: grantOf(third, 1) });
    const { state } = script;
    expect(state.firstBad).toBeNull();
    expect(state.assignments.get(1)).toMatchObject({ trainer: third.pubkey, award: id });
    expect(state.assignments.get(1)!.ready).not.toBeNull();
    expect(state.replacements).toBe(1);
    expect(state.spares.map((row) => row.trainer)).toEqual([spare.pubkey]);
  });

  it('may leave the shard to nobody', () => {
    const { state } = replaced({ in: null });
    expect(state.firstBad).toBeNull();
    expect([...state.assignments.keys()]).toEqual([0]);
    expect(state.replacements).toBe(0);
  });

  it.each<[string, (replace: Replace) => Replace]>([
    ['of a shard somebody else holds', (replace) => ({ ...replace, shard: 0 })],
    ['of a shard that does not exist', (replace) => ({ ...replace, shard: 7 })],
    ['by another spare than the best', (replace) => ({ ...replace, in: { ...replace.in!, trainer: spare.pubkey } })],
    ['at another price than the bid', (replace) => ({ ...replace, in: { ...replace.in!, priceMsat: 1n } })],
    ['on another bid', (replace) => ({ ...replace, in: { ...replace.in!, bid: hashOf('bid') as never } })],
  ])('%s breaks replace and leaves the seats as they were', (_what, change) => {
    const { state } = replaced(change);
    expect(state.firstBad).toMatchObject({ rule: 'replace' });
    expect([...state.assignments.values()].map((seat) => seat.trainer)).toEqual([first.pubkey, second.pubkey]);
  });

  it('beyond the promised number breaks replace', () => {
    expect(replaced({}, 'award', 0).state.firstBad).toMatchObject({ rule: 'replace' });
  });

  it('while a round is open breaks replace', () => {
    expect(replaced({}, 'commit/0/0').state.firstBad).toMatchObject({ rule: 'replace' });
  });
});

describe('a late bid', () => {
  const late = people[5]!;
  const bidOf = (change: Partial<ContentOf<'bid'>> = {}): ContentOf<'bid'> => ({
    ...{ priceMsat: 5_000n, capacity: 1, engine: ENGINE, throughput: 0, expires: TERMS.deadline },
    ...change,
  });
  /** Two seats without spares, of which the second becomes vacant; then `who` bids and the customer takes it. */
  function joined({
    who = late,
    bid = bidOf(),
    replace = {},
    before = true,
    maxReplacements = 2,
  }: {
    readonly who?: (typeof people)[number];
    readonly bid?: ContentOf<'bid'>;
    readonly replace?: Partial<Replace>;
    readonly before?: boolean;
    readonly maxReplacements?: number;
  }) {
    const script = scriptJob({ trainers: 2, terms: { maxReplacements }, until: 'ready/1' });
    if (before) script.say(customer, 'replace', 'gone', { shard: 1, out: second.pubkey, reason: 'resigned', in: null });
    const { id } = script.say(who, 'bid', 'late', bid)!;
    const grant = grantOf(who, 1);
    script.say(customer, 'replace', 'replace', {
      ...{ shard: 1, out: null, reason: 'vacant' },
      in: { trainer: who.pubkey, bid: id, priceMsat: bid.priceMsat, grant },
      ...replace,
    });
    return script;
  }

  it('takes a vacant shard at its own price, as a replacement', () => {
    const { state } = joined({});
    expect(state.firstBad).toBeNull();
    expect(state.assignments.get(1)).toMatchObject({ trainer: late.pubkey, priceMsat: 5_000n });
    expect(state.replacements).toBe(1);
  });

  it('takes over from who holds the shard', () => {
    const { state } = joined({ before: false, replace: { out: second.pubkey, reason: 'resigned' } });
    expect(state.firstBad).toBeNull();
    expect([...state.lost]).toEqual([second.pubkey]);
  });

  it('is the same in any order of events, and missing until it is at hand', () => {
    const script = joined({});
    expect(foldJob(script.jobId, [...script.parsed].reverse()).assignments).toEqual(script.state.assignments);
    const bid = script.raw('late').id;
    const without = foldJob(
      script.jobId,
      script.parsed.filter(({ id }) => id !== bid),
    );
    expect(without).toMatchObject({ firstBad: null, missing: [bid] });
    expect(without.assignments.get(1)!.trainer).toBe(late.pubkey);
  });

  it.each<[string, Parameters<typeof joined>[0]]>([
    ['above the ceiling', { bid: bidOf({ priceMsat: TERMS.maxPriceMsat + 1n }) }],
    ['on another engine', { bid: bidOf({ engine: 'cpu/1/2/3' as never }) }],
    ['that has expired', { bid: bidOf({ expires: 1 }) }],
    ['of who lost a seat', { who: second }],
    ['of who holds a shard and may have one', { who: first, bid: bidOf({ capacity: 2 }) }],
    ['beyond the promised number', { maxReplacements: 0 }],
    ['for a shard that is held', { before: false }],
    ['for a shard that does not exist', { replace: { shard: 2 } }],
    ['of nobody', { replace: { in: null } }],
    ['under another reason', { replace: { reason: 'absent' } }],
  ])('%s breaks replace', (_what, change) => {
    expect(joined(change).state.firstBad).toMatchObject({ rule: 'replace' });
  });

  it('counts only once the spares of the award are used up', () => {
    const script = scriptJob({ trainers: 2, spares: 1, until: 'ready/1' });
    const { id } = script.say(late, 'bid', 'late', bidOf())!;
    const next = { trainer: late.pubkey, bid: id, priceMsat: 5_000n, grant: grantOf(late, 1) };
    script.say(customer, 'replace', 'replace', { shard: 1, out: second.pubkey, reason: 'resigned', in: next });
    expect(script.state.firstBad).toMatchObject({ rule: 'replace' });
  });

  it('is no replacement where it is the first to hold the shard', () => {
    const script = scriptJob({
      ...{ trainers: 1, until: 'ready/0' },
      terms: { trainers: 2, quorum: 1, maxReplacements: 0 },
    });
    const { id } = script.say(late, 'bid', 'late', bidOf())!;
    const next = { trainer: late.pubkey, bid: id, priceMsat: 5_000n, grant: grantOf(late, 1) };
    script.say(customer, 'replace', 'replace', { shard: 1, out: null, reason: 'vacant', in: next });
    expect(script.state).toMatchObject({ firstBad: null, replacements: 0 });
    expect([...script.state.assignments.keys()]).toEqual([0, 1]);
  });
});

describe('the answer to a grant', () => {
  it('is ready only for the promised grant, the shard and the award', () => {
    for (const change of [{ grant: hashOf('x') }, { shard: 1 }, { award: hashOf('x') as never }]) {
      const script = scriptJob({
        alter: { 'ready/0': (ready: ContentOf<'ready'>) => ({ ...ready, ...change }) },
        until: 'ready/2',
      });
      expect(script.state.assignments.get(0)!.ready).toBeNull();
      expect(script.state.assignments.get(1)!.ready).not.toBeNull();
    }
  });

  it('may name the rule that the grant breaks', () => {
    const script = scriptJob({ until: 'award' });
    const award = script.raw('award').id;
    script.say(first, 'grant-bad', 'bad', { award, shard: 0, rule: 'key', detail: '' });
    expect(script.state.assignments.get(0)).toMatchObject({ ready: null, grantBad: { content: { rule: 'key' } } });
  });
});
