import { sha256Hex, fromHex, type Pubkey, type Sha256 } from '../hash.js';
import type { LookupResult } from '../ports.js';

/** The journal of payouts: each line is durable before the step that it allows. */
export type PayoutRecord =
  | {
      readonly type: 'planned';
      readonly payoutId: Sha256;
      readonly planHash: Sha256;
      readonly job: string;
      readonly round: number;
      readonly payee: Pubkey;
      readonly amountMsat: bigint;
    }
  | { readonly type: 'bound'; readonly payoutId: Sha256; readonly invoice: string; readonly paymentHash: string }
  | { readonly type: 'sending'; readonly payoutId: Sha256; readonly atSec: number }
  /** The wallet refused this attempt: it moved nothing. */
  | { readonly type: 'rejected'; readonly payoutId: Sha256; readonly code: string }
  | { readonly type: 'paid'; readonly payoutId: Sha256; readonly preimage: string; readonly feesMsat: bigint }
  /** The payee signed that this hash is unpaid, cancelled and will not be claimed. */
  | { readonly type: 'void'; readonly payoutId: Sha256; readonly paymentHash: string };

export interface Bound {
  readonly invoice: string;
  readonly paymentHash: string;
}

export interface Payout {
  readonly payoutId: Sha256;
  readonly planHash: Sha256;
  readonly job: string;
  readonly round: number;
  readonly payee: Pubkey;
  readonly amountMsat: bigint;
  readonly bound?: Bound;
  /** Sends whose outcome is not known. Above 0 money may have moved. */
  readonly openSends: number;
  /** Of the last send; undefined before the first. */
  readonly sentSec?: number;
  readonly paid?: { readonly preimage: string; readonly feesMsat: bigint };
  /** Payment hashes that the payee gave up: none of them is ever bound again. */
  readonly voided: readonly string[];
}

export type Payouts = ReadonlyMap<Sha256, Payout>;

export function foldPayouts(records: readonly PayoutRecord[]): Payouts {
  const payouts = new Map<Sha256, Payout>();
  for (const record of records) {
    const payout = after(payouts, record);
    if (payout !== undefined) payouts.set(record.payoutId, payout);
  }
  return payouts;
}

export function withRecord(payouts: Payouts, record: PayoutRecord): Payouts {
  const payout = after(payouts, record);
  return payout === undefined ? payouts : new Map(payouts).set(record.payoutId, payout);
}

/** Sent, and nobody can tell yet whether their money moved. */
export function unknownPayouts(payouts: Payouts): readonly Payout[] {
  return [...payouts.values()].filter(({ openSends }) => openSends > 0);
}

/** What the record makes of its payout; one for a payout that was never planned is ignored: it allows nothing. */
function after(payouts: Payouts, record: PayoutRecord): Payout | undefined {
  const payout = payouts.get(record.payoutId);
  if (record.type !== 'planned') return payout && applyRecord(payout, record);
  const { type: _, ...plan } = record;
  return payout ?? { ...plan, openSends: 0, voided: [] };
}

function applyRecord(payout: Payout, record: Exclude<PayoutRecord, { type: 'planned' }>): Payout {
  switch (record.type) {
    case 'bound':
      return { ...payout, bound: { invoice: record.invoice, paymentHash: record.paymentHash } };
    case 'sending':
      return { ...payout, openSends: payout.openSends + 1, sentSec: record.atSec };
    case 'rejected':
      return { ...payout, openSends: Math.max(0, payout.openSends - 1) };
    case 'paid':
      return { ...payout, openSends: 0, paid: { preimage: record.preimage, feesMsat: record.feesMsat } };
    case 'void': {
      if (payout.paid || payout.bound?.paymentHash !== record.paymentHash) return payout;
      const { bound: _, ...unbound } = payout;
      return { ...unbound, openSends: 0, voided: [...payout.voided, record.paymentHash] };
    }
  }
}

export type Step =
  | { readonly do: 'done'; readonly preimage: string; readonly feesMsat: bigint }
  | { readonly do: 'bind' }
  | { readonly do: 'look-up' }
  | { readonly do: 'send' }
  | { readonly do: 'record-paid'; readonly preimage: string; readonly feesMsat: bigint }
  | { readonly do: 'wait'; readonly why: string };

/**
 * What a payout needs next. The same invoice may be sent again, since a node takes one payment per hash; another
 * invoice never while a send is open.
 *
 * @param lookup  made after the last send; absent: not asked yet
 */
export function decide(payout: Payout, lookup?: LookupResult): Step {
  const { paid, bound, openSends } = payout;
  if (paid) return { do: 'done', ...paid };
  if (!bound) return { do: 'bind' };
  if (openSends === 0) return { do: 'send' };
  if (!lookup) return { do: 'look-up' };
  if (lookup.state === 'failed' || lookup.state === 'not-found') {
    // The payee's row of a node that both sides share says nothing about what we sent.
    return lookup.direction === 'in' ? { do: 'wait', why: 'the look-up shows the payee side only' } : { do: 'send' };
  }
  if (lookup.state === 'settled' && lookup.direction !== 'in') {
    const { preimage, feesMsat = 0n } = lookup;
    if (preimage === undefined) return { do: 'wait', why: 'settled by the look-up, but without a preimage' };
    if (isPreimage(preimage, bound.paymentHash)) return { do: 'record-paid', preimage, feesMsat };
    return { do: 'wait', why: 'the preimage of the look-up is not the one of the invoice' };
  }
  return { do: 'wait', why: `the look-up says ${lookup.state}` };
}

export function isPreimage(preimage: string, paymentHash: string): boolean {
  return /^[0-9a-f]{64}$/.test(preimage) && sha256Hex(fromHex(preimage)) === paymentHash;
}
