import { expect, it } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { decodeReceiptInvoice } from '../../src/commands/find-job.js';
import type { Wallet } from '../../src/ports.js';
import { judgeClaim } from '../../src/roles/claim-check.js';
import { createWorld } from '../support/market-world.js';

it('says of each payout whether its claim could be paid, and by which rule not; nothing is signed', async () => {
  const world = await createWorld({ name: 'judged', trainers: 2, rounds: 1 });
  const poor = (own: Wallet): Wallet => ({
    ...own,
    pay: async () => ({ kind: 'rejected', code: 'QUOTA_EXCEEDED', message: 'no more' }),
  });
  const { state } = await world.run({ customer: { wallet: poor } });
  const line = state.rounds[0]!.payouts.find(({ payee }) => payee === world.trainers[0]!.signer.pubkey);
  const debt = { state, network: 'sandbox', rounds: state.rounds } as const;
  const env = { signer: world.customer.signer, decode: decodeReceiptInvoice };
  const events = world.network.events().length;
  expect(await judgeClaim(env, debt, line!)).toBe('payable');
  expect(await judgeClaim(env, debt, { ...line!, claim: null })).toBe('none');
  expect(await judgeClaim({ ...env, decode: () => null }, debt, line!)).toBe('text');
  expect(await judgeClaim({ ...env, signer: world.trainers[1]!.signer }, debt, line!)).toBe('sealed');
  expect(await judgeClaim(env, { ...debt, network: 'bitcoin' }, line!)).toBe('network');
  expect(await judgeClaim(env, debt, { ...line!, amountMsat: 1n })).toBe('amount');
  expect(await judgeClaim(env, { ...debt, paymentHash: sha256Hex('sold') }, line!)).toBe('sale');
  expect(world.network.events()).toHaveLength(events);
});
