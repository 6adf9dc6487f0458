import { describe, expect, it } from 'vitest';
import { createArenaWorld, type ArenaRun } from '../../support/arena-world.js';
import { Killed } from '../../support/market-world.js';

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

  it('is settled by those who worked in it, once, where its customer falls silent after the names are told', async () => {
    const world = await createArenaWorld({ name: 'silent arena' });
    const run = await world.run({
      customer: {
        isGone: true,
        adapt: (env) => ({
          ...env,
          book: {
            ...env.book,
            sign: async (type, content, ...rest) => {
              if (type === 'ranking' && 'stage' in content && content.stage === 1) throw new Killed('gone for good');
              return env.book.sign(type, content, ...rest);
            },
          },
        }),
      },
    });
    expect(run.customer).toBeInstanceOf(Killed);
    const [interim, final] = run.folded.state!.stages;
    expect(interim!.settlement).not.toBeNull();
    expect(final!).toMatchObject({ ranking: null, settlement: null });
    const plans = final!.others.map(({ content }) => content.plan);
    expect(plans.length).toBeGreaterThan(0);
    for (const plan of plans) expect(plan).toEqual(plans[0]);
    expect(sum(plans[0]!.map(({ amountMsat }) => amountMsat))).toBe(900_000n);
    // Everybody claimed, nobody was paid, and the debt stands in public.
    expect(final!.payouts.length).toBe(6);
    for (const { claim, receipt, unpaid } of final!.payouts) {
      expect(receipt).toBeNull();
      expect(claim).not.toBeNull();
      expect(unpaid).not.toBeNull();
    }
    expect(world.lightning.balance('customer')).toBe(1_000_000_000n - 100_000n);
  }, 30_000);
});
