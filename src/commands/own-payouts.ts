import { isNmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { Journal } from '../ports.js';
import { decodeInvoice } from '../wallet/bolt11.js';
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

/** As `ownPayouts`; of a journal that does not read nothing: who pays is told. */
export async function knownPayouts(context: Pick<Context, 'deps'>): Promise<Payouts> {
  return ownPayouts(context).catch((error: unknown): Payouts => {
    if (isNmktError(error, 'bad-journal')) return new Map();
    throw error;
  });
}

export interface Locked {
  readonly lockedMsat: bigint;
  /** Unix seconds, about: by then the payee's node has taken each or given it back, at ten minutes a block. Null: none is on its way. */
  readonly lockedUntil: number | null;
}

const BLOCK_SEC = 600;

/** Payments of one job whose outcome is not known: a hold invoice keeps them where they are. */
export function lockedIn(payouts: Payouts, job: EventId): Locked {
  const open = [...payouts.values()].filter((payout) => payout.job === job && payout.openSends > 0);
  const ends = open.map(({ bound, sentSec }) => sentSec! + decodeInvoice(bound!.invoice).minFinalCltv * BLOCK_SEC);
  return {
    lockedMsat: open.reduce((sum, { amountMsat }) => sum + amountMsat, 0n),
    lockedUntil: open.length === 0 ? null : Math.max(...ends),
  };
}
