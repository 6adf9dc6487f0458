import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { paidMsat, type JobState } from '../../src/market/state.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { createWorld, type RunOptions, type TrainerOptions, type WorldOptions } from '../support/market-world.js';
import { secondOpinion, type SecondOpinion } from '../support/second-audit.js';

const asking = (priceMsat: bigint): TrainerOptions => ({
  adapt: (env) => ({ ...env, terms: { ...env.terms, priceMsat, maxExposureMsat: priceMsat } }),
});

/** The same facts as the fold has them. */
function firstOpinion(state: JobState): SecondOpinion {
  return {
    order: state.award!.content.bids.map(({ trainer }) => trainer),
    seats: state.award!.content.winners.map(({ trainer, shard, priceMsat }) => ({ trainer, shard, priceMsat })),
    rounds: state.rounds.map((round) => ({
      round: round.round,
      commitments: new Map([...round.listedCommits].map(([trainer, { content }]) => [trainer, content.commitment])),
      plan: round.payouts.map(({ payout, payee, amountMsat }) => ({ payout, payee, amountMsat })),
      totalMsat: round.settlement?.content.totalMsat ?? 0n,
      invoices: expect.anything() as never,
      aggregate: round.close?.content.aggregate ?? null,
    })),
    paidMsat: paidMsat(state),
  };
}

describe('a second audit, written apart, comes to what the fold comes to', () => {
  const jobs: [string, WorldOptions, RunOptions][] = [
    ['a paid job of three trainers and three rounds', { trainers: 3, rounds: 3 }, {}],
    ['shards of 13, 13 and 12 examples', { trainers: 3, rounds: 1, rows: 38 / 3, priceSats: 7 }, {}],
    [
      'bids at different prices, two of them in vain',
      { trainers: 2, spares: 2, rounds: 2, job: { award: 'deadline', bidWindow: '60s' } },
      { trainers: { 0: asking(20_001n), 1: asking(9_001n), 2: asking(12_345n), 3: asking(9_001n) } },
    ],
    ['a free job of one trainer', { trainers: 1, rounds: 2, rail: 'none' }, {}],
    ['models that travel as chunks', { trainers: 2, rounds: 2, inputs: 320, classes: 42 }, {}],
  ];
  it.each(jobs)('on %s', async (name, options, run) => {
    const world = await createWorld({ name, ...options });
    const { state } = await world.run(run);
    expect(state.phase).toBe('finished');
    if (name.startsWith('shards'))
      expect(world.snapshot.manifest.shards.map(({ examples }) => examples)).toEqual([13, 13, 12]);
    const { open, keyed, keys } = await world.audit();
    expect([open, keyed]).toEqual([null, null]);
    const second = secondOpinion(world.network.events(), world.jobId, encodeAuditKeys(keys));
    expect(second).toEqual(firstOpinion(state));
    for (const { invoices, plan } of second.rounds) {
      expect(invoices).toHaveLength(plan.length);
      for (const { wanted, got } of invoices) expect(got).toBe(wanted);
    }
    expect(second.rounds.at(-1)!.aggregate).toBe(state.artifact!.content.weights.sha256);
  });

  it('without any code of the first', () => {
    const source = readFileSync(new URL('../support/second-audit.ts', import.meta.url), 'utf8');
    const imported = [...source.matchAll(/from '([^']+)'/g)].map(([, from]) => from);
    expect(imported).toEqual(['node:crypto', 'node:zlib', 'light-bolt11-decoder']);
  });
});
