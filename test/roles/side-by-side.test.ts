import { describe, expect, it } from 'vitest';
import type { Wallet } from '../../src/ports.js';
import { createBell } from '../../src/roles/bell.js';
import { sideBySide } from '../../src/roles/side-by-side.js';
import { createWorld } from '../support/market-world.js';
import { virtualClock } from '../support/virtual-clock.js';

describe('side by side', () => {
  const stage = () => {
    const clock = virtualClock();
    const bell = createBell(clock);
    const stop = new AbortController();
    const log: string[] = [];
    const said = (what: string) => void log.push(`${what} at ${clock.nowSec() - 1_800_000_000}`);
    const run = async (name: string, sec: number) => {
      said(`${name} begins`);
      await clock.wait(sec * 1000);
      said(`${name} ends`);
      return true;
    };
    return { clock, bell, stop, signal: stop.signal, log, run };
  };
  const from = (queue: string[]) => () => queue.shift() ?? null;

  it('begins the next as soon as one has ended, and no more than it may', async () => {
    const { log, run, ...env } = stage();
    const seconds: Record<string, number> = { a: 9, b: 1, c: 2, d: 1 };
    await sideBySide(env, 2, 'a', from(['b', 'c', 'd']), (name) => run(name, seconds[name]!));
    expect(log).toEqual([
      ...[
        'a begins at 0',
        'b begins at 0',
        'b ends at 1',
        'c begins at 1',
        'c ends at 3',
        'd begins at 3',
        'd ends at 4',
      ],
      'a ends at 9',
    ]);
  });

  it('asks again when the bell rings', async () => {
    const { log, run, ...env } = stage();
    const queue: string[] = [];
    void env.clock.wait(3000).then(() => {
      queue.push('b');
      env.bell.ring();
    });
    await sideBySide(env, 4, 'a', from(queue), (name) => run(name, 5));
    expect(log).toEqual(['a begins at 0', 'b begins at 3', 'a ends at 5', 'b ends at 8']);
  });

  it('begins nothing after an error, a no or a stop, and throws once the others have ended', async () => {
    const { log, run, ...env } = stage();
    const failing = async (name: string) => {
      if (name === 'b') throw new Error('b fails');
      return run(name, 3);
    };
    await expect(sideBySide(env, 2, 'a', from(['b', 'c']), failing)).rejects.toThrow('b fails');
    expect(log).toEqual(['a begins at 0', 'a ends at 3']);

    await sideBySide(env, 2, 'd', from(['e', 'f']), async (name) => (await run(name, 1), name !== 'd'));
    expect(log.filter((line) => line.includes('begins'))).toEqual(['a begins at 0', 'd begins at 3', 'e begins at 3']);

    env.stop.abort();
    await sideBySide(env, 2, 'g', from(['h']), (name) => run(name, 1));
    expect(log.at(-1)).toMatch(/^g ends/);
  });
});

describe('a customer', () => {
  it('pays up to four payees side by side, each once; one whose wallet is slow holds up nobody else', async () => {
    const world = await createWorld({ name: 'side by side', trainers: 6, rounds: 1 });
    const slow = world.trainers[0]!.name;
    const payeeOf = new Map<string, string>();
    const trainers = world.trainers.map(({ name }) => ({
      wallet: (own: Wallet): Wallet => ({
        ...own,
        async makeInvoice(request) {
          const made = await own.makeInvoice(request);
          payeeOf.set(made.invoice, name);
          return made;
        },
      }),
    }));
    const paidAt = new Map<string, number>();
    const inFlight = new Set<string>();
    let most = 0;
    const { clock } = world;
    const started = () => Math.min(...paidAt.values());
    const result = await world.run({
      trainers,
      customer: {
        wallet: (own) => ({
          ...own,
          async pay(invoice, timeoutMs) {
            const payee = payeeOf.get(invoice)!;
            expect(inFlight, 'one payment of a payee at a time').not.toContain(payee);
            most = Math.max(most, inFlight.add(payee).size);
            await clock.wait(payee === slow ? 50_000 : 2_000);
            const outcome = await own.pay(invoice, timeoutMs);
            inFlight.delete(payee);
            paidAt.set(payee, clock.nowSec());
            return outcome;
          },
        }),
      },
    });
    expect(result.ends).toMatchObject(world.trainers.map(() => ({ end: 'done', paidMsat: 21_000n })));
    expect(world.lightning.payments).toHaveLength(6);
    expect(most).toBe(4);
    expect(paidAt.get(slow)! - started()).toBeGreaterThan(40);
    for (const { name } of world.trainers.slice(1)) expect(paidAt.get(name)! - started()).toBeLessThan(10);
  });

  it('says before the payments of a round what they would pass all together, and pays what fits', async () => {
    const world = await createWorld({ name: 'shortfall', trainers: 2, rounds: 1 });
    const wallet = (own: Wallet): Wallet => ({ ...own, balanceMsat: async () => 50_000n });
    const { ends } = await world.run({ customer: { wallet } });
    expect(world.customer.said).toContain(
      "warning: round 1 pays 2 payouts, up to 62 sat with fees; the wallet's balance leaves 50 sat: what fits is paid",
    );
    expect(ends).toMatchObject([{ paidMsat: 21_000n }, { paidMsat: 21_000n }]);
  });
});
