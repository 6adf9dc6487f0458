import { NmktError } from '../errors.js';
import type { Sha256 } from '../hash.js';
import type { Payout, Payouts } from './payout-records.js';

/** Caps in msat; an absent one does not limit. Fees count against all but the job's budget. */
export interface SpendLimits {
  /** `--max-sats`: what this command may spend. */
  readonly commandMsat?: bigint;
  /** Over any 24 hours, over restarts. */
  readonly dayMsat?: bigint;
  /** One payment, with its fee reserve. */
  readonly paymentMsat?: bigint;
}

export interface SpendRequest {
  readonly payoutId: Sha256;
  readonly job: string;
  readonly amountMsat: bigint;
  /** What the job may pay in all, without fees. */
  readonly jobBudgetMsat: bigint;
  readonly nowSec: number;
  /** null: the wallet does not tell. */
  readonly balanceMsat: bigint | null;
  /** Sends whose answer is awaited: the balance may show them, or not yet. */
  readonly inFlight: ReadonlySet<Sha256>;
}

export interface SpendGuard {
  /**
   * Call before every send, with the payouts of the journal; a send that it allows counts from then on.
   * @throws NmktError `over-budget` naming the cap
   */
  allow(request: SpendRequest, payouts: Payouts): void;
}

const DAY_SEC = 24 * 60 * 60;

/** What routing may cost: 1 %, at least 10 sat. */
export function feeReserveMsat(amountMsat: bigint): bigint {
  const percent = (amountMsat + 99n) / 100n;
  return percent > 10_000n ? percent : 10_000n;
}

export function createSpendGuard(limits: SpendLimits): SpendGuard {
  /** Payouts that this command sent or tried to send. */
  const own = new Set<Sha256>();
  return {
    allow(request, payouts) {
      const { payoutId, amountMsat, balanceMsat, nowSec, inFlight } = request;
      const others = [...payouts.values()].filter((payout) => payout.payoutId !== payoutId);
      const wanted = amountMsat + feeReserveMsat(amountMsat);
      const inJob = others.filter((payout) => payout.job === request.job);
      // What is open may still move, however long ago it was sent.
      const inDay = others.filter(({ sentSec = 0, openSends }) => openSends > 0 || sentSec > nowSec - DAY_SEC);
      const inCommand = others.filter((payout) => own.has(payout.payoutId));
      const flying = others.filter((payout) => inFlight.has(payout.payoutId));

      require('the cap per payment', limits.paymentMsat, 0n, wanted);
      require("the job's budget", request.jobBudgetMsat, sum(inJob, amountOf), amountMsat);
      require('--max-sats', limits.commandMsat, sum(inCommand, spentMsat), wanted);
      require('the cap per day', limits.dayMsat, sum(inDay, spentMsat), wanted);
      require("the wallet's balance", balanceMsat ?? undefined, sum(flying, spentMsat), wanted);
      own.add(payoutId);
    },
  };
}

/** An open send counts in full: its money may be gone. */
function spentMsat({ amountMsat, openSends, paid }: Payout): bigint {
  if (paid) return amountMsat + paid.feesMsat;
  return openSends > 0 ? amountMsat + feeReserveMsat(amountMsat) : 0n;
}

function amountOf({ amountMsat, openSends, paid }: Payout): bigint {
  return paid || openSends > 0 ? amountMsat : 0n;
}

function sum(payouts: readonly Payout[], valueOf: (payout: Payout) => bigint): bigint {
  return payouts.reduce((total, payout) => total + valueOf(payout), 0n);
}

function require(cap: string, limit: bigint | undefined, spent: bigint, wanted: bigint): void {
  if (limit === undefined || spent + wanted <= limit) return;
  throw new NmktError('over-budget', `a payment of ${wanted} msat would pass ${cap}`, {
    remedy: cap.includes('balance')
      ? 'add funds to the wallet, then run it again'
      : `raise ${cap} if that is what you want`,
    expected: `at most ${limit} msat, ${spent} of them spent or possibly spent`,
    got: `${spent + wanted} msat with this payment and its fee reserve`,
  });
}
