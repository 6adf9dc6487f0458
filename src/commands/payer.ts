import { isNmktError } from '../errors.js';
import type { Clock, Journal, Network, Stake, Wallet } from '../ports.js';
import type { Payer } from '../roles/customer-env.js';
import { decodeReceiptInvoice } from './find-job.js';
import { payFromPot } from './pot-payer.js';
import { payOut } from '../wallet/payout-journal.js';
import { payoutBook } from '../wallet/payout-book.js';
import type { PayoutRecord } from '../wallet/payout-records.js';
import { createSpendGuard, type SpendLimits } from '../wallet/spend-guard.js';

/** A wallet that was not asked, in the codes of a payment: it may be back soon, unlike one that says no. */
const UNREACHED = new Set(['UNREACHABLE', 'WALLET_UNREACHABLE']);

/** Pays through the payout journal of the home; what is the payee's fault or not certain is held, never repeated blindly. */
export function createPayer(tools: {
  readonly wallet: Wallet;
  readonly journal: Journal<PayoutRecord>;
  readonly clock: Clock;
  readonly network: Network;
  /** Absent: none but the job's budget and the balance. */
  readonly limits?: SpendLimits;
  readonly jobBudgetMsat: bigint;
  /** Keeps the pot of the job; absent: there is none. */
  readonly stake?: () => Promise<Stake | null>;
}): Payer {
  const { wallet, clock, network, limits = {}, jobBudgetMsat } = tools;
  const book = payoutBook(tools.journal);
  const guard = createSpendGuard(limits);
  return {
    async check(job, payouts) {
      const known = await book.payouts();
      const left = payouts.map(({ payout, amountMsat }) => ({ payoutId: payout, amountMsat }));
      const [balanceMsat, budget] = [await toldBy(() => wallet.balanceMsat()), await toldBy(() => wallet.budget())];
      return guard.check(
        left.filter(({ payoutId }) => known.get(payoutId)?.paid === undefined),
        { job, jobBudgetMsat, nowSec: clock.nowSec(), balanceMsat, budget, inFlight: book.inFlight.ids() },
        known,
      );
    },
    async pay(request) {
      const { job, round, payout, invoice, claimed, descriptionHash, planHash, paymentHash, pot } = request;
      if (pot !== undefined) return payFromPot({ ...request, pot }, network, tools.stake);
      try {
        const outcome = await payOut(
          {
            payoutId: payout.payout,
            planHash,
            job,
            round: round.round,
            payee: payout.payee,
            amountMsat: payout.amountMsat,
            jobBudgetMsat,
            invoice,
            claimed,
            descriptionHash,
            ...(paymentHash !== undefined && { paymentHash }),
            voided: payout.voided,
          },
          { wallet, network, book, guard, clock },
        );
        if (outcome.kind === 'unknown')
          return {
            ...{ kind: 'held', why: `${outcome.why}; ${outcome.next}`, cause: 'unknown' },
            isInFlight: outcome.isInFlight,
          };
        if (outcome.kind === 'rejected')
          return {
            kind: 'held',
            why: `${outcome.code}: ${outcome.message}; ${outcome.next}`,
            cause: UNREACHED.has(outcome.code) ? 'unreachable' : 'refused',
          };
        const bound = (await book.payouts()).get(payout.payout)!.bound!;
        return { ...outcome, invoice: bound.invoice };
      } catch (error) {
        // The payee sent something else than it should; it may send another claim.
        if (isNmktError(error, 'bad-invoice') || isNmktError(error, 'network-mismatch'))
          return {
            kind: 'held',
            why: `${error.message}: expected ${error.expected ?? ''}, got ${error.got ?? ''}`,
            cause: 'invoice',
            decoded: decodeReceiptInvoice(invoice),
          };
        if (isNmktError(error, 'wallet-unreachable')) return { kind: 'held', why: error.message, cause: 'unreachable' };
        throw error;
      }
    },
  };
}

/** null: the connection does not allow it, or nobody answers now. */
async function toldBy<T>(question: () => Promise<T>): Promise<T | null> {
  try {
    return await question();
  } catch (error) {
    if (isNmktError(error, 'bad-settings') || isNmktError(error, 'wallet-unreachable')) return null;
    throw error;
  }
}
