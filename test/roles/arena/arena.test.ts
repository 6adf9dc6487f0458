import { describe, expect, it } from 'vitest';
import { createArenaWorld, type ArenaRun } from '../../support/arena-world.js';

const sum = (parts: readonly bigint[]) => parts.reduce((a, b) => a + b, 0n);

/** What each stage pays of 1,000 sats: 100 and 900. */
function expectPaid({ folded }: ArenaRun): void {
  expect(folded.state!.stages.map(({ settlement }) => settlement!.content.totalMsat)).toEqual([100_000n, 900_000n]);
  for (const { payouts } of folded.state!.stages) for (const { received } of payouts) expect(received).not.toBeNull();
}

describe('an arena in memory', () => {
  it('is entered, trained, submitted, scored, ranked, settled and paid to the msat', async () => {
    const world = await createArenaWorld();
    const run = await world.run();
    expect(run.customer).not.toBeInstanceOf(Error);
    expect(run.folded).toMatchObject({ phase: 'finished', firstBad: null, forks: [], missing: [] });
    expect(run.trainers).toMatchObject([
      { end: 'done', stages: 2 },
      { end: 'done', stages: 2 },
      { end: 'done', stages: 2 },
    ]);
    expect(run.validators).toMatchObject([
      { end: 'done', stages: 2 },
      { end: 'done', stages: 2 },
      { end: 'done', stages: 2 },
    ]);
    expectPaid(run);
    const people = [...world.trainers, ...world.validators];
    const earned = people.map(({ name }) => world.lightning.balance(name) - 1_000_000_000n);
    expect(sum(earned)).toBe(1_000_000n);
    expect(earned.slice(0, 3).every((msat) => msat > 0n)).toBe(true);
    for (const level of ['public', 'keys', 'data'] as const)
      expect(await world.audit(run, level)).toMatchObject({ level, found: null, notices: [] });
    expect((await world.audit(run, 'data')).contradicted).toEqual([]);
    expect(world.lightning.balance('customer')).toBe(1_000_000_000n - 1_000_000n);
  }, 30_000);
});
