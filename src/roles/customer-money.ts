import { NmktError } from '../errors.js';
import type { EventId, Sha256 } from '../hash.js';
import { planOf } from '../market/money-rules.js';
import {
  receiptedElsewhere,
  type AnyJobState,
  type AnyPayout,
  type JobState,
  type Owed,
  type RoundState,
} from '../market/state.js';
import { brokenInvoiceRule } from '../market/claim-rules.js';
import { invoiceHash, type InvoiceRule } from '../protocol/claim.js';
import type { EventOf } from '../protocol/events.js';
import type { NetworkName } from '../protocol/network.js';
import { claimedInvoice, descriptionHashOf } from './claim-check.js';
import type { CustomerEnv, HoldCause } from './customer-env.js';
import { offerFor, type Offer } from './customer-sale.js';
import type { JobBook } from './job-book.js';

export interface Hold {
  readonly why: string;
  readonly cause: HoldCause;
  /** Of an unknown payment: may it still arrive? */
  readonly isInFlight?: boolean;
}

export async function settle(env: CustomerEnv, state: JobState, round: RoundState): Promise<void> {
  const { plan, totalMsat } = planOf(state, round);
  await env.book.sign(
    'settlement',
    { round: round.round, close: round.close!.id, plan: [...plan], totalMsat },
    plan.map((line) => line.payee),
  );
  await tellShortfall(env, state.jobId, round.round, plan);
}

/**
 * Before the payments of a round start: says which caps, or what of the wallet, all of them together would pass. What fits is paid all the
 * same. Bonuses come out of what was slashed, a refund goes nowhere.
 */
export async function tellShortfall(
  { payer, progress }: Pick<CustomerEnv, 'payer' | 'progress'>,
  job: EventId,
  round: number,
  plan: readonly Pick<AnyPayout, 'payout' | 'amountMsat' | 'purpose'>[],
): Promise<void> {
  const own = plan.filter(({ purpose }) => purpose !== 'bonus' && purpose !== 'refund');
  if (payer === null || own.length === 0) return;
  const sats = (msat: bigint) => `${Number(msat) / 1000} sat`;
  for (const { cap, isMet, limitMsat, spentMsat, wantedMsat } of await payer.check(job, own))
    if (!isMet)
      progress.warn(
        `round ${round + 1} pays ${own.length} payouts, up to ${sats(wantedMsat)} with fees; ${cap} leaves ${sats(limitMsat - spentMsat)}: what fits is paid`,
      );
}

/**
 * @param told  payouts whose checks were told before; changed
 * @returns why and how the payout is held, or null when it is paid and receipted
 */
export async function payOne(
  env: CustomerEnv,
  state: JobState,
  round: RoundState,
  payout: RoundState['payouts'][number],
  told: Set<Sha256>,
): Promise<Hold | null> {
  // A round has one plan; a correction comes on top of it, under a payout of its own.
  const planHash = (round.settlement ?? round.corrections[0])!.contentHash;
  const { network } = state.job!.content;
  const offer = await offerFor(env, state.job!, round, payout);
  if (offer !== null) {
    if (!told.has(payout.payout)) tellChecks(env, round.round, payout, offer.checks);
    told.add(payout.payout);
    const failed = offer.checks.find(({ ok }) => !ok);
    if (failed !== undefined) return { why: `${failed.what}: no (${failed.detail})`, cause: 'invoice' };
  }
  const paymentHash = offer?.paymentHash;
  return payOut(env, { state, network, rounds: state.rounds, round: round.round, planHash, paymentHash }, payout);
}

function tellChecks(
  { progress }: Pick<CustomerEnv, 'progress'>,
  round: number,
  { payee }: AnyPayout,
  checks: Offer['checks'],
): void {
  for (const { what, ok } of checks)
    progress.note(`round ${round + 1}, before ${payee.slice(0, 12)}… is paid: ${what}: ${ok ? 'yes' : 'no'}`);
}

/** Who pays, in a job of any kind. */
export interface DebtorEnv extends Pick<CustomerEnv, 'signer' | 'payer'> {
  readonly book: Pick<JobBook<AnyJobState>, 'raw' | 'sign'>;
}

/** What a payout is part of. */
export interface Debt {
  readonly state: AnyJobState;
  readonly network: NetworkName;
  /** All that was settled in the job. */
  readonly rounds: readonly Owed[];
  readonly round: number;
  /** Of the settlement: a payment is bound to what was promised. */
  readonly planHash: Sha256;
  /** Whose preimage opens what is paid for; absent: nothing is. */
  readonly paymentHash?: Sha256 | undefined;
}

/** As `payOne`, for a job of any kind. */
export async function payOut(
  env: DebtorEnv,
  { state, network, rounds, round, planHash, paymentHash }: Debt,
  payout: AnyPayout,
): Promise<Hold | null> {
  if (env.payer === null)
    throw new NmktError('no-wallet', 'this job pays and no wallet is set', {
      remedy: 'set NMKT_WALLET or --wallet-file',
    });
  const claim = payout.claim!;
  const invoice = await claimedInvoice(env, claim);
  const { payout: payoutId, settlement, payee, amountMsat } = payout;
  const descriptionHash = descriptionHashOf({ state }, payout);
  if (invoice === null || invoiceHash(invoice) !== claim.content.invoiceHash) {
    const why = 'its claim seals no invoice that hashes to what it says';
    await refuseClaim(env, claim, 'sealed', null, why);
    return { why, cause: 'invoice' };
  }
  const claimed: string[] = [];
  for (const event of state.chains.get(payout.payee)?.events ?? [])
    if (event.type === 'claim' && event.content.payout === payout.payout)
      claimed.push((await claimedInvoice(env, event)) ?? invoice);
  const signed = { job: env.book.raw(state.jobId)!, settlement: env.book.raw(settlement.id)! };
  const result = await env.payer.pay({
    job: state.jobId,
    round: { round },
    payout,
    invoice,
    claimed,
    descriptionHash,
    planHash,
    ...(paymentHash !== undefined && { paymentHash }),
    ...(payout.purpose === 'bonus' && { pot: signed }),
  });
  if (result.kind === 'held') {
    if (result.cause !== 'invoice') return result;
    const terms = { network, amountMsat, descriptionHash, claimedAt: claim.createdAt, paymentHash };
    const rule = brokenInvoiceRule(result.decoded, { ...terms, receipted: receiptedElsewhere({ rounds }, payout) });
    // Null: only this home sees what is wrong with it, such as a hash that another job uses.
    if (rule !== null) await refuseClaim(env, claim, rule, invoice, result.why);
    return result;
  }
  await env.book.sign(
    'receipt',
    {
      settlement: settlement.id,
      payout: payoutId,
      claim: claim.id,
      payee,
      amountMsat,
      invoice: result.invoice,
      paymentHash: result.paymentHash as Sha256,
      preimage: result.preimage as Sha256,
    },
    [payee],
  );
  return null;
}

/** Says in public what is wrong with a claim: then it is not owed until the payee claims as agreed. */
async function refuseClaim(
  env: DebtorEnv,
  { id, author, content }: EventOf<'claim'>,
  rule: InvoiceRule,
  invoice: string | null,
  why: string,
): Promise<void> {
  const detail = why.replace(/[^\x20-\x7e]/g, ' ').slice(0, 300);
  await env.book.sign('claim-bad', { claim: id, payout: content.payout, rule, invoice, detail }, [author]);
}
