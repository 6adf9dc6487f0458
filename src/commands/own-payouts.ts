import type { Journal } from '../ports.js';
import { foldPayouts, type PayoutRecord, type Payouts } from '../wallet/payout-records.js';
import type { Context } from './command.js';

/** The journal of what this home pays: the caller closes it, or the end of the command does. */
export function payoutJournal({ deps }: Pick<Context, 'deps'>): Promise<Journal<PayoutRecord>> {
  return deps.openJournal<PayoutRecord>(deps.home().path('payouts.jsonl'));
}

/** For who only reads. @throws NmktError `bad-journal` */
export async function ownPayouts(context: Pick<Context, 'deps'>): Promise<Payouts> {
  const journal = await payoutJournal(context);
  try {
    return foldPayouts(await journal.read());
  } finally {
    await journal.close();
  }
}
