import { SALE_CLTV } from '../market/sale-rules.js';
import type { Owed } from '../market/state.js';
import type { LeadFacts } from './lead-loop.js';

/** What a customer does about what it settled, whatever kind of job it leads. Pure. */

/** A payee that does not claim holds up the next round for this long only; it can claim for `claimWithin` all the same. */
const CLAIM_GRACE_SEC = 30;

/** So long the end of a job waits for the countersignature of a receipt; a trainer that is gone costs no more. */
const COUNTERSIGN_SEC = 5;

export interface Payment<R extends Owed> {
  readonly do: 'pay';
  readonly round: R;
  readonly payout: R['payouts'][number];
}
interface Wait {
  readonly do: 'wait';
  readonly for: string;
  readonly until: number;
}

/** The first claim that can be paid now. */
export function payable<R extends Owed>(
  rounds: readonly R[],
  { heldPayouts }: Pick<LeadFacts, 'heldPayouts'>,
): Payment<R> | null {
  for (const round of rounds)
    for (const payout of round.payouts)
      if (payout.receipt === null && payout.claim !== null && !heldPayouts.has(payout.payout))
        return { do: 'pay', round, payout };
  return null;
}

/**
 * Rail `key-sale`: pays what is claimed and waits for the rest, each for as long as the job promises; nobody waits for who claims nothing. A
 * payment on its way may still bring its key: the sale does not end before its outcome is known.
 */
export function decideSale<R extends Owed>(
  {
    job,
  }: {
    readonly job: { readonly content: { readonly payWithinSec: number; readonly revealTimeoutSec: number } } | null;
  },
  round: R,
  facts: Pick<LeadFacts, 'heldPayouts' | 'relaysSilentAt'> & Partial<Pick<LeadFacts, 'paymentsInFlight'>>,
  now: number,
): Payment<R> | Wait | null {
  const payment = payable([round], facts);
  if (payment !== null) return payment;
  const { payWithinSec, revealTimeoutSec } = job!.content;
  const open = round.payouts.filter(({ receipt, purpose }) => receipt === null && purpose === 'trainer');
  const sent = open.filter(({ payout }) => facts.paymentsInFlight?.has(payout) === true);
  const until = Math.max(
    0,
    ...open.map(({ claim, settlement, payout }) => {
      if (claim === null) return Math.max(settlement.createdAt, facts.relaysSilentAt) + revealTimeoutSec;
      return claim.createdAt + payWithinSec + (facts.paymentsInFlight?.has(payout) === true ? IN_FLIGHT_SEC : 0);
    }),
  );
  if (now >= until) return null;
  const what =
    sent.length > 0 ? `${sent.length} payments on their way to give their keys` : `${open.length} keys to be sold`;
  return { do: 'wait', for: what, until };
}

/** By then the payee's node has taken it or given it back: ten minutes a block, and some for slow ones. */
const IN_FLIGHT_SEC = 2 * SALE_CLTV * 600;

/** The last payees get a moment to countersign, so that what is collected holds their word too. */
export function decideCountersignatures(rounds: readonly Owed[], now: number): Wait | null {
  const open = rounds
    .flatMap((round) => round.payouts)
    .filter((payout) => payout.receipt !== null && payout.received === null);
  const until = Math.max(0, ...open.map((payout) => payout.receipt!.createdAt + COUNTERSIGN_SEC));
  return now < until ? { do: 'wait', for: `${open.length} countersignatures`, until } : null;
}

/**
 * Pays what is claimed; waits a little for what is not. While the own wallet is away it waits on, until the job's own promise to
 * pay is due: whoever claimed is owed, and the wallet of others may be away for the same reason.
 */
export function decidePayment<R extends Owed>(
  {
    rounds,
    job,
  }: { readonly rounds: readonly R[]; readonly job: { readonly content: { readonly payWithinSec: number } } | null },
  facts: Pick<LeadFacts, 'heldPayouts' | 'relaysSilentAt' | 'walletAwayAt'>,
  now: number,
): Payment<R> | Wait | null {
  const payment = payable(rounds, facts);
  if (payment !== null) return payment;
  const { payWithinSec } = job!.content;
  let graceUntil = 0;
  let open = 0;
  let claimed = 0;
  for (const round of rounds)
    for (const { receipt, claim, settlement } of round.payouts) {
      if (receipt !== null) continue;
      open++;
      if (claim !== null) claimed++;
      const settledAt = settlement.createdAt;
      const dueAt = (claim?.createdAt ?? settledAt) + payWithinSec;
      graceUntil = Math.max(
        graceUntil,
        settledAt + CLAIM_GRACE_SEC,
        facts.relaysSilentAt + CLAIM_GRACE_SEC,
        Math.min(facts.walletAwayAt + CLAIM_GRACE_SEC, dueAt),
      );
    }
  if (open === 0 || now >= graceUntil) return null;
  const what =
    claimed === open
      ? `the wallet, for ${open} ${open === 1 ? 'payment' : 'payments'}`
      : `${open} ${open === 1 ? 'trainer' : 'trainers'} to send an invoice`;
  return { do: 'wait', for: what, until: graceUntil };
}
