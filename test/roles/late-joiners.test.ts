import { describe, expect, test } from 'vitest';
import type { JobState } from '../../src/market/state.js';
import type { EventOf } from '../../src/protocol/events.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { createWorld, slowTrainer, type TrainerOptions, type World } from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';

/** Trainers who come while a job runs: a free seat is theirs, or one that becomes free. */

async function expectSound(world: World): Promise<void> {
  expect(await world.auditAll()).toMatchObject({ level: 'data', found: null });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
}

const replacesOf = (state: JobState) =>
  state.chains
    .get(state.job!.author)!
    .events.filter((event): event is EventOf<'replace'> => event.type === 'replace')
    .map(({ content: { shard, out, reason, in: next } }) => [shard, out, reason, next?.trainer ?? null]);
const asking = (sats: bigint, more: TrainerOptions = {}): TrainerOptions => ({
  ...more,
  adapt: (env) => ({ ...env, terms: { ...env.terms, priceMsat: sats * 1_000n, maxExposureMsat: sats * 1_000n } }),
});

describe('a trainer who comes after the award', () => {
  test('takes a seat that nobody has, trains from the next round on, and is paid its own price', async () => {
    const world = await createWorld({
      name: 'free seat',
      trainers: 3,
      rounds: 3,
      job: { quorum: 2, bidWindow: '30s' },
    });
    const { state, ends } = await world.run({
      trainers: { 0: slowTrainer, 1: slowTrainer, 2: asking(17n, { startAfterSec: 200 }) },
    });
    const late = world.trainers[2]!.signer.pubkey;
    expect(state.phase).toBe('finished');
    expect(state.rounds.map(({ assigned }) => assigned.length)).toEqual([2, 3, 3]);
    expect(replacesOf(state)).toEqual([[2, null, 'vacant', late]]);
    expect(state.replacements).toBe(0);
    expect(ends[2]).toMatchObject({ end: 'done', rounds: 2, paidMsat: 34_000n });
    await expectSound(world);
  });

  test('takes over from who is gone, where the award left no spare', async () => {
    const world = await createWorld({
      ...{ name: 'late spare', trainers: 2, spares: 1, rounds: 3 },
      job: { quorum: 1, roundTimeout: '5m', bidWindow: '30s' },
    });
    const { state, ends } = await world.run({
      trainers: {
        0: { kill: { after: 3, isKept: true }, restart: false },
        2: { startAfterSec: 100 },
      },
    });
    const [gone, , late] = world.trainers.map(({ signer }) => signer.pubkey);
    expect(state.award!.content.bids.map(({ trainer }) => trainer)).not.toContain(late);
    expect(replacesOf(state)).toEqual([[0, gone, 'absent', late]]);
    expect(state.replacements).toBe(1);
    expect(ends[2]).toMatchObject({ end: 'done', rounds: 2 });
    await expectSound(world);
  });

  test('waits in vain for more than the ceiling of the job, and is told so by its end', async () => {
    const world = await createWorld({ name: 'too dear', trainers: 2, rounds: 2, job: { quorum: 1, bidWindow: '30s' } });
    const { state, ends } = await world.run({ trainers: { 0: slowTrainer, 1: asking(22n, { startAfterSec: 200 }) } });
    expect(state.phase).toBe('finished');
    expect(replacesOf(state)).toEqual([]);
    expect(ends[1]).toMatchObject({ end: 'lost' });
  });

  test('and does not open its grant loses the seat, and gets no other', async () => {
    const world = await createWorld({
      ...{ name: 'silent', trainers: 2, rounds: 3 },
      job: { quorum: 1, bidWindow: '30s', readyTimeout: '60s' },
    });
    const silent: TrainerOptions = { startAfterSec: 200, kill: { after: 1, isKept: true }, restart: false };
    const { state } = await world.run({ trainers: { 0: slowTrainer, 1: silent } });
    const late = world.trainers[1]!.signer.pubkey;
    expect(state.phase).toBe('finished');
    expect(replacesOf(state)).toEqual([
      [1, null, 'vacant', late],
      [1, late, 'not-started', null],
    ]);
    await expectSound(world);
  });
});
