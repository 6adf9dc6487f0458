import { beforeAll, describe, expect, it } from 'vitest';
import { createArenaWorld, type ArenaParts, type ArenaRun, type ArenaWorld } from '../../support/arena-world.js';
import { expectOneChainEach } from '../kills.js';

const NAME = 'arena kills';
const START_MSAT = 1_000_000_000n;

/** Who gets what for what in each stage. */
function plansOf({ folded }: ArenaRun): readonly string[][] {
  return folded.state!.stages.map(({ settlement }) =>
    settlement!.content.plan.map(({ payee, purpose, amountMsat }) => `${payee} ${purpose} ${amountMsat}`),
  );
}

let wanted: readonly string[][];
const writes = { customer: 0, trainer: 0, validator: 0 };

beforeAll(async () => {
  const world = await createArenaWorld({ name: NAME });
  const count = (who: keyof typeof writes) => ({ onWrite: (n: number) => void (writes[who] = n) });
  const run = await world.run({
    customer: count('customer'),
    trainers: { 0: count('trainer') },
    validators: { 0: count('validator') },
  });
  wanted = plansOf(run);
}, 30_000);

async function expectUndisturbed(parts: ArenaParts, label: string): Promise<ArenaWorld> {
  const world = await createArenaWorld({ name: NAME });
  const run = await world.run(parts);
  if (run.customer instanceof Error) throw new Error(`${label}: the customer ended`, { cause: run.customer });
  expect(run.folded, label).toMatchObject({ phase: 'finished', firstBad: null, forks: [] });
  expect(plansOf(run), label).toEqual(wanted);
  expectOneChainEach(world);
  const people = [...world.trainers, ...world.validators];
  const earned = people.reduce((sum, { name }) => sum + world.lightning.balance(name) - START_MSAT, 0n);
  expect(earned, label).toBe(1_000_000n);
  expect(world.lightning.balance('customer'), label).toBe(START_MSAT - 1_000_000n);
  return world;
}

/** Five moments that lie evenly in what a role writes; odd ones lose the acknowledgement only. */
const momentsOf = (count: number) =>
  Array.from({ length: 5 }, (_, i) => ({ after: Math.floor(((i + 0.5) * count) / 5), isKept: i % 2 === 1 }));

describe('an arena whose participants die and start again', () => {
  it('settles the same when its customer is killed in any phase', async () => {
    expect(writes.customer).toBeGreaterThan(20);
    for (const kill of momentsOf(writes.customer))
      await expectUndisturbed({ customer: { kill } }, `customer at ${kill.after} of ${writes.customer}`);
  }, 60_000);

  it('settles the same when a trainer is killed in any phase', async () => {
    expect(writes.trainer).toBeGreaterThan(8);
    for (const kill of momentsOf(writes.trainer))
      await expectUndisturbed({ trainers: { 0: { kill } } }, `trainer at ${kill.after} of ${writes.trainer}`);
  }, 60_000);

  it('settles the same when a validator is killed in any phase', async () => {
    expect(writes.validator).toBeGreaterThan(8);
    for (const kill of momentsOf(writes.validator))
      await expectUndisturbed({ validators: { 0: { kill } } }, `validator at ${kill.after} of ${writes.validator}`);
  }, 60_000);

  it('settles the same when all of them are killed, each elsewhere', async () => {
    const at = (after: number) => ({ kill: { after, isKept: true } });
    await expectUndisturbed(
      {
        customer: at(11),
        trainers: { 0: at(2), 1: at(5), 2: at(8) },
        validators: { 0: at(3), 1: at(6), 2: at(9) },
      },
      'everybody',
    );
  }, 30_000);
});
