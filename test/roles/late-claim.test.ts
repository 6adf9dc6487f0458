import { expect, test } from 'vitest';
import { NmktError } from '../../src/errors.js';
import { createWorld } from '../support/market-world.js';

const away = () => new NmktError('wallet-unreachable', 'the wallet does not answer', { remedy: 'wait' });

test('a claim that comes after the next round has opened is paid, so that its trainer can go on', async () => {
  const world = await createWorld({ trainers: 2, rounds: 2 });
  // Asked every five seconds: longer than the customer waits for claims before it opens the next round.
  world.trainers[0]!.faults.makeInvoice = Array.from({ length: 8 }, away);
  const { state, ends } = await world.run();
  expect(state.phase).toBe('finished');
  expect(state.rounds.map((round) => round.close?.content.accepted.length)).toEqual([2, 2]);
  const late = state.rounds[0]!.payouts.find(({ payee }) => payee === world.trainers[0]!.signer.pubkey)!;
  expect(late.claim!.createdAt).toBeGreaterThan(state.rounds[1]!.open.createdAt);
  expect(ends).toMatchObject([
    { end: 'done', rounds: 2, paidMsat: 42_000n },
    { end: 'done', rounds: 2, paidMsat: 42_000n },
  ]);
  expect((await world.audit()).open).toBeNull();
});
