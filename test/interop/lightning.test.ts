import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/config/clock.js';
import { hex, sha256, sha256Hex, type Pubkey } from '../../src/hash.js';
import { SALE_CLTV } from '../../src/market/sale-rules.js';
import type { Wallet } from '../../src/ports.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { payoutBook } from '../../src/wallet/payout-book.js';
import { payOut, type PayoutRequest, type PayoutTools } from '../../src/wallet/payout-journal.js';
import type { PayoutRecord } from '../../src/wallet/payout-records.js';
import { createSpendGuard } from '../../src/wallet/spend-guard.js';
import { memoryJournal } from '../support/memory-journal.js';
import { payingBy } from '../support/paying-by.js';
import { describeWallet } from '../wallet/wallet-contract.js';
import { describeAlbySdk } from './alby-sdk.js';
import { HOLD_EXPIRY_DELTA } from './lnd-backend.js';
import { LndRefusal } from './lnd-rest.js';
import { describeJobs } from './lightning-jobs.js';
import { lightningForFile } from './lightning-stage.js';

/** Our client, over our relay, and our wallet service in front of two nodes of LND that share a channel: one of each for all tests. */

const MSAT = 2_100_007n;
const WAIT = { timeout: 30_000 };
/** Blocks; what LND asks where nothing is said. */
const DEFAULT_CLTV = 80;
/** Blocks that a payer of LND adds, should some come while the payment travels: `routing.BlockPadding`. */
const BLOCK_PADDING = 3;
const descriptionHash = sha256Hex('claim');
const terms = { msat: MSAT, descriptionHash, expirySec: 86_400 };

const stageOf = lightningForFile();

describeWallet('the NIP-47 client and LND over a relay', { network: 'simnet', prefix: 'sb' }, async (context) => {
  const { wallets } = await stageOf(context);
  return { customer: await wallets.wallet('alice'), trainer: await wallets.wallet('bob') };
});

describeAlbySdk(stageOf);
describeJobs(stageOf);

describe('a payout by LND', () => {
  const toolsOf = (wallet: Wallet, records: PayoutRecord[]): PayoutTools => ({
    ...{ wallet, network: 'simnet', guard: createSpendGuard({}), clock: systemClock },
    book: payoutBook(memoryJournal(records)),
  });
  const requestOf = (payout: string, invoice: string): PayoutRequest => ({
    ...{ payoutId: sha256Hex(payout), planHash: sha256Hex('plan', payout), job: payout, round: 0, invoice },
    ...{ payee: sha256Hex('trainer') as string as Pubkey, amountMsat: MSAT, jobBudgetMsat: MSAT, descriptionHash },
  });

  it('is paid by its invoice, proven by the preimage, and found paid when it is asked for again', async (context) => {
    const { wallets } = await stageOf(context);
    const [customer, trainer] = [await wallets.wallet('alice'), await wallets.wallet('bob')];
    const had = await trainer.balanceMsat();
    const { invoice, paymentHash } = await trainer.makeInvoice(terms);
    expect(decodeInvoice(invoice)).toMatchObject({ prefix: 'sb', minFinalCltv: DEFAULT_CLTV });
    const records: PayoutRecord[] = [];
    const request = requestOf('paid', invoice);
    const first = await payOut(request, toolsOf(customer, records));
    if (first.kind !== 'paid') throw new Error(JSON.stringify(first));
    expect(sha256Hex(Buffer.from(first.preimage, 'hex'))).toBe(paymentHash);
    expect(await payOut(request, toolsOf(customer, records))).toEqual(first);
    // As after a restore from a backup: the journal never heard of it.
    const claimed = { ...request, claimed: [invoice] };
    expect(await payOut(claimed, toolsOf(customer, []))).toMatchObject({ kind: 'paid', preimage: first.preimage });
    await expect.poll(() => trainer.balanceMsat(), WAIT).toBe(had + MSAT);
  });

  it('of a payer that died after it had asked its node is looked up, not sent again', async (context) => {
    const { wallets } = await stageOf(context);
    const [customer, trainer] = [await wallets.wallet('alice'), await wallets.wallet('bob')];
    const { invoice, paymentHash } = await trainer.makeInvoice(terms);
    const records: PayoutRecord[] = [];
    const dead = await wallets.wallet('alice');
    // What came back never arrives: whoever asked is gone.
    const dying = payingBy(dead, (text, timeoutMs) =>
      dead.pay(text, timeoutMs).then(() => new Promise(() => undefined)),
    );
    void payOut(requestOf('died', invoice), toolsOf(dying, records));
    await expect.poll(() => trainer.lookup(paymentHash), WAIT).toMatchObject({ state: 'settled' });
    expect(records.map(({ type }) => type)).toEqual(['planned', 'bound', 'sending']);
    const looking = payingBy(customer, () => Promise.reject(new Error('sent again')));
    const outcome = await payOut(requestOf('died', invoice), toolsOf(looking, [...records]));
    expect(outcome).toMatchObject({ kind: 'paid', paymentHash, feesMsat: 0n });
  });
});

describe('a payment that waits at LND', () => {
  /** @param minFinalCltv  blocks */
  const arrivedOf = async ({ customer, trainer }: Record<'customer' | 'trainer', Wallet>, minFinalCltv: number) => {
    const preimage = hex(sha256('waits', `${waiting++}`));
    const paymentHash = sha256Hex(Buffer.from(preimage, 'hex'));
    const { invoice } = await trainer.makeHoldInvoice({ ...terms, paymentHash, minFinalCltv });
    const outcome = customer.pay(invoice, 50_000);
    await expect.poll(() => trainer.lookup(paymentHash), WAIT).toMatchObject({ held: {} });
    const { held } = await trainer.lookup(paymentHash);
    return { preimage, paymentHash, outcome, settleBy: held!.settleBy! };
  };
  let waiting = 0;

  it.for([SALE_CLTV, DEFAULT_CLTV, 144])(
    'goes back when nobody settles it, at the block that the look-up named: %i blocks were asked for',
    { timeout: 300_000 },
    async (blocks, context) => {
      const { simnet, wallets } = await stageOf(context);
      const pair = { customer: await wallets.wallet('alice'), trainer: await wallets.wallet('bob') };
      const had = [await pair.customer.balanceMsat(), await pair.trainer.balanceMsat()];
      const height = await simnet.bob.height();
      const { paymentHash, preimage, outcome, settleBy } = await arrivedOf(pair, blocks);
      expect(settleBy - height).toBe(blocks + BLOCK_PADDING - HOLD_EXPIRY_DELTA);
      await simnet.mine(settleBy - height - 1);
      expect(await pair.trainer.lookup(paymentHash)).toMatchObject({ held: { settleBy } });
      await simnet.mine(1);
      await expect
        .poll(() => pair.trainer.lookup(paymentHash), WAIT)
        .toMatchObject({ direction: 'in', state: 'failed' });
      expect((await outcome).kind).toBe('unknown');
      await expect.poll(() => pair.customer.lookup(paymentHash), WAIT).toEqual({ direction: 'out', state: 'failed' });
      expect(await pair.trainer.settleHold(preimage)).toBe(false);
      const has = async () => [await pair.customer.balanceMsat(), await pair.trainer.balanceMsat()];
      await expect.poll(has, WAIT).toEqual(had);
      console.log(`${blocks} blocks asked for: ${settleBy - height} to settle`);
    },
  );

  it.for(['alice', 'bob'] as const)(
    'is still there after the node of %s was killed, and its outcome is known when it is settled',
    { timeout: 120_000 },
    async (name, context) => {
      const { simnet, wallets } = await stageOf(context);
      const pair = { customer: await wallets.wallet('alice'), trainer: await wallets.wallet('bob') };
      const had = await pair.trainer.balanceMsat();
      const { paymentHash, preimage, outcome } = await arrivedOf(pair, 144);
      await simnet[name].kill();
      const side = name === 'alice' ? pair.customer : pair.trainer;
      expect(await side.lookup(paymentHash)).toEqual({ direction: 'unknown', state: 'unknown' });
      const heard = new Set<string>();
      const coming = simnet[name].start().then(() => simnet.connected());
      const isBack = coming.then(() => true);
      const later = new Promise<false>((done) => setImmediate(done, false));
      while (!(await Promise.race([isBack, later]))) heard.add((await side.lookup(paymentHash)).state);
      // While it starts it knows of nothing; that is no word about the payment.
      expect([...heard].filter((state) => state !== 'unknown' && state !== 'pending')).toEqual([]);
      await expect.poll(() => pair.trainer.lookup(paymentHash), WAIT).toMatchObject({ held: {} });
      expect(await pair.customer.lookup(paymentHash)).toEqual({ direction: 'out', state: 'pending' });
      expect(await pair.trainer.settleHold(preimage)).toBe(true);
      // Who paid may have heard the connection break; nobody has heard that it failed.
      expect(['paid', 'unknown']).toContain((await outcome).kind);
      const settled = { direction: 'out', state: 'settled', preimage, feesMsat: 0n } as const;
      await expect.poll(() => pair.customer.lookup(paymentHash), WAIT).toEqual(settled);
      await expect.poll(() => pair.trainer.balanceMsat(), WAIT).toBe(had + MSAT);
    },
  );

  it('of a node that is away is unknown, never failed', { timeout: 120_000 }, async (context) => {
    const { simnet, wallets } = await stageOf(context);
    const [customer, trainer] = [await wallets.wallet('alice'), await wallets.wallet('bob')];
    const { invoice, paymentHash } = await trainer.makeInvoice(terms);
    await customer.info();
    await simnet.alice.kill();
    expect((await customer.pay(invoice, 10_000)).kind).toBe('unknown');
    expect((await customer.lookup(paymentHash)).state).toBe('unknown');
    await simnet.alice.start();
    await simnet.connected();
    expect(await customer.lookup(paymentHash)).toEqual({ direction: 'unknown', state: 'not-found' });
    expect((await customer.pay(invoice, 20_000)).kind).toBe('paid');
  });
});

it('takes a path that LND was built without for no answer, which is no word about an invoice', async (context) => {
  const { simnet } = await stageOf(context);
  await expect(simnet.alice.rest.get('/v2/nothing')).rejects.toThrow('LND has no such path');
  await expect(simnet.alice.rest.get(`/v1/invoice/${'ab'.repeat(32)}`)).rejects.toBeInstanceOf(LndRefusal);
});
