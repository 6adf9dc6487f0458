import { isNmktError, NmktError } from '../errors.js';
import type { Pubkey, Sha256 } from '../hash.js';
import type { Clock, LookupResult, Network, PayOutcome, Wallet } from '../ports.js';
import { adoptPayment } from './adopt-payment.js';
import { checkInvoice } from './check-invoice.js';
import type { PayoutBook } from './payout-book.js';
import { decide, isPreimage, type Bound, type Payout } from './payout-records.js';
import type { SpendGuard } from './spend-guard.js';

export interface PayoutRequest {
  readonly payoutId: Sha256;
  /** Of the whole settlement: a second plan for the same (job, round) is refused. */
  readonly planHash: Sha256;
  readonly job: string;
  readonly round: number;
  readonly payee: Pubkey;
  readonly amountMsat: bigint;
  readonly jobBudgetMsat: bigint;
  /** From the payee's claim. Ignored while an earlier invoice of this payout may still be paid. */
  readonly invoice: string;
  /**
   * Every invoice the payee ever claimed this payout with. Before the first send of a run all are looked up: the journal may be
   * older than reality, after a restore or on another machine. Absent: `invoice` alone was ever claimed, and need not be.
   */
  readonly claimed?: readonly string[];
  /** Of the claim. */
  readonly descriptionHash: Sha256;
  /** The invoice has to be over it: its preimage opens what is paid for. */
  readonly paymentHash?: Sha256;
  /** Node key the invoice must be signed with, if known. */
  readonly invoiceSigner?: string;
  /** Payment hashes that the payee signed `void` for: unpaid, cancelled, will not be claimed. */
  readonly voided?: ReadonlySet<string>;
}

export interface PayoutTools {
  readonly wallet: Wallet;
  readonly network: Network;
  readonly book: PayoutBook;
  readonly guard: SpendGuard;
  readonly clock: Clock;
  /** Default 65,000: wallets answer within 60 s. */
  readonly payTimeoutMs?: number;
  /** Waits before the look-ups after an unknown outcome; default 1, 4 and 15 s. */
  readonly lookupAfterMs?: readonly number[];
}

export type PayoutOutcome =
  | { readonly kind: 'paid'; readonly paymentHash: string; readonly preimage: string; readonly feesMsat: bigint }
  /** No money moved. */
  | { readonly kind: 'rejected'; readonly code: string; readonly message: string; readonly next: string }
  /** `isInFlight`: nor does the wallet say that it failed. */
  | { readonly kind: 'unknown'; readonly why: string; readonly next: string; readonly isInFlight: boolean };

/** Per run. A repeated send is safe, but a wallet that keeps failing needs a person. */
const MAX_SENDS = 2;
const NEXT = 'it is looked up first, before anything is sent, and never paid by another invoice';

/**
 * Pays one payout at most once, over crashes, lost replies and restarts. Payouts to one payee run one after the
 * other, an open one blocks the next; those to others may run beside it.
 *
 * @throws NmktError `bad-invoice`, `network-mismatch`, `over-budget`, `wallet-unreachable` (all before anything is
 *         sent), `audit-failed` when the payout or its round was planned differently before
 */
export async function payOut(request: PayoutRequest, tools: PayoutTools): Promise<PayoutOutcome> {
  const { book } = tools;
  return book.inTurn(request.payee, () => run(request, tools).finally(() => book.inFlight.land(request.payoutId)));
}

async function run(request: PayoutRequest, tools: PayoutTools): Promise<PayoutOutcome> {
  const { wallet, book, clock, payTimeoutMs = 65_000, lookupAfterMs = [1_000, 4_000, 15_000] } = tools;
  const { payoutId } = request;
  let lookup: LookupResult | undefined;
  let sends = 0;
  let lookups = 0;
  let why = 'the outcome of an earlier send is not known';
  let isAdopted = request.claimed === undefined;
  const open = (detail: string): PayoutOutcome => {
    const isInFlight = lookup?.state !== 'failed' && lookup?.state !== 'not-found';
    return { kind: 'unknown', why: `${why}; ${detail}`, next: NEXT, isInFlight };
  };
  for (;;) {
    const payouts = await book.payouts();
    const payout = payouts.get(payoutId);
    if (payout) requireSamePlan(request, payout);
    if (!isAdopted && !payout?.paid && (payout?.openSends ?? 0) === 0) {
      isAdopted = true;
      const doubt = await adoptPayment(request, tools, payout);
      if (doubt !== null) return { kind: 'unknown', why: doubt, next: NEXT, isInFlight: true };
      continue;
    }
    const step = payout ? decide(payout, lookup) : ({ do: 'bind' } as const);
    if (step.do === 'done') return { kind: 'paid', paymentHash: payout!.bound!.paymentHash, ...paidFields(step) };
    if (step.do === 'record-paid') {
      await book.append({ type: 'paid', payoutId, ...paidFields(step) });
      return { kind: 'paid', paymentHash: payout!.bound!.paymentHash, ...paidFields(step) };
    }
    if (payout && lookup && isGivenUp(payout, lookup, request, clock.nowSec())) {
      await book.append({ type: 'void', payoutId, paymentHash: payout.bound!.paymentHash });
      lookup = undefined;
      continue;
    }
    if (step.do === 'look-up' || step.do === 'wait') {
      const backoffMs = lookups === 0 && sends === 0 ? 0 : lookupAfterMs[lookups];
      if (backoffMs === undefined) return open(step.do === 'wait' ? step.why : 'no more look-ups');
      await clock.wait(backoffMs);
      lookups++;
      lookup = await wallet.lookup(payout!.bound!.paymentHash);
      continue;
    }
    if (sends >= MAX_SENDS) return open(`the look-up says ${lookup?.state ?? 'nothing'}`);
    const blocker = [...payouts.values()].find((other) => other.payee === request.payee && isOpen(other, payoutId));
    if (blocker) {
      // Its outcome may be known by now, and its receipt out: a journal from a backup never hears of it otherwise.
      const found = decide(blocker, await wallet.lookup(blocker.bound!.paymentHash));
      if (found.do !== 'record-paid') return blocked(blocker);
      await book.append({ type: 'paid', payoutId: blocker.payoutId, ...paidFields(found) });
      continue;
    }
    const { invoice, paymentHash } = await prepareSend(request, tools);
    sends++;
    lookup = undefined;
    const outcome = proven(await wallet.pay(invoice, payTimeoutMs), paymentHash);
    if (outcome.kind === 'paid') await book.append({ type: 'paid', payoutId, ...paidFields(outcome) });
    else if (outcome.kind === 'rejected') {
      await book.append({ type: 'rejected', payoutId, code: outcome.code });
      const isStillOpen = (await book.payouts()).get(payoutId)!.openSends > 0;
      const { code, message } = outcome;
      if (isStillOpen) return open(`the wallet refuses now: ${code}`);
      return { kind: 'rejected', code, message, next: 'nothing was paid; run it again once that is put right' };
    } else why = outcome.why;
  }
}

/** A payment on its way fails back within a day; a wallet that calls it pending for longer is not believed. */
const IN_FLIGHT_SEC = 86_400;

/**
 * May another invoice take this one's place? Look-ups can lie, so nothing less than the payee's signature will do once it
 * was sent; and a look-up that proves the payment (then the step is `record-paid`) still counts more than that.
 */
function isGivenUp(
  { bound, openSends, sentSec }: Payout,
  { state, direction }: LookupResult,
  { voided }: PayoutRequest,
  nowSec: number,
): boolean {
  if (bound === undefined || openSends === 0 || voided?.has(bound.paymentHash) !== true) return false;
  if (direction === 'in') return true;
  // Paid, says the wallet, but does not prove it: one of the two lies, and only a person can tell which.
  if (state === 'settled') return false;
  return state !== 'pending' || nowSec >= sentSec! + IN_FLIGHT_SEC;
}

/** What is in flight counts in full, and less once it is there: a cap that only that would break is asked about again then. */
async function prepareSend(request: PayoutRequest, tools: PayoutTools): Promise<Bound> {
  const { inFlight } = tools.book;
  for (;;) {
    try {
      return await reserveSend(request, tools);
    } catch (error) {
      const isAlone = [...inFlight.ids()].every((payout) => payout === request.payoutId);
      if (isAlone || !isNmktError(error, 'over-budget')) throw error;
      await inFlight.nextLanding(request.payoutId);
    }
  }
}

/** Checks and reserves under one lock, so that payouts side by side cannot pass a cap together. */
async function reserveSend(request: PayoutRequest, tools: PayoutTools): Promise<Bound> {
  const { book, guard, clock, network } = tools;
  const isOpenNow = ((await book.payouts()).get(request.payoutId)?.openSends ?? 0) > 0;
  // The money of an open send may be gone from the balance already.
  const balanceMsat = isOpenNow ? null : await readBalance(tools.wallet);
  return book.inTurn('send', async () => {
    const { payoutId, planHash, job, round, payee, amountMsat } = request;
    const payouts = await book.payouts();
    const payout = payouts.get(payoutId);
    const otherPlan = [...payouts.values()].find(
      (other) => other.job === job && other.round === round && other.planHash !== planHash,
    );
    if (otherPlan) throw replanned('another plan for this job and round was begun', otherPlan.planHash, planHash);
    const nowSec = clock.nowSec();
    // An invoice that was never sent may be replaced: only the journal knows it.
    const open = payout && payout.openSends > 0 ? payout.bound : undefined;
    let bound = open;
    if (!bound) {
      const usedPaymentHashes = new Set([
        ...[...payouts.values()].flatMap((other) => other.voided),
        ...[...payouts.values()].flatMap((other) =>
          other.payoutId === payoutId ? [] : (other.bound?.paymentHash ?? []),
        ),
      ]);
      const { descriptionHash, invoiceSigner, invoice } = request;
      const agreed = request.paymentHash && { paymentHash: request.paymentHash };
      const terms = { network, msat: amountMsat, descriptionHash, nowSec, usedPaymentHashes, ...agreed };
      const { paymentHash } = checkInvoice(invoice, { ...terms, ...(invoiceSigner && { payee: invoiceSigner }) });
      bound = { invoice, paymentHash };
    }
    const { jobBudgetMsat } = request;
    const inFlight = book.inFlight.ids();
    guard.allow({ payoutId, job, amountMsat, jobBudgetMsat, nowSec, balanceMsat, inFlight }, payouts);
    book.inFlight.takeOff(payoutId);
    if (!payout) await book.append({ type: 'planned', payoutId, planHash, job, round, payee, amountMsat });
    if (payout?.bound?.invoice !== bound.invoice) await book.append({ type: 'bound', payoutId, ...bound });
    await book.append({ type: 'sending', payoutId, atSec: nowSec });
    return bound;
  });
}

/** Whatever the wallet says, a receipt needs the preimage of this invoice. */
function proven(outcome: PayOutcome, paymentHash: string): PayOutcome {
  if (outcome.kind !== 'paid' || isPreimage(outcome.preimage, paymentHash)) return outcome;
  return { kind: 'unknown', why: 'the wallet says paid, but its preimage is not the one of the invoice' };
}

/** null when the connection may not see it. */
async function readBalance(wallet: Wallet): Promise<bigint | null> {
  try {
    return await wallet.balanceMsat();
  } catch (error) {
    if (error instanceof NmktError && error.code === 'bad-settings') return null;
    throw error;
  }
}

function requireSamePlan(request: PayoutRequest, payout: Payout): void {
  for (const field of ['planHash', 'job', 'round', 'payee', 'amountMsat'] as const) {
    if (request[field] === payout[field]) continue;
    throw replanned(`this payout was planned with another ${field}`, String(payout[field]), String(request[field]));
  }
}

function isOpen(other: Payout, payoutId: Sha256): boolean {
  return other.payoutId !== payoutId && other.openSends > 0;
}

function blocked({ payoutId }: Payout): PayoutOutcome {
  return {
    kind: 'rejected',
    code: 'EARLIER_PAYOUT_OPEN',
    message: `payout ${payoutId} to the same payee has no known outcome yet`,
    next: NEXT,
  };
}

function paidFields({ preimage, feesMsat }: { preimage: string; feesMsat: bigint }) {
  return { preimage, feesMsat };
}

function replanned(message: string, expected: string, got: string): NmktError {
  return new NmktError('audit-failed', message, {
    remedy: 'nothing was sent; pay by the settlement that was published first',
    expected,
    got,
  });
}
