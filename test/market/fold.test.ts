import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventId } from '../../src/hash.js';
import { foldJob } from '../../src/market/fold.js';
import { acceptedRounds, chainTip, owedMsat, paidMsat } from '../../src/market/state.js';
import { JobScript, PRICE_MSAT, TERMS, customer, hashOf, people, scriptJob } from '../support/job-script.js';

const whole = scriptJob({ trainers: 3, spares: 1, rounds: 2 });
const other = scriptJob({ trainers: 2, rounds: 1, terms: { title: 'another job' } });
const forked = scriptJob({
  after: {
    'commits/1': (script) => script.fork(people[1]!, 'commit/1/1', 'resign', { reason: 'fork' }),
  },
});

/** Any order of the events, some of them twice. */
const arrivals = <T>(events: readonly T[]) =>
  fc
    .tuple(
      fc.shuffledSubarray([...events], { minLength: events.length }),
      fc.shuffledSubarray([...events], { maxLength: 8 }),
    )
    .map(([all, again]) => [...all, ...again]);

describe('the fold of a whole job', () => {
  it('ends with the model published and everyone paid', () => {
    const { state } = whole;
    expect(state).toMatchObject({ phase: 'finished', firstBad: null, forks: [], missing: [] });
    expect(state.modelHash).toBe(hashOf('model 2'));
    expect(paidMsat(state)).toBe(6n * PRICE_MSAT);
    for (const who of people.slice(0, 3)) {
      expect(paidMsat(state, who.pubkey)).toBe(2n * PRICE_MSAT);
      expect(owedMsat(state, who.pubkey)).toBe(0n);
      expect(acceptedRounds(state, who.pubkey)).toBe(2);
    }
    expect(state.spares.map((spare) => spare.trainer)).toEqual([people[3]!.pubkey]);
    expect(chainTip(state, customer.pubkey)).toEqual({
      seq: state.chains.get(customer.pubkey)!.events.length,
      prev: whole.at('artifact', 'artifact').id,
    });
  });

  it('settles nothing where the work is free', () => {
    const { state } = scriptJob({ rail: 'none' });
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.rounds.flatMap((round) => round.payouts)).toEqual([]);
  });

  it.each([
    ['job', 'awarding'],
    ['bid/2', 'awarding'],
    ['award', 'awarded'],
    ['open/0', 'committing'],
    ['commits/0', 'revealing'],
    ['reveals/0', 'scoring'],
    ['scores/0', 'scoring'],
    ['close/0', 'closed'],
    ['settlement/0', 'between'],
    ['open/1', 'committing'],
    ['settlement/1', 'trained'],
    ['artifact', 'finished'],
  ])('is, after %s, in the phase %s', (until, phase) => {
    expect(scriptJob({ until }).state).toMatchObject({ phase, firstBad: null, missing: [] });
  });

  it('is unknown without the job event, which it then asks for', () => {
    const state = foldJob(whole.jobId, whole.parsed.slice(1));
    expect(state).toMatchObject({ phase: 'unknown', job: null, missing: [whole.jobId] });
  });

  it.each([
    ['a sound job', whole],
    ['a job with a forked trainer', forked],
  ])('does not depend on order, repetition or events of other jobs: %s', (_name, script) => {
    const expected = script.state;
    fc.assert(
      fc.property(arrivals([...script.parsed, ...other.parsed]), (events) => {
        expect(foldJob(script.jobId, events)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('never throws and never blames the customer for events that have not come', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(whole.parsed), (events) => {
        const state = foldJob(whole.jobId, events);
        expect(state.firstBad).toBeNull();
      }),
      { numRuns: 150 },
    );
  });
});

describe('gaps and broken chains', () => {
  const without = (script: JobScript, step: string) => {
    const { id } = script.raw(step);
    return foldJob(
      script.jobId,
      script.parsed.filter((event) => event.id !== id),
    );
  };

  it('asks for the customer’s event before a gap and stands still there', () => {
    const state = without(whole, 'commits/1');
    expect(state).toMatchObject({ phase: 'committing', firstBad: null });
    expect(state.missing).toEqual([whole.raw('commits/1').id]);
  });

  it('asks for a bid, a claim and a submission that the customer’s events cite', () => {
    for (const step of ['bid/1', 'claim/0/1', 'reveal/1/2', 'commit/0/0']) {
      const state = without(whole, step);
      expect(state.missing).toContain(whole.raw(step).id);
      expect(state.firstBad).toBeNull();
    }
  });

  it('asks for an id that was seen and is not at hand', () => {
    const events = whole.parsed.slice(0, whole.parsed.indexOf(whole.at('commits/0', 'list')));
    const { id } = whole.raw('commit/0/2');
    const state = foldJob(
      whole.jobId,
      events.filter((event) => event.id !== id),
    );
    expect(state.missing).toEqual([id]);
  });

  it('keeps what the customer listed although an earlier event of its trainer is not at hand', () => {
    const state = without(whole, 'ready/1');
    expect(state.chains.get(people[1]!.pubkey)!.events).toHaveLength(1);
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.rounds[1]!.listedReveals.size).toBe(3);
  });

  it('freezes where prev of the customer names another event', () => {
    const script = scriptJob({ until: 'commits/0' });
    const { seq } = script.at('commits/0', 'list');
    const stray = script.add(
      script.write(
        customer,
        'list',
        { round: 0, of: 'reveal', ids: [], until: null },
        {
          seq: seq + 1,
          prev: script.raw('open/0').id,
        },
      ),
    );
    expect(script.state).toMatchObject({ phase: 'frozen', firstBad: { event: stray.id, rule: 'chain' } });
    expect(script.state.rounds[0]!.commitList!.id).toBe(script.raw('commits/0').id);
  });

  it('ends a trainer’s chain where its prev is broken, without blame for the customer', () => {
    const script = scriptJob({ until: 'award' });
    const ready = script.write(
      people[0]!,
      'ready',
      { award: script.raw('award').id, shard: 0, grant: hashOf('x') },
      { seq: 1, prev: hashOf('nothing') as string as EventId },
    );
    script.add(ready);
    const { state } = script;
    expect(state.chains.get(people[0]!.pubkey)!.broken).toBe(ready.id);
    expect(state.assignments.get(0)!.ready).toBeNull();
    expect(state.firstBad).toBeNull();
  });
});

describe('forks', () => {
  it('of the customer freeze the job at the last common event; settled work stays owed', () => {
    const script = scriptJob({
      alter: { 'receipt/0/2': () => null },
      until: 'open/1',
    });
    const step = script.at('open/1', 'open');
    const second = script.fork(customer, 'open/1', 'cancel', { reason: 'two audiences' });
    const { state } = script;
    expect(state).toMatchObject({ phase: 'frozen', cancelled: null });
    expect(state.firstBad).toMatchObject({ rule: 'fork', author: customer.pubkey });
    expect(state.forks).toEqual([{ author: customer.pubkey, seq: step.seq, ids: [step.id, second.id].sort() }]);
    expect(state.rounds).toHaveLength(1);
    expect(owedMsat(state, people[2]!.pubkey)).toBe(PRICE_MSAT);
  });

  it('of the customer at its first event leave nothing of the job', () => {
    const script = scriptJob({ until: 'bid/2' });
    script.add(
      script.write(
        customer,
        'open',
        { round: 0, base: { ...openPointer }, trainers: [{ trainer: people[0]!.pubkey, shard: 0 }], until: 0 },
        { seq: 0, prev: null },
      ),
    );
    expect(script.state.firstBad).toMatchObject({ rule: 'fork' });
    expect(script.state.rounds).toEqual([]);
  });

  it('of a trainer count as absence from there on', () => {
    const script = scriptJob({ until: 'commit/0/2' });
    script.fork(people[1]!, 'commit/0/1', 'resign', { reason: 'two audiences' });
    const { state } = script;
    expect(state.firstBad).toBeNull();
    expect(state.forks.map(({ author }) => author)).toEqual([people[1]!.pubkey]);
    expect([...state.rounds[0]!.commits.keys()]).not.toContain(people[1]!.pubkey);
    expect(state.rounds[0]!.commits.size).toBe(2);
  });

  it('of a trainer after the list cannot undo what the customer listed, accepted and paid', () => {
    for (const step of ['bid/1', 'ready/1', 'commit/0/1', 'reveal/0/1', 'claim/0/1', 'commit/1/1']) {
      const script = scriptJob();
      script.fork(people[1]!, step, 'resign', { reason: 'two audiences' });
      const { state } = script;
      expect(state).toMatchObject({ phase: 'finished', firstBad: null });
      expect(paidMsat(state, people[1]!.pubkey)).toBe(2n * PRICE_MSAT);
    }
  });

  it('of a trainer before the list leave the others their round', () => {
    const script = scriptJob({
      after: { 'commit/0/2': (so) => so.fork(people[1]!, 'commit/0/1', 'resign', { reason: 'fork' }) },
      alter: {
        'commits/0': (content: { ids: EventId[] }, so) => ({
          ...content,
          ids: content.ids.filter((id) => id !== so.raw('commit/0/1').id),
        }),
        'seen/0': (content: { ids: EventId[] }, so) => ({
          ...content,
          ids: content.ids.filter((id) => id !== so.raw('commit/0/1').id),
        }),
        'reveal/0/1': () => null,
        'close/0': (content: { rejected: object[] }) => ({
          ...content,
          rejected: content.rejected.map((row) => ({ ...row, rule: 'absent' })),
        }),
      },
      until: 'settlement/0',
    });
    expect(script.state).toMatchObject({ phase: 'between', firstBad: null });
    expect(script.state.rounds[0]!.payouts).toHaveLength(2);
  });
});

const openPointer = {
  sha256: hashOf('model 0'),
  size: 400,
  packed: 300,
  chunks: 0,
  root: hashOf('root'),
  commit: hashOf('commit'),
  ids: [],
};

describe('bids', () => {
  it('count once per trainer, the newest one, and not after withdrawal', () => {
    const terms = { priceMsat: 5_000n, capacity: 1, engine: 'wasm/1' as never, throughput: 1, expires: TERMS.deadline };
    const script = scriptJob({ until: 'bid/2' });
    script.say(people[0]!, 'bid', 'again', terms);
    script.say(people[1]!, 'withdrawn', 'gone', { reason: '' });
    expect(script.state.bids.map((bid) => [bid.author, bid.content.priceMsat])).toEqual([
      [people[0]!.pubkey, 5_000n],
      [people[2]!.pubkey, PRICE_MSAT],
    ]);
  });
});
