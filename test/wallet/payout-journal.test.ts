import { describe, expect, it } from 'vitest';
import { fromHex, sha256Hex, type Pubkey, type Sha256 } from '../../src/hash.js';
import type { Clock, LookupResult, Wallet } from '../../src/ports.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { payoutBook } from '../../src/wallet/payout-book.js';
import { payOut, type PayoutRequest, type PayoutTools } from '../../src/wallet/payout-journal.js';
import { decide, foldPayouts, type Payout, type PayoutRecord } from '../../src/wallet/payout-records.js';
import { createSpendGuard, feeReserveMsat, type SpendLimits } from '../../src/wallet/spend-guard.js';
import { FakeLightning, type FakeFaults } from '../support/fake-wallet.js';
import { memoryJournal } from '../support/memory-journal.js';

const nowSec = 1_800_000_000;
const clock: Clock = { nowSec: () => nowSec, nowMs: () => nowSec * 1000, wait: async () => undefined };

function setUp(
  faults: FakeFaults = {},
  limits: SpendLimits = {},
  msat = 10_000_000n,
  node = new FakeLightning({ nowSec: () => nowSec }),
) {
  const records: PayoutRecord[] = [];
  const wallet = node.wallet('customer', msat, faults);
  const book = payoutBook(memoryJournal(records));
  const tools: PayoutTools = { wallet, network: 'sandbox', book, guard: createSpendGuard(limits), clock };
  return { node, records, wallet, tools };
}

async function requestFor(
  node: FakeLightning,
  name: string,
  amountMsat: bigint,
  changes: Partial<PayoutRequest> = {},
): Promise<PayoutRequest> {
  const descriptionHash = sha256Hex(`claim ${name}`);
  const { invoice } = await node.wallet(name).makeInvoice({ msat: amountMsat, descriptionHash, expirySec: 86_400 });
  return {
    payoutId: sha256Hex(`payout ${name}`),
    planHash: sha256Hex('plan'),
    job: sha256Hex('job'),
    round: 0,
    payee: sha256Hex(name) as string as Pubkey,
    amountMsat,
    jobBudgetMsat: 1_000_000_000n,
    invoice,
    descriptionHash,
    invoiceSigner: node.nodePubkey,
    ...changes,
  };
}

const hashOf = ({ invoice }: PayoutRequest): string => decodeInvoice(invoice).paymentHash;

describe('decide', () => {
  const preimage = '11'.repeat(32);
  const bound = { invoice: 'lnbcrt1', paymentHash: sha256Hex(fromHex(preimage)) };
  const planned: Payout = {
    payoutId: sha256Hex('id'),
    planHash: sha256Hex('plan'),
    job: 'job',
    round: 0,
    payee: sha256Hex('payee') as string as Pubkey,
    amountMsat: 1n,
    openSends: 0,
    voided: [],
  };
  const sent = { ...planned, bound, openSends: 1 };
  const settled: LookupResult = { direction: 'out', state: 'settled', preimage, feesMsat: 3n };

  it('binds an invoice, sends it, and asks before anything else once it was sent', () => {
    expect(decide(planned)).toEqual({ do: 'bind' });
    expect(decide({ ...planned, bound })).toEqual({ do: 'send' });
    expect(decide(sent)).toEqual({ do: 'look-up' });
    expect(decide({ ...sent, paid: { preimage, feesMsat: 3n } })).toEqual({ do: 'done', preimage, feesMsat: 3n });
  });

  it('takes settled as paid only with the preimage of the invoice, and as sent by us', () => {
    expect(decide(sent, settled)).toEqual({ do: 'record-paid', preimage, feesMsat: 3n });
    expect(decide(sent, { ...settled, preimage: '22'.repeat(32) }).do).toBe('wait');
    expect(decide(sent, { direction: 'out', state: 'settled' }).do).toBe('wait');
    expect(decide(sent, { ...settled, direction: 'in' }).do).toBe('wait');
  });

  it('sends the same invoice again after failed and not found, and waits on everything else', () => {
    expect(decide(sent, { direction: 'out', state: 'failed' }).do).toBe('send');
    expect(decide(sent, { direction: 'unknown', state: 'not-found' }).do).toBe('send');
    expect(decide(sent, { direction: 'out', state: 'pending' }).do).toBe('wait');
    expect(decide(sent, { direction: 'unknown', state: 'unknown' }).do).toBe('wait');
  });
});

describe('payOut', () => {
  it('pays once; the second run finds the first payment', async () => {
    const { node, records, tools } = setUp();
    const request = await requestFor(node, 'anna', 300_000n);
    const first = await payOut(request, tools);
    expect(first.kind).toBe('paid');
    expect(await payOut(request, tools)).toEqual(first);
    expect(node.balance('anna')).toBe(300_000n);
    expect(records.map(({ type }) => type)).toEqual(['planned', 'bound', 'sending', 'paid']);
  });

  it('pays once when the same payout is asked for twice at the same time', async () => {
    const { node, tools } = setUp();
    const request = await requestFor(node, 'anna', 300_000n);
    await Promise.all([payOut(request, tools), payOut(request, tools)]);
    expect(node.payments).toHaveLength(1);
  });

  it('finds a payment whose answer was lost by looking it up', async () => {
    const { node, tools } = setUp({ pay: ['lost-after'] });
    expect((await payOut(await requestFor(node, 'anna', 300_000n), tools)).kind).toBe('paid');
    expect(node.payments).toHaveLength(1);
  });

  it('sends the same invoice again when the first send never arrived', async () => {
    const { node, tools, records } = setUp({ pay: ['lost-before'] });
    expect((await payOut(await requestFor(node, 'anna', 300_000n), tools)).kind).toBe('paid');
    expect(records.filter(({ type }) => type === 'bound')).toHaveLength(1);
  });

  it('stays unknown while the look-up does, blocks only that payee, and ends as paid later', async () => {
    const faults: FakeFaults = { pay: ['lost-after'], lookup: ['unknown', 'pending', 'unknown', 'unknown'] };
    const { node, tools } = setUp(faults);
    const anna = await requestFor(node, 'anna', 300_000n);
    expect((await payOut(anna, tools)).kind).toBe('unknown');
    const more = await requestFor(node, 'anna', 100_000n, { payoutId: sha256Hex('anna again'), round: 1 });
    expect(await payOut(more, tools)).toMatchObject({ kind: 'rejected', code: 'EARLIER_PAYOUT_OPEN' });
    expect((await payOut(await requestFor(node, 'berta', 300_000n), tools)).kind).toBe('paid');
    expect((await payOut(anna, tools)).kind).toBe('paid');
    expect((await payOut(more, tools)).kind).toBe('paid');
    expect(node.balance('anna')).toBe(400_000n);
  });

  it('frees a payee as soon as the look-up of its earlier payout proves it paid', async () => {
    const { node, tools } = setUp({ pay: ['lost-after'], lookup: ['unknown', 'unknown', 'unknown'] });
    const anna = await requestFor(node, 'anna', 300_000n);
    expect((await payOut(anna, tools)).kind).toBe('unknown');
    const more = await requestFor(node, 'anna', 100_000n, { payoutId: sha256Hex('anna again'), round: 1 });
    expect((await payOut(more, tools)).kind).toBe('paid');
    expect((await payOut(anna, tools)).kind).toBe('paid');
    expect(node.payments).toHaveLength(2);
  });

  it.each(['settled', 'pending'] as const)(
    'with a journal that lost it finds an earlier payment that is %s, under another invoice of the payee',
    async (state) => {
      const { node, tools } = setUp({});
      const first = await requestFor(node, 'anna', 300_000n);
      const { preimage } = (await payOut(first, tools)) as { preimage: string };
      const faults: FakeFaults = state === 'pending' ? { lookup: ['pending', 'pending'] } : {};
      const { tools: other, records } = setUp(faults, {}, 0n, node);
      const second = await requestFor(node, 'anna', 300_000n);
      const outcome = await payOut({ ...second, claimed: [first.invoice, second.invoice] }, other);
      expect(outcome).toMatchObject({ kind: 'paid', preimage });
      expect(records.map(({ type }) => type)).toEqual(['planned', 'bound', 'sending', 'paid']);
      expect(node.payments).toHaveLength(1);
    },
  );

  it('with a journal that lost it sends nothing while one of several invoices may be paid', async () => {
    const { node, tools } = setUp({ lookup: ['unknown'] });
    const [first, second] = [await requestFor(node, 'anna', 300_000n), await requestFor(node, 'anna', 300_000n)];
    const claimed = [first.invoice, second.invoice];
    expect(await payOut({ ...second, claimed }, tools)).toMatchObject({ kind: 'unknown' });
    expect(node.payments).toHaveLength(0);
    expect(await payOut({ ...second, claimed }, tools)).toMatchObject({ kind: 'paid' });
    const many = Array.from({ length: 17 }, (_, i) => `${i}`);
    const berta = await requestFor(node, 'berta', 300_000n);
    expect(await payOut({ ...berta, claimed: many }, tools)).toMatchObject({ kind: 'unknown' });
  });

  it('takes no payment for another claim as proof, whatever the payee claims', async () => {
    const { node, tools } = setUp({});
    const anna = await requestFor(node, 'anna', 300_000n);
    await payOut(anna, tools);
    const descriptionHash = sha256Hex('another claim');
    const made = { msat: 300_000n, descriptionHash, expirySec: 86_400 };
    const { invoice } = await node.wallet('anna').makeInvoice(made);
    const again = { payoutId: sha256Hex('anna again'), round: 1, descriptionHash, invoice };
    const more = await requestFor(node, 'anna', 300_000n, again);
    expect(await payOut({ ...more, claimed: [anna.invoice, more.invoice] }, tools)).toMatchObject({ kind: 'paid' });
    expect(node.payments).toHaveLength(2);
  });

  it('keeps to the first invoice while it may be paid', async () => {
    const { node, tools, records } = setUp({ pay: ['lost-before', 'lost-before', 'lost-before'] });
    const first = await requestFor(node, 'anna', 300_000n);
    expect((await payOut(first, tools)).kind).toBe('unknown');
    const second = await requestFor(node, 'anna', 300_000n);
    expect(second.invoice).not.toBe(first.invoice);
    expect((await payOut(second, tools)).kind).toBe('paid');
    expect(records.filter(({ type }) => type === 'bound')).toHaveLength(1);

    expect(await payOut(second, tools), 'asked again, it names the invoice that was paid').toMatchObject({
      kind: 'paid',
      paymentHash: hashOf(first),
    });
  });

  it('takes a new invoice in the place of an unknown one only with the signed void of the payee', async () => {
    const { node, tools, records } = setUp({ pay: ['lost-before', 'lost-before'] });
    const first = await requestFor(node, 'anna', 300_000n);
    expect((await payOut(first, tools)).kind).toBe('unknown');
    const second = await requestFor(node, 'anna', 300_000n, { voided: new Set([hashOf(first)]) });
    expect(await payOut(second, tools)).toMatchObject({ kind: 'paid', paymentHash: hashOf(second) });
    expect(records.map(({ type }) => type)).toEqual([
      'planned',
      'bound',
      'sending',
      'sending',
      'void',
      'bound',
      'sending',
      'paid',
    ]);
    expect(node.balance('anna')).toBe(300_000n);
  });

  it('believes the preimage more than a void: what was paid is not paid again', async () => {
    const { node, tools } = setUp({ pay: ['lost-after'], lookup: ['unknown', 'unknown', 'unknown'] });
    const first = await requestFor(node, 'anna', 300_000n);
    expect((await payOut(first, tools)).kind).toBe('unknown');
    const second = await requestFor(node, 'anna', 300_000n, { voided: new Set([hashOf(first)]) });
    expect(await payOut(second, tools)).toMatchObject({ kind: 'paid', paymentHash: hashOf(first) });
    expect(node.payments).toHaveLength(1);
  });

  it.each(['pending', 'settled'] as const)('waits, void or not, while the wallet says %s', async (state) => {
    const { node, tools } = setUp({ pay: ['lost-before'], lookup: Array<'pending' | 'settled'>(9).fill(state) });
    const first = await requestFor(node, 'anna', 300_000n);
    expect((await payOut(first, tools)).kind).toBe('unknown');
    const voided = new Set([hashOf(first)]);
    expect((await payOut(await requestFor(node, 'anna', 300_000n, { voided }), tools)).kind).toBe('unknown');
    expect(node.payments).toHaveLength(0);
  });

  it('never binds an invoice again that its payee gave up', async () => {
    const { node, tools } = setUp({ pay: ['lost-before', 'lost-before'] });
    const first = await requestFor(node, 'anna', 300_000n);
    expect((await payOut(first, tools)).kind).toBe('unknown');
    const again = { ...first, voided: new Set([hashOf(first)]) };
    await expect(payOut(again, tools)).rejects.toMatchObject({ code: 'bad-invoice' });
    expect((await payOut(await requestFor(node, 'anna', 300_000n), tools)).kind).toBe('paid');
  });

  it('reports a refusal as rejected, and pays on the next run', async () => {
    const { node, tools } = setUp({ pay: ['rejected'] });
    const request = await requestFor(node, 'anna', 300_000n);
    expect(await payOut(request, tools)).toMatchObject({ kind: 'rejected', code: 'QUOTA_EXCEEDED' });
    expect((await payOut(request, tools)).kind).toBe('paid');
  });

  it('takes no word for a payment without the preimage', async () => {
    const { node, tools, wallet } = setUp({ lookup: ['unknown', 'unknown', 'unknown'] });
    const liar: Wallet = { ...wallet, pay: async () => ({ kind: 'paid', preimage: 'ab'.repeat(32), feesMsat: 0n }) };
    const request = await requestFor(node, 'anna', 300_000n);
    expect(await payOut(request, { ...tools, wallet: liar })).toMatchObject({
      kind: 'unknown',
      why: expect.stringMatching(/preimage/),
    });
  });

  it('refuses a second plan for the same payout, and for the same job and round', async () => {
    const { node, tools } = setUp();
    const request = await requestFor(node, 'anna', 300_000n);
    await payOut(request, tools);
    const planHash = sha256Hex('other plan');
    await expect(payOut({ ...request, planHash }, tools)).rejects.toMatchObject({ code: 'audit-failed' });
    const other = await requestFor(node, 'berta', 300_000n, { planHash });
    await expect(payOut(other, tools)).rejects.toMatchObject({ code: 'audit-failed' });
  });

  it('refuses an invoice that another payout used', async () => {
    const { node, tools } = setUp();
    const request = await requestFor(node, 'anna', 300_000n);
    await payOut(request, tools);
    const copy = { ...request, payoutId: sha256Hex('copy') };
    await expect(payOut(copy, tools)).rejects.toMatchObject({ code: 'bad-invoice' });
  });

  it('passes no cap with payouts side by side', async () => {
    // Each counts 300 sat and a reserve of 10 while open, 300 once paid: three fit 930 sat, whatever the order.
    const { node, tools } = setUp({}, { commandMsat: 930_000n });
    const requests = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => requestFor(node, name, 300_000n)));
    const results = await Promise.allSettled(requests.map((request) => payOut(request, tools)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'over-budget' } });
  });

  it.each<[string, SpendLimits, bigint]>([
    ['a cap', { commandMsat: 1_210_000n }, 10_000_000n],
    ['the balance', {}, 1_210_000n],
  ])(
    'waits for payments in flight, which count with their reserve, before it says that %s is passed',
    async (_, limits, msat) => {
      // Four in flight would be 1,240 sat with their reserves; the last one finds three that cost 900.
      const { node, tools } = setUp({}, limits, msat);
      const requests = await Promise.all(['a', 'b', 'c', 'd'].map((name) => requestFor(node, name, 300_000n)));
      const outcomes = await Promise.all(requests.map((request) => payOut(request, tools)));
      expect(outcomes.map(({ kind }) => kind)).toEqual(['paid', 'paid', 'paid', 'paid']);
      const more = await requestFor(node, 'e', 300_000n);
      await expect(payOut(more, tools)).rejects.toMatchObject({ code: 'over-budget' });
    },
  );

  it('goes by what the journal keeps: a record that could not be written counts for nothing', async () => {
    const { node, tools, records } = setUp();
    const full = new Error('disk-full');
    const inner = memoryJournal(records);
    let isFull = true;
    const append = async (record: PayoutRecord) => {
      if (isFull && record.type === 'sending') throw full;
      await inner.append(record);
    };
    const book = payoutBook({ ...inner, append });
    const request = await requestFor(node, 'anna', 300_000n);
    await expect(payOut(request, { ...tools, book })).rejects.toBe(full);
    expect((await book.payouts()).get(request.payoutId)).toMatchObject({ openSends: 0 });
    expect(book.inFlight.ids().size).toBe(0);
    isFull = false;
    expect((await payOut(request, { ...tools, book })).kind).toBe('paid');
    expect(await book.payouts()).toEqual(foldPayouts(records));
  });
});

describe('spend guard', () => {
  const plannedLongAgo: Payout = {
    ...{ payoutId: sha256Hex('old'), planHash: sha256Hex('plan'), job: 'job', round: 0, voided: [] },
    ...{ payee: sha256Hex('a') as string as Pubkey, amountMsat: 300_000n, openSends: 0, sentSec: nowSec - 200_000 },
  };

  it.each<[string, SpendLimits, Partial<PayoutRequest>, bigint]>([
    ['--max-sats', { commandMsat: 309_999n }, {}, 1_000_000n],
    ['the cap per day', { dayMsat: 309_999n }, {}, 1_000_000n],
    ['the cap per payment', { paymentMsat: 309_999n }, {}, 1_000_000n],
    ["the job's budget", {}, { jobBudgetMsat: 299_999n }, 1_000_000n],
    ["the wallet's balance", {}, {}, 309_999n],
  ])('refuses 300 sat and a reserve of 10 when %s is a millisatoshi short', async (cap, limits, changes, msat) => {
    const { node, tools, records } = setUp({}, limits, msat);
    const request = await requestFor(node, 'anna', 300_000n, changes);
    await expect(payOut(request, tools)).rejects.toMatchObject({
      code: 'over-budget',
      message: expect.stringContaining(cap),
    });
    expect(records).toEqual([]);
  });

  it('says before the first of several payments what all of them would pass, with a reserve for each', () => {
    const payments = [300_000n, 2_000_000n].map((amountMsat, i) => ({ payoutId: sha256Hex(`p${i}`), amountMsat }));
    const limits = { commandMsat: 2_330_000n, dayMsat: 2_329_999n, paymentMsat: 2_019_999n };
    const terms = { job: 'job', jobBudgetMsat: 2_300_000n, nowSec, inFlight: new Set<Sha256>() };
    const budget = { usedMsat: 1n, totalMsat: 2_330_000n };
    const known = { ...plannedLongAgo, job: 'job', paid: { preimage: '', feesMsat: 0n } };
    const check = (balanceMsat: bigint | null, payouts: Payout[] = []) =>
      createSpendGuard(limits)
        .check(payments, { ...terms, balanceMsat, budget }, new Map(payouts.map((one) => [one.payoutId, one])))
        .map(({ cap, spentMsat, wantedMsat, isMet }) => [cap, spentMsat, wantedMsat, isMet]);
    expect(check(2_330_000n)).toEqual([
      ['the cap per payment', 0n, 2_020_000n, false],
      ["the job's budget", 0n, 2_300_000n, true],
      ['--max-sats', 0n, 2_330_000n, true],
      ['the cap per day', 0n, 2_330_000n, false],
      ['the budget of the wallet’s connection', 1n, 2_330_000n, false],
      ["the wallet's balance", 0n, 2_330_000n, true],
    ]);
    expect(check(null, [known]).map(([cap, spent]) => [cap, spent])).toContainEqual(["the job's budget", 300_000n]);
    expect(check(null).map(([cap]) => cap)).not.toContain("the wallet's balance");
  });

  it('counts an unknown payment in full against the day', async () => {
    const { node, tools } = setUp(
      { pay: ['lost-after'], lookup: ['unknown', 'unknown', 'unknown'] },
      { dayMsat: 419_999n },
    );
    expect((await payOut(await requestFor(node, 'anna', 300_000n), tools)).kind).toBe('unknown');
    // 300 + 10 sat are open, 100 + 10 are wanted.
    const berta = payOut(await requestFor(node, 'berta', 100_000n), tools);
    await expect(berta).rejects.toMatchObject({ code: 'over-budget', got: expect.stringContaining('420000') });
  });

  it('counts an unknown payment against the day however long ago it was sent: it may still move', () => {
    const open = { ...plannedLongAgo, openSends: 1 };
    const guard = createSpendGuard({ dayMsat: 409_999n });
    const wanted = { payoutId: sha256Hex('new'), job: 'other', amountMsat: 90_000n, jobBudgetMsat: 100_000n };
    const ask = (payout: Payout) => () =>
      guard.allow({ ...wanted, nowSec, balanceMsat: null, inFlight: new Set() }, new Map([[payout.payoutId, payout]]));
    expect(ask(open)).toThrowError(expect.objectContaining({ code: 'over-budget' }));
    expect(ask({ ...open, openSends: 0, paid: { preimage: '', feesMsat: 0n } })).not.toThrow();
  });

  it('forgets a payment after 24 hours, over restarts', () => {
    const sent = {
      planHash: sha256Hex('plan'),
      job: 'job',
      round: 0,
      payee: sha256Hex('a') as string as Pubkey,
      openSends: 0,
      voided: [],
    };
    const paid = { ...sent, amountMsat: 300_000n, sentSec: nowSec, paid: { preimage: '', feesMsat: 5n } };
    const payouts = new Map([[sha256Hex('old'), { ...paid, payoutId: sha256Hex('old') }]]);
    const wanted = {
      payoutId: sha256Hex('new'),
      job: 'other',
      amountMsat: 100_000n,
      jobBudgetMsat: 100_000n,
      balanceMsat: null,
      inFlight: new Set<Sha256>(),
    };
    const allowAt = (atSec: number) => () =>
      createSpendGuard({ dayMsat: 410_004n }).allow({ ...wanted, nowSec: atSec }, payouts);
    expect(allowAt(nowSec + 86_399)).toThrowError(expect.objectContaining({ code: 'over-budget' }));
    expect(allowAt(nowSec + 86_400)).not.toThrow();
  });

  it('reserves 1 %, at least 10 sat', () => {
    expect([300_000n, 1_000_000n, 1_000_001n, 200_000_000n].map(feeReserveMsat)).toEqual([
      10_000n,
      10_000n,
      10_001n,
      2_000_000n,
    ]);
  });
});
