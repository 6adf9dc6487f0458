import { describe, expect, test } from 'vitest';
import { NmktError } from '../../src/errors.js';
import { paidMsat } from '../../src/market/state.js';
import type { EventOf } from '../../src/protocol/events.js';
import type { Relays } from '../../src/ports.js';
import { unpaidPayouts } from '../../src/roles/customer-decide.js';
import { createWorld, failure, type Kill, type TrainerOptions, type World } from '../support/market-world.js';

const MINUTE = 60;

/** Writes of a trainer, in order: bid, ready, then per round seven states, the update's file, commit, reveal, claim, received. */
const dies = (after: number, isKept = false): TrainerOptions => ({ kill: { after, isKept }, restart: false });
const [AFTER_BID, BEFORE_COMMIT, AFTER_COMMIT] = [1, 11, 12];

function reasons(world: World): Promise<string[]> {
  return world
    .read()
    .then((book) =>
      [...book.state().chains.get(world.customer.signer.pubkey)!.events]
        .filter((event): event is EventOf<'replace'> => event.type === 'replace')
        .map(({ content }) => `${content.shard}: ${content.reason}, ${content.in === null ? 'nobody' : 'spare'}`),
    );
}

describe('bids', () => {
  test('none at all: the job waits and lapses at its deadline', async () => {
    const world = await createWorld({ trainers: 2, job: { deadline: '2h' } });
    const { customer } = await world.run({ trainers: { 0: 'absent', 1: 'absent' } });
    expect(failure(customer).code).toBe('job-closed');
    expect(world.clock.nowSec()).toBeGreaterThanOrEqual(world.terms.deadline);
    expect(world.clock.nowSec()).toBeLessThan(world.terms.deadline + MINUTE);
  });

  test('below the quorum: the job lapses, and the bidder is told at the deadline', async () => {
    const world = await createWorld({ trainers: 3, job: { quorum: 2 } });
    const { customer, ends } = await world.run({ trainers: { 1: 'absent', 2: 'absent' } });
    expect(failure(customer).code).toBe('job-closed');
    expect(ends[0]).toMatchObject({ end: 'lost', why: 'the job lapsed without an award' });
  });

  test('fewer than the seats, but a quorum: the job starts when the bid window ends', async () => {
    const world = await createWorld({ trainers: 3, job: { quorum: 2, bidWindow: '60s' } });
    const start = world.clock.nowSec();
    const { state } = await world.run({ trainers: { 2: 'absent' } });
    expect(state.award!.createdAt).toBe(start + 60);
    expect(state.phase).toBe('finished');
    expect(state.rounds.map((round) => round.close!.content.accepted.length)).toEqual([2, 2]);
  });

  test('a late bid that makes the quorum starts the job at once', async () => {
    const world = await createWorld({ trainers: 3, job: { quorum: 2, bidWindow: '60s' } });
    const start = world.clock.nowSec();
    const { state } = await world.run({ trainers: { 1: { startAfterSec: 1_000 }, 2: 'absent' } });
    expect(state.award!.createdAt).toBe(start + 1_000);
    expect(state.phase).toBe('finished');
  });

  test('bids that the auction refuses fill no seat and do not stop the customer', async () => {
    const world = await createWorld({ trainers: 2, job: { quorum: 2, deadline: '1h' } });
    const foreign: TrainerOptions = {
      adapt: (env) => ({ ...env, engine: async () => ({ ...world.engine, id: 'node/0/0/x64' as never }) }),
    };
    const { customer, state } = await world.run({ trainers: { 1: foreign } });
    expect(failure(customer).code).toBe('job-closed');
    expect(state.award).toBeNull();
    expect(world.clock.nowSec()).toBeGreaterThanOrEqual(world.terms.deadline);
  });
});

describe('a trainer that falls silent', () => {
  test('after its bid: it never gets ready, and a spare takes over its shard', async () => {
    const world = await createWorld({ trainers: 2, spares: 1, job: { award: 'deadline' } });
    const { state, ends } = await world.run({ trainers: { 0: dies(AFTER_BID) } });
    expect(await reasons(world)).toEqual(['0: not-started, spare']);
    expect(state.phase).toBe('finished');
    expect(state.rounds[0]!.open.createdAt).toBe(state.award!.createdAt + world.terms.readyTimeoutSec);
    expect(ends[2]).toMatchObject({ end: 'done', rounds: 2, paidMsat: 42_000n });
    expect(state.artifact!.content.trainers.map(({ rounds }) => rounds)).toEqual([2, 2]);
  });

  test('after its bid, without a spare: its shard stays untrained', async () => {
    const world = await createWorld({ trainers: 2, job: { quorum: 1 } });
    const { state } = await world.run({ trainers: { 0: dies(AFTER_BID) } });
    expect(await reasons(world)).toEqual(['0: not-started, nobody']);
    expect(state.phase).toBe('finished');
    expect(state.rounds.map((round) => round.assigned.map((seat) => seat.shard))).toEqual([[1], [1]]);
  });

  test('in a round: the round closes with the quorum, it is absent, unpaid and replaced', async () => {
    const world = await createWorld({ trainers: 3, spares: 1, job: { award: 'deadline', quorum: 2 } });
    const { state, ends } = await world.run({ trainers: { 1: dies(BEFORE_COMMIT) } });
    const [first] = state.rounds;
    expect(first!.commitList!.createdAt).toBe(first!.open.content.until);
    expect(first!.close!.content.rejected).toMatchObject([
      { trainer: world.trainers[1]!.signer.pubkey, rule: 'absent' },
    ]);
    expect(await reasons(world)).toEqual(['1: absent, spare']);
    expect(paidMsat(state, world.trainers[1]!.signer.pubkey)).toBe(0n);
    expect(ends[3]).toMatchObject({ end: 'done', rounds: 1, paidMsat: 21_000n });
    expect(state.rounds[1]!.close!.content.accepted).toHaveLength(3);
    expect(state.phase).toBe('finished');
    expect((await world.audit()).keyed).toBeNull();
  });

  test('after its commitment: no reveal, unpaid, and the round closes when reveals are due', async () => {
    const world = await createWorld({ trainers: 3, job: { quorum: 2 }, rounds: 1 });
    const { state } = await world.run({ trainers: { 0: dies(AFTER_COMMIT) } });
    const [round] = state.rounds;
    expect(round!.close!.content.rejected).toMatchObject([{ rule: 'no-reveal' }]);
    expect(round!.revealList!.createdAt).toBe(round!.commitList!.content.until);
    expect(paidMsat(state)).toBe(42_000n);
    expect(state.phase).toBe('finished');
  });

  test('below the quorum: one extension, then the round is void, nobody reveals, and the next one counts', async () => {
    const world = await createWorld({ trainers: 2, job: { quorum: 2, roundTimeout: '15m' } });
    const sleeper: TrainerOptions = { kill: { after: BEFORE_COMMIT, isKept: false }, restartAfterSec: 40 * MINUTE };
    const { state, ends } = await world.run({ trainers: { 1: sleeper } });
    const [first, second] = state.rounds;
    expect(first!.voided!.createdAt).toBe(first!.open.createdAt + 30 * MINUTE);
    expect(first!.reveals.size).toBe(0);
    expect(first!.close).toBeNull();
    expect(second!.close!.content.accepted).toHaveLength(2);
    expect(state.phase).toBe('finished');
    expect(state.artifact!.content.rounds).toBe(1);
    expect(ends).toMatchObject([
      { end: 'done', rounds: 1 },
      { end: 'done', rounds: 1 },
    ]);
  });

  test('in a round that becomes void: a spare takes over for the next', async () => {
    const world = await createWorld({ trainers: 2, spares: 1, job: { award: 'deadline', quorum: 2 } });
    const { state } = await world.run({ trainers: { 0: dies(BEFORE_COMMIT) } });
    expect(state.rounds[0]!.voided).not.toBeNull();
    expect(await reasons(world)).toEqual(['0: absent, spare']);
    expect(state.rounds[1]!.close!.content.accepted).toHaveLength(2);
    expect(state.phase).toBe('finished');
  });

  test('with a wallet that is down: it is owed, others are paid, and no round waits long for it', async () => {
    const world = await createWorld({ trainers: 2, rounds: 3 });
    const start = world.clock.nowSec();
    const broke: TrainerOptions = {
      adapt: (env) => ({
        ...env,
        terms: { ...env.terms, maxExposureMsat: 10n ** 9n },
        wallet: {
          ...env.wallet!,
          makeInvoice: async () => {
            throw new NmktError('wallet-unreachable', 'the wallet is down', { remedy: 'start it' });
          },
        },
      }),
    };
    const { customer, state, ends } = await world.run({ trainers: { 0: broke } });
    expect(customer).toMatchObject({ phase: 'finished' });
    expect(state.artifact!.createdAt - start).toBeLessThanOrEqual(3 * 30 + 3);
    expect(state.artifact!.content.trainers.map(({ rounds }) => rounds)).toEqual([3, 3]);
    expect(ends).toMatchObject([
      { end: 'done', rounds: 3, paidMsat: 0n },
      { end: 'done', paidMsat: 63_000n },
    ]);
    expect(state.rounds.flatMap((round) => round.payouts).filter((payout) => payout.receipt === null)).toHaveLength(3);

    const late = await world.run({ customer: { startAfterSec: 60 } });
    expect(late.ends[0], 'with a wallet again it claims').toMatchObject({ end: 'done', paidMsat: 63_000n });
    expect(paidMsat(late.state)).toBe(6n * 21_000n);
  });

  test('with a wallet that sees payments late: it waits for them before it is done', async () => {
    const world = await createWorld({ trainers: 1, rounds: 1 });
    world.trainers[0]!.faults.lookup = ['not-found', 'pending', 'not-found'];
    const { ends, state } = await world.run();
    expect(ends[0]).toMatchObject({ end: 'done', paidMsat: 21_000n });
    expect(state.rounds[0]!.payouts[0]!.received).not.toBeNull();
  });
});

describe('a customer that falls silent', () => {
  test('before the award: trainers are free at the deadline', async () => {
    const world = await createWorld({});
    const { ends } = await world.run({ customer: 'absent' });
    expect(ends).toMatchObject([{ end: 'lost' }, { end: 'lost' }]);
    expect(world.clock.nowSec()).toBeLessThan(world.terms.deadline + MINUTE);
  });

  test('at any write whatsoever: every trainer stops by itself, within two timeouts of what it waited for', async () => {
    const found = new Set<string>();
    for (let after = 0; ; after++) {
      const world = await createWorld({ rounds: 1, trainers: 2 });
      let wasKilled = false;
      const kill: Kill = { after, isKept: true };
      const { ends } = await world.run({ customer: { kill, restart: false, onKilled: () => (wasKilled = true) } });
      if (!wasKilled) break;
      const hours = (world.clock.nowSec() - world.secrets.event.created_at) / 3600;
      expect(hours, `killed after ${after}`).toBeLessThan(world.terms.deadline);
      expect(hours, `killed after ${after}`).toBeLessThan(2.1);
      for (const end of ends) {
        if (end === null || end instanceof Error) throw new Error(`killed after ${after}`, { cause: end });
        found.add('why' in end ? end.why : end.end);
      }
    }
    expect([...found].sort()).toEqual(
      expect.arrayContaining([
        'the job lapsed without an award',
        'the list of commitments, round 1 of 1 did not come in time',
        'the list of reveals, round 1 of 1 did not come in time',
        'the next round did not come in time',
        'the scores of round 1 of 1 did not come in time',
      ]),
    );
  }, 60_000);

  test('that owes money: trainers mark it unpaid in time and train no further round for it', async () => {
    const world = await createWorld({ rounds: 3, trainers: 2, job: { payWithin: '10m' } });
    const stingy = {
      ...world.customer.wallet,
      pay: async () => ({ kind: 'rejected', code: 'QUOTA_EXCEEDED', message: '' }) as const,
    };
    const { state, ends } = await world.run({
      customer: {
        adapt: (env) => ({
          ...env,
          payer: {
            ...env.payer!,
            pay: async () => ({ kind: 'held', why: (await stingy.pay()).code, cause: 'refused' }),
          },
        }),
      },
    });
    expect(ends).toMatchObject([{ end: 'stopped' }, { end: 'stopped' }]);
    const [first] = state.rounds;
    for (const payout of first!.payouts)
      expect(payout.unpaid!.createdAt).toBe(payout.claim!.createdAt + world.terms.payWithinSec);
    expect(state.rounds[1]?.commits.size ?? 0).toBe(0);
    expect((await world.audit()).open).toMatchObject({ rule: 'unpaid' });
  });
});

describe('relays', () => {
  test('one of two dies in the middle: nobody notices', async () => {
    const world = await createWorld({ relays: ['wss://a.example', 'wss://b.example'] });
    const { state, ends } = await world.run({
      customer: {
        adapt: (env) => ({
          ...env,
          onStep: (step) => step === 'open' && world.network.setDown('wss://a.example', true),
        }),
      },
    });
    expect(state.phase).toBe('finished');
    expect(ends).toMatchObject([
      { end: 'done', rounds: 2 },
      { end: 'done', rounds: 2 },
    ]);
  });

  test('all of them are gone for ten minutes, at any step: the job goes on where it was', async () => {
    for (const step of ['award', 'open', 'list', 'measure', 'settle', 'pay']) {
      const world = await createWorld({ rounds: 1, trainers: 2 });
      const url = world.network.relays().urls[0]!;
      let isOver = false;
      const onStep = (done: string): void => {
        if (done !== step || isOver) return;
        isOver = true;
        world.network.setDown(url, true);
        void world.clock.wait(10 * MINUTE * 1000).then(() => world.network.setDown(url, false));
      };
      const { customer, state, ends } = await world.run({ customer: { adapt: (env) => ({ ...env, onStep }) } });
      expect(customer, step).toMatchObject({ phase: 'finished' });
      expect(state.phase, step).toBe('finished');
      expect(state.forks, step).toEqual([]);
      expect(ends, step).toMatchObject([
        { end: 'done', rounds: 1 },
        { end: 'done', rounds: 1 },
      ]);
      expect(world.lightning.payments.length, step).toBe(2);
    }
  });

  test('silent just while updates and states are opened, and back when asked again: no trainer is blamed for it', async () => {
    // A name in whose first round a later segment is drawn; updates so large that they do not fit into their events.
    for (const [what, inputs] of Object.entries({ states: 24, updates: 2400 })) {
      const world = await createWorld({ name: 'late segment', rounds: 1, trainers: 3, inputs, job: { quorum: 2 } });
      const wentAway: string[] = [];
      const { state } = await world.run({
        customer: {
          adapt: (env) => {
            const fetch: Relays['fetch'] = async (filters, options) => {
              const isDownload = options?.trustIds === true && env.book.state().phase === 'scoring';
              if (!isDownload || wentAway.length === 2) return env.relays.fetch(filters, options);
              wentAway.push(...options.relays!);
              return { events: [], answered: [], silent: [...options.relays!] };
            };
            return { ...env, relays: { ...env.relays, fetch } };
          },
        },
      });
      expect(wentAway, what).toHaveLength(2);
      expect(state.rounds[0]!.close!.content, what).toMatchObject({ rejected: [] });
      expect((await world.audit()).keyed, what).toBeNull();
    }
  });
});

describe('the wallet of the customer', () => {
  test('away for a minute when the last round is paid: the job ends with every payment made', async () => {
    const world = await createWorld({ rounds: 1 });
    let awayUntil: number | undefined;
    const { customer } = await world.run({
      customer: {
        wallet: (own) => ({
          ...own,
          balanceMsat: async () => {
            awayUntil ??= world.clock.nowSec() + MINUTE;
            if (world.clock.nowSec() >= awayUntil) return own.balanceMsat();
            throw new NmktError('wallet-unreachable', 'the wallet does not answer', { remedy: 'wait' });
          },
        }),
      },
    });
    if (customer instanceof Error) throw customer;
    expect(unpaidPayouts(customer)).toEqual([]);
    expect(world.lightning.payments).toHaveLength(2);
  });
});
