import type { EventId } from '../hash.js';
import type { Wallet } from '../ports.js';
import { table } from '../terminal/table.js';
import { decide, unknownPayouts, type Payout } from '../wallet/payout-records.js';
import { feeReserveMsat } from '../wallet/spend-guard.js';
import type { Context, Outcome } from './command.js';
import { checkTable } from './doctor-table.js';
import { payingWallet } from './lead.js';
import { short } from './money-events.js';
import { ownPayouts } from './own-payouts.js';
import { checksOf } from './payment-plan.js';
import { limitsOf } from './spending.js';
import { sats } from './status-tables.js';

/** What `nmkt pay --resume` would do now, by a look-up of each: nothing is sent or written. @throws NmktError `no-wallet`, `bad-journal` */
export async function planResume(
  context: Context,
  job: EventId | undefined,
  options: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  const limits = limitsOf(context, options);
  const wallet = await payingWallet(context);
  const open = unknownPayouts(await ownPayouts(context)).filter((one) => job === undefined || one.job === job);
  const payouts = [];
  for (const payout of open) payouts.push(await planned(payout, wallet));
  const again = payouts.filter(({ next }) => next === 'send');
  const payments = again.map(({ payout, amountMsat }) => ({ payoutId: payout, amountMsat }));
  const checks = open.length === 0 ? [] : await checksOf(context, null, payments, limits);
  context.progress.done('nothing is sent or written: --dry-run');
  const rows = payouts.map(({ payout, payee, amountMsat, next, why }) => [
    ...[short(payout), short(payee), sats(amountMsat), next, why],
  ]);
  return {
    value: { payouts, checks },
    text: open.length === 0 ? 'no payment is open' : `${table(rows)}\n\n${checkTable(checks)}`,
  };
}

/** `next`: `paid`, by the preimage; `send`, the same invoice again; or `wait`. */
async function planned(payout: Payout, wallet: Wallet) {
  const { payoutId, job, round, payee, amountMsat, bound } = payout;
  const { paymentHash } = bound!;
  const lookup = await wallet.lookup(paymentHash);
  const step = decide(payout, lookup);
  const next =
    step.do === 'record-paid' ? ('paid' as const) : step.do === 'send' ? ('send' as const) : ('wait' as const);
  return {
    ...{
      payout: payoutId,
      job,
      round,
      payee,
      amountMsat,
      feeReserveMsat: feeReserveMsat(amountMsat),
      paymentHash,
      next,
    },
    why: step.do === 'wait' ? step.why : `the look-up says ${lookup.state}`,
  };
}
