import { describe, expect, test } from 'vitest';
import { openBook, type SignedRecord } from '../../src/roles/job-book.js';
import { createBell } from '../../src/roles/bell.js';
import { copyHome, restoreCopy, type HomeCopy } from '../support/home-copy.js';
import {
  createWorld,
  failure,
  type CustomerOptions,
  type TrainerOptions,
  type World,
} from '../support/market-world.js';
import { memoryJournal } from '../support/memory-journal.js';
import { expectOneChainEach } from './kills.js';

/** One of two may lose the bytes of a commitment for ever; the other one carries the round. */
const JOB = { name: 'restored', trainers: 2, rounds: 2, priceSats: 21, job: { quorum: 1 } } as const;
const PRICE_MSAT = 21_000n;
const START_MSAT = 1_000_000_000n;

/** Money went to each accepted update once, receipted and countersigned, and nobody signed two events with one number. */
async function expectNoForkAndOnePaymentEach(world: World, label: string): Promise<number> {
  const state = (await world.read()).state();
  expect([state.phase, state.forks, state.firstBad], label).toEqual(['finished', [], null]);
  expectOneChainEach(world);
  const payouts = state.rounds.flatMap((round) => round.payouts);
  const open = payouts.filter(({ received }) => received === null);
  expect(
    open.map(({ payout }) => payout),
    `${label}\n${world.customer.said.filter((l) => l.startsWith('warning')).join('\n')}`,
  ).toEqual([]);
  expect(world.lightning.payments.length, label).toBe(payouts.length);
  expect(world.lightning.balance('customer'), label).toBe(START_MSAT - BigInt(payouts.length) * PRICE_MSAT);
  expect((await world.audit()).open, label).toBeNull();
  return payouts.length;
}

/**
 * A home is copied after `copied` durable writes, its process dies for ever at write `copied + later`, and the copy goes on.
 * @returns undefined when the first process never came so far
 */
async function runRestored(
  who: 'customer' | 'trainer',
  copied: number,
  later: number,
  isKept: boolean,
): Promise<{ readonly world: World; readonly payouts: number } | undefined> {
  const world = await createWorld(JOB);
  const owner = who === 'customer' ? world.customer : world.trainers[0]!;
  let copy: HomeCopy | undefined = copied === 0 ? copyHome(owner) : undefined;
  let wasKilled = false;
  const role: CustomerOptions & TrainerOptions = {
    onWrite: (writes) => {
      if (writes === copied) copy = copyHome(owner);
    },
    kill: { after: copied + later, isKept },
    onKilled: () => {
      wasKilled = true;
      restoreCopy(owner, copy!);
    },
    isRestored: 'after-kill',
  };
  const { customer, ends } = await world.run(who === 'customer' ? { customer: role } : { trainers: { 0: role } });
  if (!wasKilled) return undefined;
  const label = `${who} copied at write ${copied}, dead ${later} writes later`;
  if (customer instanceof Error) throw new Error(label, { cause: customer });
  for (const end of ends) if (end instanceof Error) throw new Error(label, { cause: end });
  return { world, payouts: await expectNoForkAndOnePaymentEach(world, label) };
}

describe('a home restored from an old backup goes on without a fork and without a second payment', () => {
  test.each([
    ['just after it was made', 1, 1],
    ['a round later', 12, 3],
  ])('a customer, backed up at any moment, dead %s', { timeout: 240_000 }, async (_, later, step) => {
    let copied = 0;
    for (; ; copied += step) {
      const result = await runRestored('customer', copied, later, copied % 2 === 0);
      if (result === undefined) break;
      expect(result.payouts).toBe(4);
    }
    expect(copied + later).toBeGreaterThan(25);
  });

  test.each([
    ['just after it was made', 1, 1],
    ['a round later', 5, 2],
  ])('a trainer, backed up at any moment, dead %s', { timeout: 240_000 }, async (_, later, step) => {
    const payouts: number[] = [];
    let copied = 0;
    for (; ; copied += step) {
      const result = await runRestored('trainer', copied, later, copied % 2 === 0);
      if (result === undefined) break;
      payouts.push(result.payouts);
    }
    expect(copied + later).toBeGreaterThan(8);
    // Without the salt of a commitment that round is lost for this trainer, and nothing else.
    expect(Math.min(...payouts)).toBeGreaterThanOrEqual(3);
    expect(Math.max(...payouts)).toBe(4);
  });
});

/** Stops the customer's process when it has paid and not yet signed the receipt: the worst moment for a payout journal. */
async function paidWithoutReceipt(): Promise<{ readonly world: World; readonly before: HomeCopy }> {
  const world = await createWorld({ ...JOB, trainers: 1, rounds: 1 });
  const before = copyHome(world.customer);
  const dies: CustomerOptions = {
    restart: false,
    adapt: (env) => ({
      ...env,
      book: {
        ...env.book,
        sign: (async (type: 'receipt', ...rest: never[]) => {
          if (type === 'receipt') throw new Error('dead');
          return (env.book.sign as (...args: unknown[]) => unknown)(type, ...rest);
        }) as typeof env.book.sign,
      },
    }),
  };
  const [led] = await Promise.all([
    world.lead(dies).catch((error: unknown) => error as Error),
    world.serve(world.trainers[0]!).catch(() => undefined),
  ]);
  expect(failure(led).message).toBe('dead');
  expect(world.lightning.payments).toHaveLength(1);
  return { world, before };
}

describe('a payment whose receipt was lost with the machine', () => {
  test('is found by its hash, and receipted instead of paid again', async () => {
    const { world, before } = await paidWithoutReceipt();
    restoreCopy(world.customer, before);
    // Nothing left to pay with: only a look-up can end this.
    const { customer } = await world.run({ customer: { isRestored: true } });
    expect(customer).not.toBeInstanceOf(Error);
    expect(await expectNoForkAndOnePaymentEach(world, '')).toBe(1);
    expect(world.customer.payouts.map(({ type }) => type)).toEqual(['planned', 'bound', 'sending', 'paid']);
  });

  test('is found also when its payee claimed again with another invoice', async () => {
    const { world, before } = await paidWithoutReceipt();
    restoreCopy(world.customer, before);
    await claimAgain(world);
    const { customer } = await world.run({ customer: { isRestored: true } });
    expect(customer).not.toBeInstanceOf(Error);
    expect(await expectNoForkAndOnePaymentEach(world, '')).toBe(1);
  });

  test('is not repeated while the wallet cannot tell', async () => {
    const { world, before } = await paidWithoutReceipt();
    restoreCopy(world.customer, before);
    await claimAgain(world);
    world.customer.faults.lookup = Array.from({ length: 1_000 }, () => 'unknown' as const);
    await world.run({ customer: { isRestored: true } });
    expect(world.customer.said.join('\n')).toContain('says unknown');
    expect(world.lightning.payments).toHaveLength(1);
    expect((await world.read()).state().rounds[0]!.payouts[0]!.receipt).toBeNull();
    world.customer.faults.lookup = [];
    await world.lead();
    await world.serve(world.trainers[0]!);
    expect(await expectNoForkAndOnePaymentEach(world, '')).toBe(1);
  });
});

/** The payee publishes a second claim of its payout, with a new invoice. */
async function claimAgain(world: World): Promise<void> {
  const payee = world.trainers[0]!;
  await world.serve(payee, {
    act: async (env) => {
      const state = env.book.state();
      const [round] = state.rounds;
      const [payout] = round!.payouts;
      const { claim } = await import('../../src/roles/trainer-actions.js');
      await claim(env, state, payout!);
      return { wasOver: false, end: 'stopped', why: 'claimed again' };
    },
  });
}

describe('a book of a key that another home used', () => {
  const openAs = (world: World, events: SignedRecord[], restoredAt?: number) => {
    const who = world.trainers[0]!;
    const ports = {
      relays: world.network.relays(),
      clock: world.clock,
      bell: createBell(world.clock),
      signer: who.signer,
    };
    return openBook(world.jobId, {
      ...ports,
      journal: memoryJournal(events),
      ...(restoredAt !== undefined && { restoredAt }),
    });
  };
  const bidOf = (world: World) =>
    ({
      priceMsat: 1_000n,
      capacity: 1,
      engine: 'cpu/00000000/stub/x64',
      throughput: 1,
      expires: world.terms.deadline,
    }) as never;

  test('takes over what only relays have, into its journal, and signs the next number', async () => {
    const world = await createWorld(JOB);
    const first = await openAs(world, []);
    await first.sign('bid', bidOf(world));
    first.close();
    const events: SignedRecord[] = [];
    const second = await openAs(world, events);
    expect(events.map(({ event }) => event.id)).toEqual(
      first
        .all()
        .filter(({ kind }) => kind === 4625)
        .map(({ id }) => id),
    );
    expect((await second.sign('bid', bidOf(world))).seq).toBe(1);
    second.close();
    expect((await world.read()).state().forks).toEqual([]);
  });

  test('opens only when every relay answers: after a restore, and after another home signed', async () => {
    const relays = ['wss://a.example', 'wss://b.example'];
    const world = await createWorld({ ...JOB, relays });
    world.network.setDown(relays[1]!, true);
    await expect(openAs(world, [], world.clock.nowSec())).rejects.toMatchObject({
      code: 'relay-unreachable',
      expected: expect.stringContaining(relays[1]!) as string,
    });
    const first = await openAs(world, []);
    await first.sign('bid', bidOf(world));
    first.close();
    await expect(openAs(world, [])).rejects.toMatchObject({ code: 'relay-unreachable' });
    world.network.setDown(relays[1]!, false);
    (await openAs(world, [], world.clock.nowSec())).close();
  });

  test('signs no more once another process signs with its key', async () => {
    const world = await createWorld(JOB);
    const [one, two] = [await openAs(world, []), await openAs(world, [])];
    await one.sign('bid', bidOf(world));
    await world.clock.wait(1);
    await expect(two.sign('bid', bidOf(world))).rejects.toMatchObject({ code: 'key-in-use' });
    one.close();
    two.close();
    expect((await world.read()).state().forks).toEqual([]);
  });
});
