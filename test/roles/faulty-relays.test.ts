import { describe, expect, test } from 'vitest';
import { relayFaults, type RelayFault } from '../support/faults/relay-faults.js';
import { createWorld, type RunResult, type World } from '../support/market-world.js';

const [GOOD, BAD] = ['wss://good.example', 'wss://bad.example'] as const;
const JOB = { name: 'faulty relays', trainers: 2, rounds: 1 } as const;

const HOUR_MS = 3_600_000;

const sorts: [string, RelayFault][] = Object.entries(relayFaults);

function expectFinished(world: World, { customer, ends, state }: RunResult): void {
  if (customer instanceof Error) throw new Error('the customer ended', { cause: customer });
  expect(state.phase).toBe('finished');
  expect(state.forks).toEqual([]);
  expect(ends).toMatchObject([
    { end: 'done', rounds: 1, paidMsat: 21_000n },
    { end: 'done', rounds: 1, paidMsat: 21_000n },
  ]);
  expect(world.lightning.payments.length).toBe(2);
}

describe.each(sorts)('a relay of the sort %s', (name, fault) => {
  test('beside a good one: the job ends like any other', async () => {
    const world = await createWorld({ ...JOB, relays: [BAD, GOOD] });
    world.network.setFault(BAD, fault);
    const result = await world.run();
    expectFinished(world, result);
    expect((await world.audit()).open).toBeNull();
  });

  test('alone, for long in the middle of a job: it is named, nobody is paid twice, and what waited goes on', async () => {
    const world = await createWorld({ ...JOB, relays: [BAD], job: { deadline: '6h' } });
    const start = world.clock.nowSec();
    let isBad = false;
    world.network.onPublish((event) => {
      if (isBad || !event.tags.some(([tag, value]) => tag === 'phase' && value === 'commit')) return;
      isBad = true;
      world.network.setFault(BAD, fault);
      void world.clock.wait(isPatient(name) ? HOUR_MS : HOUR_MS / 3).then(() => world.network.setFault(BAD, null));
    });
    const result = await world.run();
    const everybody = [world.customer, ...world.trainers];
    const said = everybody.flatMap((who) => who.said);
    const isHarmless = name === 'slow';
    if (!isHarmless) expect(said.join('\n')).toMatch(/warning: .*(no relay answers|bad\.example said that it stored)/);
    expect(world.lightning.payments.length).toBeLessThanOrEqual(2);
    expect(world.clock.nowSec() - start).toBeLessThan(world.terms.deadline - start + 86_400);
    if (isPatient(name)) return expectFinished(world, result);
    // Whoever was lied to stopped by itself, for a reason it can name.
    for (const end of result.ends)
      if (end === null || end instanceof Error) throw new Error('a trainer crashed', { cause: end });
      else expect(['done', 'stopped', 'lost']).toContain(end.end);
  });
});

/** Those that say nothing, or hang up, are known not to answer: everybody waits for them. */
function isPatient(name: string): boolean {
  return ['silent', 'slow', 'closes sockets', 'CLOSED messages', 'hangs up in the middle of a message'].includes(name);
}
