import { expect, it } from 'vitest';
import { sha256, sha256Hex, u32be, type Pubkey } from '../../src/hash.js';
import { prng } from '../../src/learning/prng.js';
import type { LedgerRecord } from '../../src/wallet/ledger.js';
import { payoutBook } from '../../src/wallet/payout-book.js';
import { payOut, type PayoutRequest } from '../../src/wallet/payout-journal.js';
import { foldPayouts, type PayoutRecord } from '../../src/wallet/payout-records.js';
import type { WalletFault } from '../../src/wallet/service.js';
import { createSpendGuard } from '../../src/wallet/spend-guard.js';
import { memoryJournal } from '../support/memory-journal.js';
import { hastyClock, hurried, TIMEOUT_MS } from './hasty.js';
import { stageForTest } from './samples.js';

/**
 * Payees paid side by side through the real SDK, over a real relay, by the service of the sandbox under drawn faults of every sort it has.
 * Each seed is one life; NMKT_HISTORIES=10000 runs ten.
 */

const LIVES = Math.ceil(Number(process.env['NMKT_HISTORIES'] ?? 1000) / 1000);
const PAYEES = ['anna', 'berta', 'clara', 'dora'];
const START_MSAT = 1_000_000n;
const TRIES = 12;
/** Then the wallet is honest, or nothing would ever end. */
const MAX_FAULTS = 10;

const state = (name: Extract<WalletFault, { kind: 'lying-lookup' }>['state']): WalletFault => ({
  ...{ kind: 'lying-lookup', state: name },
});
const FAULTS: readonly WalletFault[] = [
  ...([{ kind: 'drop-reply' }, { kind: 'delay', ms: 2 * TIMEOUT_MS }, { kind: 'delay', ms: TIMEOUT_MS / 2 }] as const),
  ...([{ kind: 'duplicate' }, { kind: 'crash-before-reply' }, { kind: 'wrong-preimage' }] as const),
  ...(['QUOTA_EXCEEDED', 'PAYMENT_FAILED', 'INTERNAL'] as const).map((code) => ({ kind: 'error', code }) as const),
  ...(['failed', 'pending', 'expired', 'not-found', 'settled-unproven'] as const).map(state),
];

it.each(Array.from({ length: LIVES }, (_, seed) => seed))(
  'life %i: everybody is paid once, to the msat',
  async (seed) => {
    const random = prng(sha256('payout faults', u32be(seed)), 'faults');
    let left = MAX_FAULTS;
    let isDead = false;
    const options = {
      faultFor(method: string): WalletFault | undefined {
        const isOne = method === 'pay_invoice' || method === 'lookup_invoice';
        if (!isOne || left === 0 || random.below(3) === 0) return undefined;
        const fault = FAULTS[random.below(FAULTS.length)]!;
        left--;
        isDead ||= fault.kind === 'crash-before-reply';
        return fault;
      },
    };
    const books: LedgerRecord[] = [];
    const stage = await stageForTest(options, books);
    await stage.ledger.fundOnce('customer', START_MSAT);
    const trainer = await stage.wallet('trainer');
    const requests: PayoutRequest[] = [];
    for (const [index, name] of PAYEES.entries()) {
      const [amountMsat, descriptionHash] = [21_000n + BigInt(index), sha256Hex('claim', name)];
      const { invoice } = await trainer.makeInvoice({ msat: amountMsat, descriptionHash, expirySec: 86_400 });
      requests.push({
        ...{ payoutId: sha256Hex('payout', name), planHash: sha256Hex('plan'), job: 'job', round: 0, invoice },
        ...{ payee: sha256Hex(name) as string as Pubkey, amountMsat, descriptionHash, claimed: [invoice] },
        ...{ jobBudgetMsat: START_MSAT, voided: new Set<string>() },
      });
    }
    const records: PayoutRecord[] = [];
    const isPaid = () => [...foldPayouts(records).values()].filter(({ paid }) => paid !== undefined).length;

    for (let attempt = 0; attempt < TRIES && isPaid() < PAYEES.length; attempt++) {
      if (isDead) await stage.startService(options);
      isDead = false;
      const wallet = await stage.wallet('customer', { replyTimeoutMs: TIMEOUT_MS, backoffMs: [20] });
      const tools = { wallet: hurried(wallet), network: 'sandbox' as const, clock: hastyClock };
      const shared = { book: payoutBook(memoryJournal(records)), guard: createSpendGuard({}) };
      const outcomes = await Promise.all(
        requests.map((request) => payOut(request, { ...tools, ...shared }).catch((error: { code?: string }) => error)),
      );
      for (const outcome of outcomes)
        if ('code' in outcome && !('kind' in outcome)) expect(outcome.code).toBe('wallet-unreachable');
        else if ('kind' in outcome && outcome.kind !== 'paid')
          expect(outcome.next).toMatch(/looked up first|nothing was paid/);
      const moved = books.flatMap((record) => (record.type === 'payment' ? record.paymentHash : []));
      expect(new Set(moved).size, 'each at most once').toBe(moved.length);
      expect(stage.ledger.totalMsat()).toBe(START_MSAT);
      await wallet.close();
    }

    const due = requests.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
    expect(isPaid()).toBe(PAYEES.length);
    expect(stage.ledger.balanceMsat('trainer')).toBe(due);
    expect(stage.ledger.balanceMsat('customer')).toBe(START_MSAT - due);
  },
  120_000,
);
