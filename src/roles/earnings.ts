import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { planOf } from '../market/money-rules.js';
import { acceptedRounds, type JobPhase, type JobState, type PayoutState, type RoundState } from '../market/state.js';
import { sealedClaim } from '../protocol/claim.js';
import type { JobEvent } from '../protocol/events.js';
import { tagValue } from '../protocol/envelope.js';
import { parseJson } from '../protocol/json.js';
import type { NostrEvent, Signer } from '../ports.js';
import { isOwnTrouble } from './patience.js';

/** What a trainer earned in a job, told from signed events alone. */

export interface Earning {
  /** From 0; null when only the journal of the home is left. */
  readonly round: number | null;
  readonly msat: bigint;
  /** `late` is owed longer than the job allows. */
  readonly state: 'paid' | 'owed' | 'late';
  readonly paymentHash: Sha256 | null;
  readonly preimage: string | null;
  /** Unix seconds: when it was paid, by the customer's receipt, or by the own countersignature. */
  readonly paidAt: number | null;
}

export interface JobEarnings {
  readonly job: EventId;
  /** Null when no relay has the job any more and no own event names its customer. */
  readonly customer: Pubkey | null;
  readonly title: string | null;
  readonly phase: JobPhase;
  /** Accepted ones. */
  readonly rounds: number;
  readonly earnings: readonly Earning[];
}

/** Claims of which the invoice is known: by claim id. */
export type OwnInvoices = ReadonlyMap<EventId, string>;

/** The invoices this trainer sent, which it can open as well as the customer (NIP-44 seals to both). */
export async function ownInvoices(state: JobState, signer: Signer): Promise<OwnInvoices> {
  const invoices = new Map<EventId, string>();
  if (state.job === null) return invoices;
  for (const event of state.chains.get(signer.pubkey)?.events ?? []) {
    if (event.type !== 'claim') continue;
    try {
      const { invoice } = sealedClaim.parse(parseJson(await signer.decrypt(state.job.author, event.content.sealed)));
      invoices.set(event.id, invoice);
    } catch (error) {
      if (isOwnTrouble(error)) throw error;
      // A claim sealed to somebody else proves no payment.
    }
  }
  return invoices;
}

/** @param now  Unix seconds */
export function earningsOf(state: JobState, me: Pubkey, invoices: OwnInvoices, now: number): JobEarnings {
  return {
    job: state.jobId,
    customer: state.job?.author ?? null,
    title: state.job?.content.title ?? null,
    phase: state.phase,
    rounds: acceptedRounds(state, me),
    earnings: state.rounds.flatMap((round) => roundEarnings(state, round, me, invoices, now)),
  };
}

function roundEarnings(state: JobState, round: RoundState, me: Pubkey, invoices: OwnInvoices, now: number): Earning[] {
  const { roundTimeoutSec, payWithinSec } = state.job!.content;
  const open = { paymentHash: null, preimage: null, paidAt: null };
  if (round.close !== null && round.settlement === null && round.corrections.length === 0) {
    const lines = planOf(state, round).plan.filter(({ payee }) => payee === me);
    const isLate = now >= round.close.createdAt + roundTimeoutSec;
    return lines.map(({ amountMsat }) => {
      return { round: round.round, msat: amountMsat, state: isLate ? 'late' : 'owed', ...open };
    });
  }
  return round.payouts
    .filter(({ payee }) => payee === me)
    .map((payout) => {
      const { receipt, claim, unpaid, amountMsat: msat } = payout;
      if (isPaid(payout, invoices)) {
        const { paymentHash, preimage } = receipt!.content;
        return { round: round.round, msat, state: 'paid', paymentHash, preimage, paidAt: receipt!.createdAt };
      }
      const isLate = unpaid !== null || (claim !== null && now >= claim.createdAt + payWithinSec);
      return { round: round.round, msat, state: isLate ? 'late' : 'owed', ...open };
    });
}

/**
 * The own wallet saw the money, or the receipt shows the preimage of an invoice that this trainer made: a customer could
 * write a receipt with an invoice of its own.
 */
function isPaid({ receipt, received }: PayoutState, invoices: OwnInvoices): boolean {
  if (receipt === null) return false;
  return received !== null || invoices.get(receipt.content.claim) === receipt.content.invoice;
}

/** What the own events alone tell of a job that no relay has any more. */
export function earningsOfJournal(job: EventId, own: readonly JobEvent[], customer: Pubkey | null): JobEarnings {
  const earnings = new Map<Sha256, Earning>();
  const open = { round: null, paymentHash: null, preimage: null, paidAt: null };
  for (const event of own) {
    if (event.type !== 'claim' && event.type !== 'unpaid' && event.type !== 'received') continue;
    const { payout, amountMsat: msat } = event.content;
    if (event.type === 'received') earnings.set(payout, { ...open, msat, state: 'paid', paidAt: event.createdAt });
    else if (earnings.get(payout)?.state !== 'paid')
      earnings.set(payout, { ...open, msat, state: event.type === 'unpaid' ? 'late' : 'owed' });
  }
  return { job, customer, title: null, phase: 'unknown', rounds: earnings.size, earnings: [...earnings.values()] };
}

/** A bid and all that follows it name the customer. */
export function customerNamedIn(own: readonly NostrEvent[]): Pubkey | null {
  for (const event of own) {
    const customer = tagValue(event, 'p');
    if (customer !== undefined) return customer as Pubkey;
  }
  return null;
}

export interface Sums {
  readonly owedMsat: bigint;
  readonly paidMsat: bigint;
  /** The part of `owedMsat` that is late. */
  readonly lateMsat: bigint;
}

export function sumEarnings(earnings: readonly Earning[]): Sums {
  const sum = (isIn: (state: Earning['state']) => boolean) =>
    earnings.reduce((total, { state, msat }) => (isIn(state) ? total + msat : total), 0n);
  return {
    owedMsat: sum((state) => state !== 'paid'),
    paidMsat: sum((state) => state === 'paid'),
    lateMsat: sum((state) => state === 'late'),
  };
}
