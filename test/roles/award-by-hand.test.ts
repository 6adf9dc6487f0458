import { expect, test } from 'vitest';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { createWorld } from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';

test('a job awarded by hand goes to whom the customer named, survives a kill, and the audit says whose choice it was', async () => {
  const world = await createWorld({
    ...{ name: 'by hand', trainers: 2, spares: 1, rounds: 1, priceSats: 40 },
    job: { award: 'manual' },
  });
  const [first, second, third] = world.trainers.map(({ signer }) => signer.pubkey);
  const serving = world.trainers.map((who, i) =>
    world.serve(who, {
      adapt: (env) => ({ ...env, terms: { ...env.terms, priceMsat: BigInt(10 + 10 * i) * 1_000n } }),
    }),
  );
  await world.clock.wait(30_000);
  const bids = (await world.read()).state().bids;
  const chosen = [third!, first!].map((key) => bids.find(({ author }) => author === key)!.id);
  const awarded = await world.lead({ adapt: (env) => ({ ...env, chosen }), kill: { after: 0, isKept: true } });
  expect(awarded.award!.content.winners.map(({ trainer, priceMsat }) => [trainer, priceMsat])).toEqual([
    [third, 30_000n],
    [first, 10_000n],
  ]);
  expect(awarded.spares.map(({ trainer }) => trainer)).toEqual([second]);
  const again = await world.lead({ adapt: (env) => ({ ...env, chosen: [chosen[1]!] }) });
  expect(again.award!.id).toBe(awarded.award!.id);

  const state = await world.lead();
  expect((await Promise.all(serving)).map(({ end }) => end)).toEqual(['done', 'lost', 'done']);
  expect(state.phase).toBe('finished');
  expect(await world.auditAll()).toMatchObject({ level: 'data', found: null, awardedBy: 'customer' });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
});

test('a key that the customer blocked is refused by name, and no spare', async () => {
  const world = await createWorld({ name: 'blocked', trainers: 2, spares: 1, rounds: 1 });
  const it = world.trainers[0]!.signer.pubkey;
  const { state } = await world.run({ customer: { adapt: (env) => ({ ...env, blocked: new Set([it]) }) } });
  expect(state.award!.content.bids.find(({ trainer }) => trainer === it)).toMatchObject({
    ...{ outcome: 'refused', rule: 'blocked' },
  });
  expect([state.phase, state.spares]).toEqual(['finished', []]);
  expect(state.rounds[0]!.assigned.map(({ trainer }) => trainer)).not.toContain(it);
  expect(await world.auditAll()).toMatchObject({ level: 'data', found: null });
  const keys = encodeAuditKeys(await world.allKeys());
  const second = secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec());
  expect(second).toMatchObject({ verdict: 'PASS' });
});
