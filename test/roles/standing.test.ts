import { expect, test } from 'vitest';
import type { JobState } from '../../src/market/state.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { auditStanding } from '../../src/roles/audit-standing.js';
import { earlierJobs } from '../../src/roles/earlier-jobs.js';
import { createWorld, Process, type TrainerOptions, type World } from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';

const asking = (sats: bigint): TrainerOptions => ({
  adapt: (env) => ({ ...env, terms: { ...env.terms, priceMsat: sats * 1_000n, maxExposureMsat: sats * 1_000n } }),
});

const earlierOf = ({ customer }: World) =>
  earlierJobs({
    files: new Process(customer, undefined).files(),
    me: customer.signer.pubkey,
    journal: async () => new Process(customer, undefined).journal(customer.events),
  });

async function expectSound(world: World): Promise<void> {
  expect(await world.auditAll()).toMatchObject({ level: 'data', found: null });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
}

test('trainers paid in an earlier job win against a cheaper stranger, and the audit counts their rounds again', async () => {
  const first = await createWorld({ name: 'known', trainers: 2, rounds: 2 });
  await first.run();
  const earlier = await earlierOf(first);
  expect(earlier).toHaveLength(1);

  const second = await createWorld({
    ...{ name: 'known again', people: 'known', trainers: 2, spares: 1, rounds: 1 },
    ...{ startSec: first.clock.nowSec() + 1_000 },
    job: { maxPriceSats: 40, award: 'deadline', newKeyShare: 0.5 },
  });
  const relay = second.network.relays();
  for (const event of first.network.events()) await relay.publish(event);
  const known = new Set(first.trainers.map(({ signer }) => signer.pubkey));
  const trainers = second.trainers.map(({ signer }) => asking(known.has(signer.pubkey) ? 30n : 21n));
  const { state } = await second.run({ customer: { adapt: (env) => ({ ...env, earlier }) }, trainers });

  const { bids, winners, counted } = state.award!.content;
  // 30 * 4 / 3 against 21 * 2
  expect(bids.map(({ effectiveMsat, attempts, successes }) => [effectiveMsat, attempts, successes])).toEqual([
    [40_000n, 2, 2],
    [40_000n, 2, 2],
    [42_000n, 0, 0],
  ]);
  expect(new Set(winners.map(({ trainer }) => trainer))).toEqual(known);
  expect(counted).toEqual([earlier[0]!.head]);
  expect(await second.auditAll()).toMatchObject({ found: null, standing: { jobs: 1, why: null } });
  await expectSound(second);

  const boasting: JobState = {
    ...state,
    award: {
      ...state.award!,
      content: { ...state.award!.content, bids: bids.map((row, i) => (i === 0 ? { ...row, successes: 1 } : row)) },
    },
  };
  expect((await auditStanding(boasting, relay))!.found).toMatchObject({ event: state.award!.id, rule: 'standing' });
  const elsewhere = await createWorld({ name: 'elsewhere', trainers: 1 });
  expect(await auditStanding(state, elsewhere.network.relays())).toEqual({
    found: null,
    check: { jobs: 0, why: '1 of 1 earlier jobs are on no relay that answered' },
  });
});

test('newKeyShare leaves seats empty that strangers bid for, in the award and afterwards', async () => {
  const world = await createWorld({
    ...{ name: 'strangers', trainers: 2, spares: 1, rounds: 2 },
    job: { newKeyShare: 0.5, quorum: 1, bidWindow: '30s' },
  });
  const { state } = await world.run();
  expect(state.award!.content).toMatchObject({ withheld: 1, winners: [{ shard: 0 }] });
  expect(state.award!.content.counted).toBeUndefined();
  expect(state.rounds.map(({ assigned }) => assigned.length)).toEqual([1, 1]);
  expect(state.phase).toBe('finished');
  await expectSound(world);
});
