import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { AnyPayout, JobState, Owed, RoundState } from '../market/state.js';
import { PATIENCE_SEC } from './patience.js';

/** What everybody decides alike who works in a job of others: about its money, about silence, about what seems lost. Pure. */

/** What a payee does about settlements, whatever it is paid for. */
export type MoneyAction =
  | { readonly do: 'claim'; readonly round: Owed; readonly payout: AnyPayout }
  /** Its invoice can be paid no more: given up, so that another may be sent. */
  | { readonly do: 'void-claim'; readonly round: Owed; readonly payout: AnyPayout }
  /** Its invoice may hold a payment: taken by hand on this rail. */
  | { readonly do: 'collect'; readonly round: Owed; readonly payout: AnyPayout }
  | { readonly do: 'countersign'; readonly round: Owed; readonly payout: AnyPayout }
  | { readonly do: 'mark-unpaid'; readonly round: Owed; readonly payout: AnyPayout }
  | { readonly do: 'wait'; readonly for: string; readonly until: number };

/** What only this process knows, of any payee. */
export interface PayeeFacts {
  readonly me: Pubkey;
  /** Payouts whose receipt was checked and found wanting, or whose invoice could not be made: looked at again later. */
  readonly held: ReadonlySet<Sha256>;
  /** Is a payment taken by hand? Absent: its wallet does. */
  readonly collects?: boolean;
}

/** Claims of one payout that a customer may refuse before this trainer sends no more by itself. */
const MAX_REFUSALS = 3;

/** A day: how long an invoice can be paid. */
export const INVOICE_EXPIRY_SEC = 86_400;
/** A payment that came at the last second has settled, or failed, by then. */
const SETTLE_SEC = 3_600;

/** A job of any kind, as its payees look at it. */
export interface Owing {
  readonly job: { readonly content: { readonly payWithinSec: number; readonly claimWithinSec: number } } | null;
  readonly rounds: readonly Owed[];
}

/** Claims what settlements promise, countersigns what came, marks what did not. */
export function decideMoney({ rounds, job }: Owing, facts: PayeeFacts, now: number): MoneyAction | null {
  const terms = job!.content;
  let waiting: MoneyAction | null = null;
  for (const round of rounds)
    for (const payout of round.payouts) {
      if (payout.payee !== facts.me || payout.received !== null) continue;
      if (facts.held.has(payout.payout)) {
        const { createdAt } = payout.receipt ?? payout.claim ?? payout.settlement;
        const until = createdAt + terms.payWithinSec;
        if (now < until) waiting = { do: 'wait', for: `the wallet, for round ${round.round + 1}`, until };
        continue;
      }
      if (payout.receipt !== null) return { do: 'countersign', round, payout };
      if (payout.claim === null) {
        // A wallet whose invoices are refused makes no better ones by itself.
        const isWorthIt = payout.refused.length < MAX_REFUSALS;
        if (isWorthIt && now < payout.settlement.createdAt + terms.claimWithinSec)
          return { do: 'claim', round, payout };
        continue;
      }
      if (
        facts.collects !== true &&
        now >= payout.claim.createdAt + INVOICE_EXPIRY_SEC + SETTLE_SEC &&
        now < payout.settlement.createdAt + terms.claimWithinSec
      )
        return { do: 'void-claim', round, payout };
      const due = payout.claim.createdAt + terms.payWithinSec;
      if (now >= due && payout.unpaid === null) return { do: 'mark-unpaid', round, payout };
      if (facts.collects === true) return { do: 'collect', round, payout };
      // A second claim, after the first was marked, gets its time like the first.
      if (now < due) waiting = { do: 'wait', for: `payment for round ${round.round + 1}`, until: due };
    }
  return waiting;
}

/** When a customer that should be busy counts as gone. A round's time bounds what it may compute, too. */
export function silentAt(state: JobState, { heardAt }: { readonly heardAt: number }): number {
  const { roundTimeoutSec, readyTimeoutSec } = state.job!.content;
  return heardAt + 2 * Math.max(roundTimeoutSec, readyTimeoutSec) + PATIENCE_SEC;
}

/** A silent customer strands nobody: after `until` the trainer stops. Who hears no relay cannot say that the customer is silent. */
export function lapse(
  { deafAt }: { readonly deafAt: number },
  now: number,
  due: number,
  what: string,
):
  | { readonly do: 'stop'; readonly why: string }
  | { readonly do: 'wait'; readonly for: string; readonly until: number } {
  const until = Math.max(due, deafAt + PATIENCE_SEC);
  return now >= until ? { do: 'stop', why: `${what} did not come in time` } : { do: 'wait', for: what, until };
}

const OVERLOOKED_SEC = 120;

/** After half the phase, at most two minutes, and then ever more rarely: the customer's process may be away. */
export function isOverlooked(
  round: Pick<RoundState, 'seen'>,
  { id, createdAt }: { readonly id: EventId; readonly createdAt: number },
  phaseSec: number,
  { republished }: { readonly republished: (event: EventId) => number },
  now: number,
): boolean {
  const waitSec = Math.max(1, Math.min(OVERLOOKED_SEC, Math.floor(phaseSec / 2)));
  return !round.seen.has(id) && now >= createdAt + waitSec * 2 ** Math.min(republished(id), 20);
}
