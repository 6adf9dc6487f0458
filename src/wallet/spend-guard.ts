import { NmktError } from '../errors.js';
import type { Sha256 } from '../hash.js';
import type { SpendCheck, WalletBudget } from '../ports.js';
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

export interface PlannedPayment {
  readonly payoutId: Sha256;
  readonly amountMsat: bigint;
}

/** What payments are part of, and what else there is. */
export interface SpendTerms {
  readonly job: string;
  /** What the job may pay in all, without fees; absent: not asked, as when jobs are several. */
  readonly jobBudgetMsat?: bigint;
  readonly nowSec: number;
  /** null: the wallet does not tell. */
  readonly balanceMsat: bigint | null;
  /** Of the wallet's connection, if it tells of one. */
  readonly budget?: WalletBudget | null;
  /** Sends whose answer is awaited: the balance may show them, or not yet. */
  readonly inFlight: ReadonlySet<Sha256>;
}
export type SpendRequest = PlannedPayment & SpendTerms & { readonly jobBudgetMsat: bigint };

export interface SpendGuard {
  /**
   * Call before every send, with the payouts of the journal; a send that it allows counts from then on.
   * @throws NmktError `over-budget` naming the cap
   */
  allow(request: SpendRequest, payouts: Payouts): void;
  /** What the limits that are set would say of paying all of these, each as large as its reserve allows. */
  check(payments: readonly PlannedPayment[], terms: SpendTerms, payouts: Payouts): readonly SpendCheck[];
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
  const check = (payments: readonly PlannedPayment[], terms: SpendTerms, payouts: Payouts): readonly SpendCheck[] => {
    const { job, jobBudgetMsat, balanceMsat, budget, nowSec, inFlight } = terms;
    const planned = new Set(payments.map(({ payoutId }) => payoutId));
    const others = [...payouts.values()].filter(({ payoutId }) => !planned.has(payoutId));
    const amounts = payments.map(({ amountMsat }) => amountMsat);
    const reserved = amounts.map((msat) => msat + feeReserveMsat(msat));
    const inJob = others.filter((payout) => payout.job === job);
    // What is open may still move, however long ago it was sent.
    const inDay = others.filter(({ sentSec = 0, openSends }) => openSends > 0 || sentSec > nowSec - DAY_SEC);
    const inCommand = others.filter(({ payoutId }) => own.has(payoutId));
    const flying = others.filter(({ payoutId }) => inFlight.has(payoutId));
    const rows: [string, bigint | undefined, bigint, bigint][] = [
      ['the cap per payment', limits.paymentMsat, 0n, reserved.reduce((most, msat) => (msat > most ? msat : most), 0n)],
      ["the job's budget", jobBudgetMsat, sum(inJob.map(amountOf)), sum(amounts)],
      ['--max-sats', limits.commandMsat, sum(inCommand.map(spentMsat)), sum(reserved)],
      ['the cap per day', limits.dayMsat, sum(inDay.map(spentMsat)), sum(reserved)],
      ['the budget of the wallet’s connection', budget?.totalMsat, budget?.usedMsat ?? 0n, sum(reserved)],
      ["the wallet's balance", balanceMsat ?? undefined, sum(flying.map(spentMsat)), sum(reserved)],
    ];
    return rows.flatMap(([cap, limitMsat, spent, wantedMsat]) =>
      limitMsat === undefined
        ? []
        : [{ cap, limitMsat, spentMsat: spent, wantedMsat, isMet: spent + wantedMsat <= limitMsat }],
    );
  };
  return {
    check,
    allow({ payoutId, amountMsat, ...terms }, payouts) {
      const broken = check([{ payoutId, amountMsat }], terms, payouts).find(({ isMet }) => !isMet);
      if (broken !== undefined) throw overBudget(broken);
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

function sum(parts: readonly bigint[]): bigint {
  return parts.reduce((total, msat) => total + msat, 0n);
}

function overBudget({ cap, limitMsat, spentMsat: spent, wantedMsat }: SpendCheck): NmktError {
  return new NmktError('over-budget', `a payment of ${wantedMsat} msat would pass ${cap}`, {
    remedy: cap.includes('balance')
      ? 'add funds to the wallet, then run it again'
      : `raise ${cap} if that is what you want`,
    expected: `at most ${limitMsat} msat, ${spent} of them spent or possibly spent`,
    got: `${spent + wantedMsat} msat with this payment and its fee reserve`,
  });
}
