import { expect, it } from 'vitest';
import { sha256Hex, type Pubkey } from '../../src/hash.js';
import type { LedgerRecord } from '../../src/wallet/ledger.js';
import { payoutBook } from '../../src/wallet/payout-book.js';
import { payOut, type PayoutOutcome } from '../../src/wallet/payout-journal.js';
import { foldPayouts, type PayoutRecord } from '../../src/wallet/payout-records.js';
import type { WalletFault } from '../../src/wallet/service.js';
import { createSpendGuard } from '../../src/wallet/spend-guard.js';
import { memoryJournal } from '../support/memory-journal.js';
import { hastyClock, hurried, TIMEOUT_MS } from './hasty.js';
import { stageForTest } from './samples.js';

/** The payout journal through the real SDK, over a real relay, against a wallet service that misbehaves. */

const AMOUNT_MSAT = 21_007n;
const TRIES = 8;

type Plan = { readonly pay: WalletFault[]; readonly lookup: WalletFault[] };
const look = (state: Extract<WalletFault, { kind: 'lying-lookup' }>['state']): WalletFault => ({
  kind: 'lying-lookup',
  state,
});
const DROP: WalletFault = { kind: 'drop-reply' };
const DIE: WalletFault = { kind: 'crash-before-reply' };
const error = (code: string): WalletFault => ({ kind: 'error', code });

/** By what the wallet does; each answer not named is honest. */
const plans: [string, Plan][] = [
  ['drops its reply', { pay: [DROP], lookup: [] }],
  ['drops its reply, and that of the look-up', { pay: [DROP], lookup: [DROP, DROP] }],
  ['delays its reply beyond patience', { pay: [{ kind: 'delay', ms: TIMEOUT_MS * 2 }], lookup: [] }],
  ['delays its reply to a look-up, too', { pay: [DROP], lookup: [{ kind: 'delay', ms: TIMEOUT_MS * 2 }] }],
  ['says everything twice', { pay: [{ kind: 'duplicate' }], lookup: [] }],
  ['drops its reply, and answers the look-up twice', { pay: [DROP], lookup: [{ kind: 'duplicate' }] }],
  ['dies before it replies', { pay: [DIE], lookup: [] }],
  ['dies before it replies, also to the look-up', { pay: [DIE], lookup: [DIE] }],
  ['returns a wrong preimage', { pay: [{ kind: 'wrong-preimage' }], lookup: [{ kind: 'wrong-preimage' }] }],
  ['says failed after it has paid', { pay: [DROP], lookup: [look('failed')] }],
  ['does not know what it has paid', { pay: [DROP], lookup: [look('not-found')] }],
  ['says expired of what it has paid', { pay: [DROP], lookup: [look('expired'), look('pending')] }],
  ['says settled and proves nothing', { pay: [DROP], lookup: [look('settled-unproven'), look('settled-unproven')] }],
  ['has no quota, then dies', { pay: [error('QUOTA_EXCEEDED'), DIE], lookup: [look('not-found')] }],
  [
    'says PAYMENT_FAILED, INTERNAL, then drops',
    { pay: [error('PAYMENT_FAILED'), error('INTERNAL'), DROP], lookup: [] },
  ],
];

it.each(plans)('a wallet that %s: paid once, every doubt is told with what happens next', async (_, plan) => {
  const faults = { pay_invoice: [...plan.pay], lookup_invoice: [...plan.lookup] };
  let isDead = false;
  const options = {
    faultFor: (method: string) => {
      const fault = method in faults ? faults[method as keyof typeof faults].shift() : undefined;
      isDead ||= fault?.kind === 'crash-before-reply';
      return fault;
    },
  };
  const books: LedgerRecord[] = [];
  const stage = await stageForTest(options, books);
  await stage.ledger.fundOnce('customer', 1_000_000n);
  const descriptionHash = sha256Hex('claim');
  const trainer = await stage.wallet('trainer');
  const { invoice, paymentHash } = await trainer.makeInvoice({ msat: AMOUNT_MSAT, descriptionHash, expirySec: 86_400 });
  const records: PayoutRecord[] = [];
  const outcomes: PayoutOutcome[] = [];

  for (let attempt = 0; attempt < TRIES && outcomes.at(-1)?.kind !== 'paid'; attempt++) {
    if (isDead) await stage.startService(options);
    isDead = false;
    // As a new process would: a new connection, and the journal from the disk.
    const wallet = await stage.wallet('customer', { replyTimeoutMs: TIMEOUT_MS, backoffMs: [20] });
    const outcome = await payOut(
      {
        ...{ payoutId: sha256Hex('payout'), planHash: sha256Hex('plan'), job: 'job', round: 0, invoice },
        ...{ payee: sha256Hex('trainer') as string as Pubkey, amountMsat: AMOUNT_MSAT, descriptionHash },
        ...{ jobBudgetMsat: 1_000_000n, voided: new Set<string>() },
      },
      {
        wallet: hurried(wallet),
        ...{
          network: 'sandbox',
          book: payoutBook(memoryJournal(records)),
          guard: createSpendGuard({}),
          clock: hastyClock,
        },
      },
    );
    outcomes.push(outcome);
    const moved = books.filter((record) => record.type === 'payment').length;
    expect(moved, `after ${outcomes.map(({ kind }) => kind).join(', ')}`).toBeLessThanOrEqual(1);
    await wallet.close();
  }

  for (const outcome of outcomes.slice(0, -1)) {
    if (outcome.kind === 'paid') throw new Error('paid, and asked again');
    expect(outcome.next).toMatch(/looked up first|nothing was paid/);
  }
  expect(outcomes.at(-1)).toMatchObject({ kind: 'paid', paymentHash });
  const paid = [...foldPayouts(records).values()][0]!.paid!;
  expect(sha256Hex(Buffer.from(paid.preimage, 'hex'))).toBe(paymentHash);
  expect(await trainer.balanceMsat()).toBe(AMOUNT_MSAT);
  expect(stage.ledger.balanceMsat('customer')).toBe(1_000_000n - AMOUNT_MSAT);
  expect(faults, 'every fault was met').toEqual({ pay_invoice: [], lookup_invoice: [] });
});
