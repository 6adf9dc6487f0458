import { expect, test } from 'vitest';
import { createWorld, type World } from '../support/market-world.js';
import { stubbornWallet } from '../support/faults/lying-wallet.js';

const HOUR_MS = 3_600_000;

const typesOf = async (world: World, index: number): Promise<string[]> =>
  (await world.read())
    .state()
    .chains.get(world.trainers[index]!.signer.pubkey)!
    .events.map(({ type }) => type);

/** A job whose only payment was sent, and of which nobody knows what became. */
async function unknownWorld(isPaying: boolean): Promise<World> {
  const world = await createWorld({ trainers: 1, rounds: 1 });
  const wallet = stubbornWallet(world.customer.wallet, 'unknown', isPaying);
  const { customer, ends } = await world.run({ customer: { wallet: () => wallet } });
  expect(customer).toMatchObject({ phase: 'finished' });
  expect(ends[0]).toMatchObject({ end: 'done', paidMsat: 0n });
  const said = world.customer.said.filter((line) => line.includes('is not paid yet'));
  expect(said[0]).toMatch(/round 1, 21 sat\): .*looked up first.*tried again at \d\d:\d\d:\d\d UTC$/);
  return world;
}

test('an unknown payment whose invoice expired: the payee gives it up in public, claims again, and is paid once', async () => {
  const world = await unknownWorld(false);
  world.clock.advance(26 * HOUR_MS);
  const { customer, ends, state } = await world.run({ customer: { startAfterSec: 5 } });
  expect(customer).toMatchObject({ phase: 'finished' });
  expect(ends[0]).toMatchObject({ end: 'done', rounds: 1, paidMsat: 21_000n });
  expect((await typesOf(world, 0)).slice(-5)).toEqual(['claim', 'unpaid', 'claim-void', 'claim', 'received']);
  expect(world.lightning.payments).toHaveLength(1);
  const [payout] = state.rounds[0]!.payouts;
  expect(payout!.voided).not.toContain(payout!.receipt!.content.paymentHash);
  expect((await world.audit()).open).toBeNull();
});

test('an unknown payment that had arrived: the payee never gives its invoice up, and the next run finds the preimage', async () => {
  const world = await unknownWorld(true);
  world.clock.advance(26 * HOUR_MS);
  const { ends } = await world.run({ trainers: { 0: { startAfterSec: 30 } } });
  expect(ends[0]).toMatchObject({ end: 'done', paidMsat: 21_000n });
  expect(await typesOf(world, 0)).not.toContain('claim-void');
  expect(world.lightning.payments).toHaveLength(1);
});
