import { NmktError } from '../errors.js';
import type { Sha256 } from '../hash.js';
import type { AnyPayout, JobState } from '../market/state.js';
import type { Payer } from '../roles/customer-env.js';
import { unpaidPayouts } from '../roles/customer-decide.js';
import type { Hold } from '../roles/customer-money.js';
import type { Outcome } from './command.js';

/** How the last attempt to pay each payout went, for those that are not paid. */
export type Holds = ReadonlyMap<Sha256, Hold>;

export function rememberHolds(payer: Payer, holds: Map<Sha256, Hold>): Payer {
  return {
    ...payer,
    async pay(request) {
      const result = await payer.pay(request);
      if (result.kind === 'held') holds.set(request.payout.payout, result);
      else holds.delete(request.payout.payout);
      return result;
    },
  };
}

/**
 * A job may end with payments that the wallet refused, or whose outcome nobody knows: said with the payee, the amount and what
 * happens next. What was not claimed, or not with a payable invoice, waits for its trainer and is no failure of a payment.
 *
 * @param outcome  printed all the same
 * @throws NmktError `payment-unknown`, else `payment-failed`
 */
export function requirePayments(state: JobState, holds: Holds, outcome: Outcome): void {
  requirePayouts(unpaidPayouts(state), holds, outcome);
}

/** As `requirePayments`, of a job of any kind. @param left  payouts without a receipt */
export function requirePayouts(left: readonly AnyPayout[], holds: Holds, outcome: Outcome): void {
  const causedBy = (...causes: Hold['cause'][]) =>
    left.filter(({ payout }) => causes.some((cause) => holds.get(payout)?.cause === cause));
  const unknown = causedBy('unknown');
  if (unknown.length > 0)
    throw new NmktError('payment-unknown', `${counted(unknown)} sent, and the outcome is not known yet`, {
      expected: 'the preimage of each invoice, from the wallet',
      got: spell(unknown, holds),
      remedy: 'run the same command again: each is looked up first, and paid by its own invoice or not at all',
      value: outcome,
    });
  const failed = causedBy('refused', 'unreachable');
  if (failed.length > 0)
    throw new NmktError('payment-failed', `${counted(failed)} not made: the wallet refused or did not answer`, {
      expected: 'a wallet that pays',
      got: spell(failed, holds),
      remedy: 'put the wallet right (nmkt doctor), then run the same command again',
      value: outcome,
    });
}

function counted({ length }: readonly unknown[]): string {
  return length === 1 ? '1 payment was' : `${length} payments were`;
}

function spell(payouts: readonly AnyPayout[], holds: Holds): string {
  return payouts
    .map(({ payout, payee, amountMsat }) => {
      const { why } = holds.get(payout)!;
      return `${Number(amountMsat) / 1000} sat to ${payee.slice(0, 12)}…: ${why}`;
    })
    .join('; ');
}
