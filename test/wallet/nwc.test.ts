import { v2 as nip44 } from 'nostr-tools/nip44';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { hex, sha256Hex } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { publicKey, signEvent } from '../../src/schnorr.js';
import type { LedgerRecord } from '../../src/wallet/ledger.js';
import { connectWallet } from '../../src/wallet/nwc.js';
import { FakeLightning } from '../support/fake-wallet.js';
import { connectionOf, serviceSecret, stageForTest, type Stage } from './samples.js';

const request = { msat: 1_000n, descriptionHash: sha256Hex('claim'), expirySec: 3600 };

async function twoWallets(stage: Stage) {
  await stage.ledger.fundOnce('customer', 1_000_000n);
  const [customer, trainer] = [await stage.wallet('customer'), await stage.wallet('trainer')];
  const made = await trainer.makeInvoice(request);
  return { customer, trainer, ...made };
}

describe('the NIP-47 client', () => {
  it('calls a payment without an answer unknown, and finds it by look-up', async () => {
    const stage = await stageForTest();
    const { customer, invoice, paymentHash } = await twoWallets(stage);
    await customer.info();
    stage.faults.push({ kind: 'drop-reply' });
    expect(await customer.pay(invoice, 300)).toMatchObject({ kind: 'unknown' });
    expect(await customer.lookup(paymentHash)).toMatchObject({ direction: 'out', state: 'settled' });
  });

  it.each(['QUOTA_EXCEEDED', 'INSUFFICIENT_BALANCE', 'RESTRICTED', 'UNAUTHORIZED', 'NOT_IMPLEMENTED', 'RATE_LIMITED'])(
    'takes %s as a refusal that moved nothing',
    async (code) => {
      const stage = await stageForTest();
      const { customer, invoice } = await twoWallets(stage);
      await customer.info();
      stage.faults.push({ kind: 'error', code });
      expect(await customer.pay(invoice, 2_000)).toMatchObject({ kind: 'rejected', code });
    },
  );

  it.each(['PAYMENT_FAILED', 'INTERNAL', 'OTHER', 'SOMETHING_NEW'])(
    'takes %s as no proof of anything',
    async (code) => {
      const stage = await stageForTest();
      const { customer, invoice } = await twoWallets(stage);
      await customer.info();
      stage.faults.push({ kind: 'error', code });
      expect(await customer.pay(invoice, 2_000)).toMatchObject({ kind: 'unknown' });
    },
  );

  it('takes a wrong preimage as unknown, from a payment and from a look-up', async () => {
    const stage = await stageForTest();
    const { customer, invoice, paymentHash } = await twoWallets(stage);
    await customer.info();
    stage.faults.push({ kind: 'wrong-preimage' }, { kind: 'wrong-preimage' });
    expect(await customer.pay(invoice, 2_000)).toMatchObject({ kind: 'unknown' });
    expect(await customer.lookup(paymentHash)).toEqual({ direction: 'out', state: 'unknown' });
  });

  it('reports an expired outgoing payment as expired, never as failed', async () => {
    const stage = await stageForTest();
    const { customer, invoice, paymentHash } = await twoWallets(stage);
    await customer.pay(invoice, 2_000);
    stage.faults.push({ kind: 'lying-lookup', state: 'expired' });
    expect(await customer.lookup(paymentHash)).toEqual({ direction: 'out', state: 'expired' });
  });

  it('hears one answer of two, and an answer that is late', async () => {
    const stage = await stageForTest();
    const { customer, trainer, invoice } = await twoWallets(stage);
    await customer.info();
    stage.faults.push({ kind: 'duplicate' }, { kind: 'delay', ms: 100 });
    expect(await customer.pay(invoice, 2_000)).toMatchObject({ kind: 'paid' });
    expect(await trainer.balanceMsat()).toBe(1_000n);
  });

  it('asks again while the wallet service restarts', async () => {
    const stage = await stageForTest();
    const wallet = await stage.wallet('customer', { replyTimeoutMs: 300, backoffMs: [20, 20, 20, 20] });
    await wallet.info();
    stage.faults.push({ kind: 'crash-before-reply' });
    const balance = wallet.balanceMsat();
    await stage.startService();
    expect(await balance).toBe(0n);
  });

  it('finds the payment of a service that crashed before it could answer', async () => {
    const records: LedgerRecord[] = [];
    const stage = await stageForTest({}, records);
    const { customer, invoice, paymentHash } = await twoWallets(stage);
    await customer.info();
    stage.faults.push({ kind: 'crash-before-reply' });
    expect(await customer.pay(invoice, 300)).toMatchObject({ kind: 'unknown' });
    await stage.startService();
    expect(await customer.lookup(paymentHash)).toMatchObject({ state: 'settled' });
  });

  it('refuses a wallet that announces only NIP-04', async () => {
    const stage = await stageForTest({ announcedEncryption: 'nip04' });
    const wallet = await stage.wallet('customer');
    await expect(wallet.balanceMsat()).rejects.toMatchObject({ code: 'bad-settings', got: 'nip04' });
    const { invoice } = await new FakeLightning().wallet('x').makeInvoice(request);
    expect(await wallet.pay(invoice, 1_000)).toMatchObject({ kind: 'rejected', code: 'BAD_SETTINGS' });
  });

  it('uses only what the wallet announces', async () => {
    const stage = await stageForTest({ methods: ['get_info', 'make_invoice'] });
    const wallet = await stage.wallet('trainer');
    const { invoice, paymentHash } = await wallet.makeInvoice(request);
    await expect(wallet.balanceMsat()).rejects.toMatchObject({ code: 'bad-settings' });
    expect(await wallet.pay(invoice, 1_000)).toMatchObject({ kind: 'rejected' });
    expect(await wallet.lookup(paymentHash)).toEqual({ direction: 'unknown', state: 'unknown' });
  });

  it('neither pays nor asks for money on another network than the settings name', async () => {
    const stage = await stageForTest();
    const wallet = await stage.wallet('customer', { network: 'signet' });
    await expect(wallet.makeInvoice(request)).rejects.toMatchObject({ code: 'network-mismatch' });
    const signet = await new FakeLightning({ network: 'signet' }).wallet('x').makeInvoice(request);
    expect(await wallet.pay(signet.invoice, 1_000)).toMatchObject({ kind: 'rejected', code: 'NETWORK_MISMATCH' });
  });

  it('says unreachable, with a remedy and no secret, when no relay listens; a payment is rejected', async () => {
    const secret = hex(connectionOf('customer'));
    const uri = `nostr+walletconnect://${publicKey(serviceSecret)}?relay=ws://127.0.0.1:1&secret=${secret}`;
    const printed: unknown[] = [];
    for (const name of ['log', 'info', 'warn', 'error', 'debug'] as const) {
      const spy = vi.spyOn(console, name).mockImplementation((...args) => void printed.push(...args));
      onTestFinished(() => spy.mockRestore());
    }
    const wallet = await connectWallet(uri, { network: 'sandbox', replyTimeoutMs: 500, backoffMs: [10] });
    onTestFinished(() => wallet.close());
    const error: unknown = await wallet.balanceMsat().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'wallet-unreachable', exitStatus: 3, remedy: expect.stringMatching(/relay/) });
    const text = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).stack);
    expect(text).not.toContain(secret);
    const { invoice } = await new FakeLightning().wallet('x').makeInvoice(request);
    expect(await wallet.pay(invoice, 1_000)).toMatchObject({ kind: 'rejected', code: 'WALLET_UNREACHABLE' });
    expect(printed).toEqual([]);
  });

  it('ends a payment that waits when it is closed, as unknown', async () => {
    let heard = (): void => undefined;
    const asked = new Promise<void>((resolve) => (heard = resolve));
    const stage = await stageForTest({
      faultFor: (method) => {
        if (method !== 'pay_invoice') return undefined;
        heard();
        return { kind: 'drop-reply' };
      },
    });
    const { customer, invoice } = await twoWallets(stage);
    const outcome = customer.pay(invoice, 60_000);
    await asked;
    await customer.close();
    expect(await outcome).toMatchObject({ kind: 'unknown' });
  });
});

describe('the wallet service', () => {
  /** Sends one request by hand; resolves with the opened answer. */
  async function ask(stage: Stage, body: unknown, extra: string[][] = [['encryption', 'nip44_v2']], copies = 1) {
    const secret = connectionOf('customer');
    const service = publicKey(serviceSecret);
    const key = nip44.utils.getConversationKey(secret, service);
    const content = nip44.encrypt(typeof body === 'string' ? body : JSON.stringify(body), key);
    const created_at = Math.floor(Date.now() / 1000);
    const event = signEvent({ kind: 23194, created_at, tags: [['p', service], ...extra], content }, secret);
    const answer = new Promise<NostrEvent>((resolve) => {
      const subscription = stage.relays.subscribe([{ kinds: [23195], '#e': [event.id] }], (reply) => {
        subscription.close();
        resolve(reply);
      });
    });
    for (let copy = 0; copy < copies; copy++) await stage.relays.publish(event);
    const reply = await answer;
    return JSON.parse(nip44.decrypt(reply.content, key)) as { error: { code: string } | null; result: object | null };
  }

  it('answers every malformed request with an error', async () => {
    const stage = await stageForTest();
    const make = (amount: unknown) => ({ method: 'make_invoice', params: { amount } });
    for (const amount of [1.5, -1, 0, '1000', null, 2 ** 53]) {
      expect(await ask(stage, make(amount))).toMatchObject({ result: null, error: { code: 'OTHER' } });
    }
    expect(await ask(stage, { method: 'multi_pay_invoice' })).toMatchObject({ error: { code: 'NOT_IMPLEMENTED' } });
    expect(await ask(stage, { method: '__proto__' })).toMatchObject({ error: { code: 'NOT_IMPLEMENTED' } });
    expect(await ask(stage, 'not JSON')).toMatchObject({ error: { code: 'OTHER' } });
    expect(await ask(stage, [])).toMatchObject({ error: { code: 'OTHER' } });
    expect(await ask(stage, { method: 'get_info' }, [])).toMatchObject({ error: { code: 'UNSUPPORTED_ENCRYPTION' } });
    expect(await ask(stage, { method: 'pay_invoice', params: { invoice: 7 } })).toMatchObject({
      error: { code: 'OTHER' },
    });
  });

  it('refuses invoices of other nodes and networks', async () => {
    const stage = await stageForTest();
    await stage.ledger.fundOnce('customer', 1_000_000n);
    for (const network of ['regtest', 'bitcoin'] as const) {
      const { invoice } = await new FakeLightning({ network }).wallet('x').makeInvoice(request);
      expect(await ask(stage, { method: 'pay_invoice', params: { invoice } })).toMatchObject({
        error: { code: 'OTHER' },
      });
    }
    expect(stage.ledger.balanceMsat('customer')).toBe(1_000_000n);
  });

  it('runs a repeated request once and ignores an expired one', async () => {
    const stage = await stageForTest();
    const invoices = () => stage.ledger.entriesOf('customer').length;
    await ask(stage, { method: 'make_invoice', params: { amount: 1000 } }, [['encryption', 'nip44_v2']], 3);
    expect(invoices()).toBe(1);
    const late = ask(stage, { method: 'make_invoice', params: { amount: 1000 } }, [
      ['encryption', 'nip44_v2'],
      ['expiration', '1700000000'],
    ]);
    void late.catch(() => undefined);
    await ask(stage, { method: 'get_balance' });
    expect(invoices()).toBe(1);
  });

  it('lists what was paid, newest first, and the rest when asked', async () => {
    const stage = await stageForTest();
    const { customer, invoice, paymentHash } = await twoWallets(stage);
    expect(await ask(stage, { method: 'list_transactions' })).toMatchObject({ result: { transactions: [] } });
    await customer.pay(invoice, 2_000);
    expect(await ask(stage, { method: 'list_transactions' })).toMatchObject({
      result: { transactions: [{ type: 'outgoing', state: 'settled', payment_hash: paymentHash, amount: 1000 }] },
    });
  });
});
