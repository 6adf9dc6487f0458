import { describe, expect, it } from 'vitest';
import { fromHex, hex, sha256, sha256Hex } from '../../src/hash.js';
import type { Wallet } from '../../src/ports.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { FakeLightning } from '../support/fake-wallet.js';
import { stageForTest } from './samples.js';

/** What every implementation of the Wallet port does. */
interface Pair {
  /** Has 1,000 sat. */
  readonly customer: Wallet;
  /** Has nothing. */
  readonly trainer: Wallet;
}

const setups: Record<string, () => Promise<Pair>> = {
  'the fake wallet': async () => {
    const node = new FakeLightning();
    return { customer: node.wallet('customer', 1_000_000n), trainer: node.wallet('trainer') };
  },
  'the NIP-47 client and the sandbox service over a relay': async () => {
    const stage = await stageForTest();
    await stage.ledger.fundOnce('customer', 1_000_000n);
    return { customer: await stage.wallet('customer'), trainer: await stage.wallet('trainer') };
  },
};

const descriptionHash = sha256Hex('claim');
const request = (msat: bigint) => ({ msat, descriptionHash, expirySec: 3600 });

describe.each(Object.entries(setups))('%s', (_name, setup) => {
  it('tells its network, methods and balance', async () => {
    const { customer, trainer } = await setup();
    const { network, methods } = await customer.info();
    expect(network).toBe('regtest');
    expect([...methods]).toEqual(
      expect.arrayContaining(['pay_invoice', 'make_invoice', 'lookup_invoice', 'get_balance']),
    );
    expect([await customer.balanceMsat(), await trainer.balanceMsat()]).toEqual([1_000_000n, 0n]);
  });

  it('makes an invoice for exactly what was asked', async () => {
    const { trainer } = await setup();
    const { invoice, paymentHash } = await trainer.makeInvoice(request(300_001n));
    expect(decodeInvoice(invoice)).toMatchObject({
      prefix: 'bcrt',
      msat: 300_001n,
      descriptionHash,
      expirySec: 3600,
      paymentHash,
    });
  });

  it('moves the money once and proves it with the preimage', async () => {
    const { customer, trainer } = await setup();
    const { invoice, paymentHash } = await trainer.makeInvoice(request(300_001n));
    const outcome = await customer.pay(invoice, 5_000);
    if (outcome.kind !== 'paid') throw new Error(outcome.kind);
    expect(sha256Hex(fromHex(outcome.preimage))).toBe(paymentHash);
    expect([await customer.balanceMsat(), await trainer.balanceMsat()]).toEqual([699_999n, 300_001n]);
    await customer.pay(invoice, 5_000);
    expect([await customer.balanceMsat(), await trainer.balanceMsat()]).toEqual([699_999n, 300_001n]);
  });

  it('looks a payment up from both sides', async () => {
    const { customer, trainer } = await setup();
    const { invoice, paymentHash } = await trainer.makeInvoice(request(1_000n));
    expect(await customer.lookup(paymentHash)).toEqual({ direction: 'unknown', state: 'not-found' });
    expect(await trainer.lookup(paymentHash)).toMatchObject({ direction: 'in', state: 'pending', invoice });
    const outcome = await customer.pay(invoice, 5_000);
    if (outcome.kind !== 'paid') throw new Error(outcome.kind);
    const { preimage } = outcome;
    expect(await customer.lookup(paymentHash)).toEqual({ direction: 'out', state: 'settled', preimage, feesMsat: 0n });
    expect(await trainer.lookup(paymentHash)).toMatchObject({ direction: 'in', state: 'settled', preimage });
  });

  it('rejects what it cannot afford and what is of another network, without moving money', async () => {
    const { customer, trainer } = await setup();
    const { invoice } = await trainer.makeInvoice(request(1_000_001n));
    expect(await customer.pay(invoice, 5_000)).toMatchObject({ kind: 'rejected', code: 'INSUFFICIENT_BALANCE' });
    const mainnet = new FakeLightning({ network: 'bitcoin' });
    const real = await mainnet.wallet('somebody').makeInvoice(request(1_000n));
    expect(await customer.pay(real.invoice, 5_000)).toMatchObject({ kind: 'rejected', code: 'NETWORK_MISMATCH' });
    expect(await customer.balanceMsat()).toBe(1_000_000n);
  });

  const preimage = hex(sha256('held preimage'));
  const paymentHash = sha256Hex(fromHex(preimage));
  const held = (msat: bigint) => ({ ...request(msat), paymentHash, minFinalCltv: 144 });
  /** The payment has arrived, and its payer still waits. */
  const arrived = async ({ customer, trainer }: Pair) => {
    const { invoice } = await trainer.makeHoldInvoice(held(300_001n));
    const paying = customer.pay(invoice, 20_000);
    await expect.poll(() => trainer.lookup(paymentHash)).toMatchObject({ state: 'pending', held: {} });
    return { outcome: paying };
  };

  it('makes a hold invoice for the hash and the time that were asked for', async () => {
    const { trainer } = await setup();
    const { invoice } = await trainer.makeHoldInvoice(held(300_001n));
    const fields = { prefix: 'bcrt', msat: 300_001n, descriptionHash, paymentHash, minFinalCltv: 144 };
    expect(decodeInvoice(invoice)).toMatchObject(fields);
    expect(await trainer.lookup(paymentHash)).toMatchObject({ direction: 'in', state: 'pending', invoice });
  });

  it('lets a payment of it wait, until its payee takes it and gives the preimage away, once', async () => {
    const pair = await setup();
    const { customer, trainer } = pair;
    expect(await trainer.settleHold(preimage)).toBe(false);
    const paying = await arrived(pair);
    expect([await customer.balanceMsat(), await trainer.balanceMsat()]).toEqual([699_999n, 0n]);
    expect(await customer.lookup(paymentHash)).toEqual({ direction: 'out', state: 'pending' });
    expect([await customer.settleHold(preimage), await trainer.settleHold(hex(sha256('guess')))]).toEqual([
      false,
      false,
    ]);
    expect([await trainer.settleHold(preimage), await trainer.settleHold(preimage)]).toEqual([true, true]);
    expect(await paying.outcome).toMatchObject({ kind: 'paid', preimage });
    expect([await customer.balanceMsat(), await trainer.balanceMsat()]).toEqual([699_999n, 300_001n]);
    expect(await customer.lookup(paymentHash)).toMatchObject({ direction: 'out', state: 'settled', preimage });
    expect(await trainer.cancelHold(paymentHash)).toBe(false);
  });

  it('gives it back when its payee does not want it, and takes no other', async () => {
    const pair = await setup();
    const { customer, trainer } = pair;
    const paying = await arrived(pair);
    expect(await customer.cancelHold(paymentHash)).toBe(false);
    expect([await trainer.cancelHold(paymentHash), await trainer.cancelHold(paymentHash)]).toEqual([true, true]);
    expect((await paying.outcome).kind).not.toBe('paid');
    expect([await customer.balanceMsat(), await trainer.balanceMsat()]).toEqual([1_000_000n, 0n]);
    expect(await customer.lookup(paymentHash)).toEqual({ direction: 'out', state: 'failed' });
    expect(await trainer.settleHold(preimage)).toBe(false);
  });

  it('leaves who gave up waiting in the dark, and the look-up tells it later', async () => {
    const { customer, trainer } = await setup();
    const { invoice } = await trainer.makeHoldInvoice(held(300_001n));
    expect((await customer.pay(invoice, 200)).kind).toBe('unknown');
    // Whether it has come to the wallet by then, who gave up cannot know.
    await expect.poll(() => customer.lookup(paymentHash)).toMatchObject({ state: 'pending' });
    expect(await trainer.settleHold(preimage)).toBe(true);
    expect(await customer.lookup(paymentHash)).toMatchObject({ state: 'settled', preimage });
  });
});
