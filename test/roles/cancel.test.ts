import { describe, expect, test } from 'vitest';
import { NmktError } from '../../src/errors.js';
import { paidMsat, type JobState } from '../../src/market/state.js';
import type { ServeEnd } from '../../src/roles/trainer.js';
import {
  createWorld,
  failure,
  type CustomerOptions,
  type TrainerOptions,
  type World,
} from '../support/market-world.js';
import { expectOneChainEach } from './kills.js';

const PRICE = 21_000n;
const REASON = 'the labels were wrong';

/** Leads until a step was done so many times, then its process is stopped. */
function stopAfter(step: string, times = 1): CustomerOptions {
  let seen = 0;
  const stop = new AbortController();
  const onStep = (done: string) => {
    if (done === step && ++seen === times) stop.abort();
  };
  return { adapt: (env) => ({ ...env, signal: stop.signal, onStep }) };
}
const cancelling = (more: CustomerOptions = {}): CustomerOptions => ({
  ...more,
  adapt: (env) => ({ ...env, cancel: { reason: REASON } }),
});

interface Ended {
  readonly state: JobState;
  readonly ends: readonly (ServeEnd | Error)[];
}

/** The customer's first run stops there, its second cancels; the trainers run all the time. */
async function cancelled(
  world: World,
  first: CustomerOptions | null,
  { second = cancelling(), trainer = {} }: { second?: CustomerOptions; trainer?: TrainerOptions } = {},
): Promise<Ended> {
  const ends = world.trainers.map((who, index) =>
    world.serve(who, index === 0 ? trainer : {}).catch((error: unknown) => error as Error),
  );
  if (first !== null)
    expect(failure(await world.lead(first).catch((error: unknown) => error)).code).toBe('interrupted');
  await world.lead(second);
  const all = await Promise.all(ends);
  return { state: (await world.read()).state(), ends: all };
}

const cancels = (world: World) =>
  world.network.events().filter((event) => event.tags.some(([name, value]) => name === 'phase' && value === 'cancel'));

async function expectSound(world: World, { state }: Ended): Promise<void> {
  expect(state).toMatchObject({ phase: 'cancelled', firstBad: null, forks: [] });
  expect(state.cancelled!.content.reason).toBe(REASON);
  expect(cancels(world)).toHaveLength(1);
  expectOneChainEach(world);
  expect(world.totalMsat()).toBe(BigInt(1 + world.trainers.length) * 1_000_000_000n);
  const { open, keyed } = await world.audit();
  expect([open, keyed]).toEqual([null, null]);
}

describe('a cancelled job', () => {
  test.each([
    ['before anybody bids', null],
    ['after the award', stopAfter('award')],
    ['in an open round, whose work is not accepted any more', stopAfter('open')],
  ])('%s: nobody is paid, and everybody is told', async (_, first) => {
    const world = await createWorld({ rounds: 3 });
    const ended = await cancelled(world, first);
    expect(ended.ends).toMatchObject([1, 2].map(() => ({ end: 'cancelled', why: expect.stringContaining(REASON) })));
    expect(paidMsat(ended.state)).toBe(0n);
    await expectSound(world, ended);
  });

  test.each([
    ['while updates are revealed: the round is finished first', stopAfter('list', 1), 1],
    ['with a round that is scored', stopAfter('list', 2), 1],
    ['with a round that is closed and not settled', stopAfter('measure'), 1],
    ['with a settled round', stopAfter('settle'), 1],
    ['in the second round', stopAfter('open', 2), 1],
    ['after the last round, before the model', stopAfter('settle', 3), 3],
  ])('%s: accepted rounds are paid, and no other', async (_, first, rounds) => {
    const world = await createWorld({ rounds: 3 });
    const ended = await cancelled(world, first);
    const each = BigInt(rounds) * PRICE;
    expect(ended.ends).toMatchObject([1, 2].map(() => ({ end: 'done', rounds, paidMsat: each })));
    expect(paidMsat(ended.state)).toBe(2n * each);
    expect(ended.state.rounds.flatMap((round) => round.payouts).every((payout) => payout.received !== null)).toBe(true);
    await expectSound(world, ended);
  });

  test('on rail none is free for those who worked, too', async () => {
    const world = await createWorld({ rounds: 3, rail: 'none' });
    const ended = await cancelled(world, stopAfter('open', 2));
    expect(ended.ends).toMatchObject([1, 2].map(() => ({ end: 'done', rounds: 1, paidMsat: 0n })));
    await expectSound(world, ended);
  });

  test('below the quorum of commitments ends at once: nobody shows an update', async () => {
    const world = await createWorld({ rounds: 3, job: { quorum: 2 } });
    const dies: TrainerOptions = { kill: { after: 3, isKept: false }, restart: false };
    const ended = await cancelled(world, stopAfter('list'), { trainer: dies });
    expect(ended.state.rounds[0]).toMatchObject({ close: null, voided: null });
    expect(ended.state.rounds[0]!.reveals.size).toBe(0);
    expect(ended.ends[1]).toMatchObject({ end: 'cancelled' });
    await expectSound(world, ended);
  });

  test('is cancelled once: a second run signs and pays nothing', async () => {
    const world = await createWorld({ rounds: 3 });
    const ended = await cancelled(world, stopAfter('open', 2));
    const before = world.network.events().length;
    const again = await world.lead({ adapt: (env) => ({ ...env, cancel: { reason: 'another reason' } }) });
    expect(again.cancelled).toEqual(ended.state.cancelled);
    expect(world.network.events()).toHaveLength(before);
    expect(world.lightning.payments).toHaveLength(2);
    const serving = await world.serve(world.trainers[0]!);
    expect(serving).toMatchObject({ end: 'done', wasOver: true, rounds: 1 });
  });

  test('cannot be led any more, but what is claimed late is paid', async () => {
    const world = await createWorld({ rounds: 3 });
    const broke: TrainerOptions = {
      adapt: (env) => ({
        ...env,
        wallet: {
          ...env.wallet!,
          makeInvoice: async () => {
            throw new NmktError('wallet-unreachable', 'the wallet is down', { remedy: 'start it' });
          },
        },
      }),
    };
    const ended = await cancelled(world, stopAfter('settle'), { trainer: broke });
    expect(paidMsat(ended.state)).toBe(PRICE);
    expect(ended.ends).toMatchObject([
      { end: 'done', paidMsat: 0n },
      { end: 'done', paidMsat: PRICE },
    ]);
    const serving = world.serve(world.trainers[0]!);
    await world.clock.wait(1_000);
    const refused = failure(await world.lead().catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: 'job-closed', message: 'the job was cancelled' });
    expect(await serving).toMatchObject({ end: 'done', paidMsat: PRICE });
    expect(paidMsat((await world.read()).state())).toBe(2n * PRICE);
  });

  test('may not be one that is finished', async () => {
    const world = await createWorld({ rounds: 1 });
    await world.run();
    const refused = failure(await world.lead(cancelling()).catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: 'job-closed', message: expect.stringContaining('finished') });
    expect(cancels(world)).toEqual([]);
  });

  test('ends the same when the cancelling process is killed at any write, kept and lost in turn', async () => {
    let kills = 0;
    for (; ; kills++) {
      const world = await createWorld({ rounds: 2, trainers: 1 });
      let wasKilled = false;
      const kill = { after: kills, isKept: kills % 2 === 1 };
      const second = cancelling({ kill, onKilled: () => (wasKilled = true) });
      const ended = await cancelled(world, stopAfter('list', 1), { second });
      expect(ended.ends, `killed at ${kills}`).toMatchObject([{ end: 'done', paidMsat: PRICE }]);
      expect(world.lightning.payments).toHaveLength(1);
      await expectSound(world, ended);
      if (!wasKilled) break;
    }
    expect(kills).toBeGreaterThan(8);
  });
});
