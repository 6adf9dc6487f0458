import { expect, test } from 'vitest';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { ownBid } from '../../src/roles/sealed-bids.js';
import { createWorld, type TrainerOptions } from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';

const asking = (sats: bigint, more: TrainerOptions = {}): TrainerOptions => ({
  ...more,
  adapt: (env) => ({ ...env, terms: { ...env.terms, priceMsat: sats * 1_000n } }),
});

test('a job with sealed bids and one price: nobody reads a bid before the award, and both audits recompute what is paid', async () => {
  const world = await createWorld({
    ...{ name: 'sealed', trainers: 2, spares: 1, rounds: 1, priceSats: 40 },
    job: { bids: 'sealed', payment: 'uniform', award: 'deadline', bidWindow: '30s' },
  });
  const ceiling: TrainerOptions = asking(30n);
  const { state, ends } = await world.run({
    customer: { kill: { after: 1, isKept: false } },
    trainers: { 0: asking(10n, { kill: { after: 1, isKept: true } }), 1: ceiling, 2: asking(17n) },
  });
  const [low, , middle] = world.trainers.map(({ signer }) => signer.pubkey);
  expect(state.phase).toBe('finished');
  expect([...state.assignments.values()].map(({ trainer, priceMsat }) => [trainer, priceMsat])).toEqual([
    [low, 30_000n],
    [middle, 30_000n],
  ]);
  expect(ends[0]).toMatchObject({ end: 'done', paidMsat: 30_000n });
  expect(ends[1]).toMatchObject({ end: 'lost' });
  const before = world.network.events().filter(({ created_at }) => created_at < state.award!.createdAt);
  expect(before.filter(({ kind }) => kind === 4625)).toHaveLength(3);
  expect(before.some(({ content }) => content.includes('priceMsat"'))).toBe(false);
  expect((await ownBid(state, world.trainers[0]!.signer))!.content.priceMsat).toBe(10_000n);
  expect(await ownBid({ ...state, job: { ...state.job!, author: low! } }, world.trainers[1]!.signer)).toBeUndefined();

  expect(await world.auditAll()).toMatchObject({ level: 'data', found: null });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
});
