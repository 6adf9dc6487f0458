import { describe, expect, it, type TestContext } from 'vitest';
import { fromHex, hex, sha256, sha256Hex } from '../../src/hash.js';
import type { Network, Wallet } from '../../src/ports.js';
import { decodeInvoice, type Bip173Prefix } from '../../src/wallet/bolt11.js';
import { FakeLightning } from '../support/fake-wallet.js';

/** What every implementation of the Wallet port does. */
export interface Pair {
  /** Has 1,000 sat, or more. */
  readonly customer: Wallet;
  /** Can receive them. */
  readonly trainer: Wallet;
}

const PAY_TIMEOUT_MS = 20_000;
const WAIT = { timeout: 10_000 };
const descriptionHash = sha256Hex('claim');
const request = (msat: bigint) => ({ msat, descriptionHash, expirySec: 3600 });

/** Of hold invoices: a node takes each hash once. */
let drawn = 0;
const newPreimage = (): string => hex(sha256(`held preimage ${drawn++}`));
const hashOf = (preimage: string) => sha256Hex(fromHex(preimage));

/** Msat that each of the two has more than now, asked again until nothing moves: a node books what it has promised a little later. */
async function booksOf({ customer, trainer }: Pair): Promise<() => Promise<readonly [bigint, bigint]>> {
  const [customerHad, trainerHad] = [await customer.balanceMsat(), await trainer.balanceMsat()];
  return async () => [(await customer.balanceMsat()) - customerHad, (await trainer.balanceMsat()) - trainerHad];
}

/** @param setup  once for each test, of wallets that may have a past */
export function describeWallet(
  name: string,
  { network, prefix }: { readonly network: Network; readonly prefix: Bip173Prefix },
  setup: (context: TestContext) => Promise<Pair>,
): void {
  describe(name, () => {
    it('tells its network, methods and balance', async (context) => {
      const { customer, trainer } = await setup(context);
      const info = await customer.info();
      expect(info.network).toBe(network);
      expect([...info.methods]).toEqual(
        expect.arrayContaining(['pay_invoice', 'make_invoice', 'lookup_invoice', 'get_balance']),
      );
      expect(await customer.balanceMsat()).toBeGreaterThanOrEqual(1_000_000n);
      expect(await trainer.balanceMsat()).toBeGreaterThanOrEqual(0n);
    });

    it('makes an invoice for exactly what was asked', async (context) => {
      const { trainer } = await setup(context);
      const { invoice, paymentHash } = await trainer.makeInvoice(request(300_001n));
      const fields = { prefix, msat: 300_001n, descriptionHash, expirySec: 3600, paymentHash };
      expect(decodeInvoice(invoice)).toMatchObject(fields);
    });

    it('moves the money once and proves it with the preimage', async (context) => {
      const pair = await setup(context);
      const { customer, trainer } = pair;
      const moved = await booksOf(pair);
      const { invoice, paymentHash } = await trainer.makeInvoice(request(300_001n));
      const outcome = await customer.pay(invoice, PAY_TIMEOUT_MS);
      if (outcome.kind !== 'paid') throw new Error(outcome.kind);
      expect(hashOf(outcome.preimage)).toBe(paymentHash);
      await expect.poll(moved, WAIT).toEqual([-300_001n, 300_001n]);
      await customer.pay(invoice, PAY_TIMEOUT_MS);
      expect(await moved()).toEqual([-300_001n, 300_001n]);
    });

    it('looks a payment up from both sides', async (context) => {
      const { customer, trainer } = await setup(context);
      const { invoice, paymentHash } = await trainer.makeInvoice(request(1_000n));
      expect(await customer.lookup(paymentHash)).toEqual({ direction: 'unknown', state: 'not-found' });
      expect(await trainer.lookup(paymentHash)).toMatchObject({ direction: 'in', state: 'pending', invoice });
      const outcome = await customer.pay(invoice, PAY_TIMEOUT_MS);
      if (outcome.kind !== 'paid') throw new Error(outcome.kind);
      const { preimage } = outcome;
      expect(await customer.lookup(paymentHash)).toEqual({
        direction: 'out',
        state: 'settled',
        preimage,
        feesMsat: 0n,
      });
      expect(await trainer.lookup(paymentHash)).toMatchObject({ direction: 'in', state: 'settled', preimage });
    });

    it('rejects what it cannot afford and what is of another network, without moving money', async (context) => {
      const pair = await setup(context);
      const { customer, trainer } = pair;
      const moved = await booksOf(pair);
      const { invoice } = await trainer.makeInvoice(request((await customer.balanceMsat()) + 1n));
      const outcome = await customer.pay(invoice, PAY_TIMEOUT_MS);
      expect(outcome).toMatchObject({ kind: 'rejected', code: 'INSUFFICIENT_BALANCE' });
      const mainnet = new FakeLightning({ network: 'bitcoin' });
      const real = await mainnet.wallet('somebody').makeInvoice(request(1_000n));
      expect(await customer.pay(real.invoice, 5_000)).toMatchObject({ kind: 'rejected', code: 'NETWORK_MISMATCH' });
      expect(await moved()).toEqual([0n, 0n]);
    });

    const held = (preimage: string) => ({
      ...request(300_001n),
      ...{ paymentHash: hashOf(preimage), minFinalCltv: 144 },
    });
    /** The payment has arrived, and its payer still waits. */
    const arrived = async ({ customer, trainer }: Pair, preimage: string) => {
      const { invoice } = await trainer.makeHoldInvoice(held(preimage));
      const paying = customer.pay(invoice, PAY_TIMEOUT_MS);
      await expect.poll(() => trainer.lookup(hashOf(preimage)), WAIT).toMatchObject({ state: 'pending', held: {} });
      return { outcome: paying };
    };

    it('makes a hold invoice for the hash and the time that were asked for', async (context) => {
      const { trainer } = await setup(context);
      const { paymentHash, ...terms } = held(newPreimage());
      const { invoice } = await trainer.makeHoldInvoice({ ...terms, paymentHash });
      const decoded = decodeInvoice(invoice);
      expect(decoded).toMatchObject({ prefix, msat: 300_001n, descriptionHash, paymentHash });
      expect(decoded.minFinalCltv).toBeGreaterThanOrEqual(144);
      expect(await trainer.lookup(paymentHash)).toMatchObject({ direction: 'in', state: 'pending', invoice });
    });

    it('lets a payment of it wait, until its payee takes it and gives the preimage away, once', async (context) => {
      const pair = await setup(context);
      const { customer, trainer } = pair;
      const moved = await booksOf(pair);
      const preimage = newPreimage();
      expect(await trainer.settleHold(preimage)).toBe(false);
      const paying = await arrived(pair, preimage);
      const [ofCustomer, ofTrainer] = await moved();
      // Who opened a channel pays for the bytes of what waits in it.
      expect(ofCustomer).toBeLessThanOrEqual(-300_001n);
      expect(ofTrainer).toBe(0n);
      expect(await customer.lookup(hashOf(preimage))).toEqual({ direction: 'out', state: 'pending' });
      const guesses = [await customer.settleHold(preimage), await trainer.settleHold(newPreimage())];
      expect(guesses).toEqual([false, false]);
      expect([await trainer.settleHold(preimage), await trainer.settleHold(preimage)]).toEqual([true, true]);
      expect(await paying.outcome).toMatchObject({ kind: 'paid', preimage });
      await expect.poll(moved, WAIT).toEqual([-300_001n, 300_001n]);
      expect(await customer.lookup(hashOf(preimage))).toMatchObject({ direction: 'out', state: 'settled', preimage });
      expect(await trainer.cancelHold(hashOf(preimage))).toBe(false);
    });

    it('gives it back when its payee does not want it, and takes no other', async (context) => {
      const pair = await setup(context);
      const { customer, trainer } = pair;
      const moved = await booksOf(pair);
      const preimage = newPreimage();
      const hash = hashOf(preimage);
      const paying = await arrived(pair, preimage);
      expect(await customer.cancelHold(hash)).toBe(false);
      expect([await trainer.cancelHold(hash), await trainer.cancelHold(hash)]).toEqual([true, true]);
      expect((await paying.outcome).kind).not.toBe('paid');
      await expect.poll(moved, WAIT).toEqual([0n, 0n]);
      expect(await customer.lookup(hash)).toEqual({ direction: 'out', state: 'failed' });
      expect(await trainer.settleHold(preimage)).toBe(false);
    });

    it('leaves who gave up waiting in the dark, and the look-up tells it later', async (context) => {
      const { customer, trainer } = await setup(context);
      const preimage = newPreimage();
      const { invoice } = await trainer.makeHoldInvoice(held(preimage));
      expect((await customer.pay(invoice, 500)).kind).toBe('unknown');
      // Whether it has come to the wallet by then, who gave up cannot know.
      await expect.poll(() => customer.lookup(hashOf(preimage)), WAIT).toMatchObject({ state: 'pending' });
      await expect.poll(() => trainer.lookup(hashOf(preimage)), WAIT).toMatchObject({ held: {} });
      expect(await trainer.settleHold(preimage)).toBe(true);
      const settled = { direction: 'out', state: 'settled', preimage };
      await expect.poll(() => customer.lookup(hashOf(preimage)), WAIT).toMatchObject(settled);
    });
  });
}
