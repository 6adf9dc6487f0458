import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { saleOf } from '../market/sale-rules.js';
import type { AnyJobState, AnyPayout, Owed } from '../market/state.js';
import type { NetworkName } from '../protocol/network.js';
import type { SpendCheck } from '../ports.js';
import { owedOf } from '../roles/arena/env.js';
import { judgeClaim } from '../roles/claim-check.js';
import { table } from '../terminal/table.js';
import { createSpendGuard, feeReserveMsat, type PlannedPayment, type SpendLimits } from '../wallet/spend-guard.js';
import type { Context, Outcome } from './command.js';
import { fail, ok, type Check } from './doctor-check.js';
import { checkTable } from './doctor-table.js';
import { checkWallet } from './doctor-wallet.js';
import { readAlliance } from './find-alliance.js';
import { readArena } from './find-arena.js';
import { decodeReceiptInvoice, modeOfJob, readBook } from './find-job.js';
import type { Mode } from './job-mode.js';
import { short } from './money-events.js';
import { ownPayouts } from './own-payouts.js';
import { stateOfPayout, type PayoutLine } from './payouts.js';
import { limitsOf } from './spending.js';
import { sats } from './status-tables.js';

/** `--dry-run` of the commands that pay: who is owed what, and what wallet and caps say of it. Nothing is signed, written or sent. */

/** For the help of these commands. */
export const PLAN_HELP = `  {job, mode, phase, budgetMsat, paidMsat, owedMsat, feeReserveMsat, payouts: [{payout, round, payee, purpose, amountMsat, feeReserveMsat,
  claim, journal}], checks: [{name, state, detail, remedy}]}: claim none, payable or the rule that its invoice breaks; journal null, or as
  nmkt payouts has it; state ok, warn or fail, of the wallet and of each cap that is set, for all payouts together with their fee reserve`;

interface Job {
  readonly mode: Mode;
  readonly phase: string;
  readonly author: Pubkey;
  readonly network: NetworkName;
  /** The budget or the pot. */
  readonly budgetMsat: bigint;
  readonly rounds: readonly Owed[];
  readonly state: AnyJobState;
  /** What the preimage of a payment opens; undefined: nothing. */
  soldFor(round: number, line: AnyPayout): Sha256 | undefined;
}

interface PlannedLine {
  readonly payout: Sha256;
  readonly round: number;
  readonly payee: Pubkey;
  readonly purpose: string;
  readonly amountMsat: bigint;
  readonly feeReserveMsat: bigint;
  /** Of what the payee claimed last: `none`, `payable`, or the rule that its invoice breaks. */
  readonly claim: string;
  /** What the journal of this home has of it; null: nothing. */
  readonly journal: PayoutLine['state'] | null;
}

/** @throws NmktError of the relays, `job-unknown`, of the key, `bad-usage` */
export async function planPayments(
  context: Context,
  jobId: EventId,
  options: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  const limits = limitsOf(context, options);
  const job = await readJob(context, jobId);
  const payouts = await linesOf(context, job);
  const sum = (of: (line: PlannedLine) => bigint) => payouts.reduce((msat, line) => msat + of(line), 0n);
  const paid = job.rounds.flatMap((round) => round.payouts).filter(({ receipt }) => receipt !== null);
  const totals = {
    budgetMsat: job.budgetMsat,
    paidMsat: paid.reduce((msat, { amountMsat }) => msat + amountMsat, 0n),
    owedMsat: sum(({ amountMsat }) => amountMsat),
    feeReserveMsat: sum((line) => line.feeReserveMsat),
  };
  const payments = payouts
    .filter(({ purpose, journal }) => purpose !== 'bonus' && journal !== 'paid')
    .map(({ payout, amountMsat }) => ({ payoutId: payout, amountMsat }));
  const checks = payouts.length === 0 ? [] : await checksOf(context, jobId, payments, limits, job.budgetMsat);
  context.progress.done('nothing is signed, written or sent: --dry-run');
  return {
    value: { job: jobId, mode: job.mode, phase: job.phase, ...totals, payouts, checks },
    text: [
      table([
        ['phase', job.phase],
        ['paid', `${sats(totals.paidMsat)} of at most ${sats(totals.budgetMsat)}`],
        ['owed', `${sats(totals.owedMsat)}, and up to ${sats(totals.feeReserveMsat)} of fees`],
      ]),
      ...(payouts.length === 0 ? [] : [table([HEAD, ...payouts.map(cellsOf)]), checkTable(checks)]),
    ].join('\n\n'),
  };
}

const HEAD = ['payout', 'round', 'payee', 'for', 'amount', 'fees up to', 'claim', 'journal'];

function cellsOf({ payout, round, payee, purpose, amountMsat, feeReserveMsat: fees, claim, journal }: PlannedLine) {
  return [short(payout), round + 1, short(payee), purpose, sats(amountMsat), sats(fees), claim, journal ?? '-'];
}

const nothing = (): undefined => undefined;

async function readJob(context: Context, jobId: EventId): Promise<Job> {
  const mode = (await modeOfJob(await context.deps.relays(), jobId)) ?? 'federated';
  if (mode === 'arena') {
    const { state, events: _, ...rest } = await readArena(context, jobId);
    const folded = { ...rest, state };
    const { network, arena } = state.job.content;
    const of = { mode, phase: folded.phase, author: state.job.author, network, budgetMsat: arena.potMsat };
    return { ...of, rounds: owedOf(folded).rounds, state: folded, soldFor: nothing };
  }
  if (mode === 'alliance') {
    const { folded, state } = await readAlliance(context, jobId);
    const { network, alliance } = state.job.content;
    const of = { mode, phase: folded.phase, author: state.job.author, network, budgetMsat: alliance.potMsat };
    return { ...of, rounds: state.rounds, state: folded, soldFor: nothing };
  }
  const { book } = await readBook(context, jobId);
  book.close();
  const state = book.state();
  const { author, content } = state.job!;
  const { network, budgetMsat } = content;
  const soldFor: Job['soldFor'] = (round, line) => saleOf(content, state.rounds[round]!, line)?.paymentHash;
  return { mode, phase: state.phase, author, network, budgetMsat, rounds: state.rounds, state, soldFor };
}

/** What the job owes, where it is the own one: of another key's nothing is paid from here. */
async function linesOf(context: Context, { author, ...job }: Job): Promise<readonly PlannedLine[]> {
  const signer = await context.deps.signer({ create: false });
  if (signer?.pubkey !== author) {
    context.progress.note('this job is another key’s: nothing of it is paid from this home');
    return [];
  }
  const known = await ownPayouts(context);
  const reading = { signer, decode: decodeReceiptInvoice };
  const lines: PlannedLine[] = [];
  for (const { round, payouts } of job.rounds)
    for (const line of payouts) {
      if (line.receipt !== null) continue;
      const { payout, payee, purpose, amountMsat } = line;
      const journal = known.get(payout);
      lines.push({
        ...{ payout, round, payee, purpose, amountMsat },
        // The keeper of a pot pays bonuses out of it.
        feeReserveMsat: purpose === 'bonus' ? 0n : feeReserveMsat(amountMsat),
        claim: await judgeClaim(reading, { ...job, paymentHash: job.soldFor(round, line) }, line),
        journal: journal === undefined ? null : stateOfPayout(journal),
      });
    }
  return lines;
}

/** Of a wallet and of each cap that is set, for all these payments together. */
export async function checksOf(
  context: Context,
  job: EventId | null,
  payments: readonly PlannedPayment[],
  limits: SpendLimits,
  jobBudgetMsat?: bigint,
): Promise<readonly Check[]> {
  const { deps } = context;
  const told = await checkWallet(context);
  const isReached = told.every(({ name, state }) => name !== 'wallet' || state === 'ok');
  const wallet = isReached ? await deps.wallet() : null;
  const methods = (await wallet?.info())?.methods;
  const caps = createSpendGuard(limits).check(
    payments,
    {
      ...{ job: job ?? '', nowSec: deps.clock.nowSec(), inFlight: new Set() },
      ...(jobBudgetMsat !== undefined && { jobBudgetMsat }),
      balanceMsat: methods?.has('get_balance') === true ? await wallet!.balanceMsat() : null,
      budget: methods?.has('get_budget') === true ? await wallet!.budget() : null,
    },
    await ownPayouts(context),
  );
  return [...told, ...caps.map(capCheck)];
}

/** Of a job that is not posted yet: what it costs at most, and what wallet and caps say of that. @param amounts  one for each payment */
export async function planCost(
  context: Context,
  options: Readonly<Record<string, unknown>>,
  amounts: readonly bigint[],
): Promise<{ readonly mostMsat: bigint; readonly feeReserveMsat: bigint; readonly checks: readonly Check[] }> {
  const sum = (parts: readonly bigint[]) => parts.reduce((msat, part) => msat + part, 0n);
  const payments = amounts.map((amountMsat, at) => ({ payoutId: `${at}` as Sha256, amountMsat }));
  return {
    mostMsat: sum(amounts),
    feeReserveMsat: sum(amounts.map(feeReserveMsat)),
    checks: amounts.length === 0 ? [] : await checksOf(context, null, payments, limitsOf(context, options)),
  };
}

/** Below the terms of a job. */
export function costText({ mostMsat, feeReserveMsat: fees, checks }: Awaited<ReturnType<typeof planCost>>): string {
  const cost = mostMsat === 0n ? 'nothing' : `${sats(mostMsat)}, and up to ${sats(fees)} of fees`;
  return [table([['costs at most', cost]]), ...(checks.length === 0 ? [] : [checkTable(checks)])].join('\n\n');
}

function capCheck({ cap, isMet, limitMsat, spentMsat, wantedMsat }: SpendCheck): Check {
  const detail = `${sats(wantedMsat)} of ${sats(limitMsat - spentMsat)}`;
  if (isMet) return ok(cap, detail);
  return fail(cap, detail, cap.includes('balance') ? 'add funds to the wallet' : `raise ${cap}`);
}
