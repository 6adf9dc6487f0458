import type { Sha256 } from '../hash.js';
import { invoiceHash, type InvoiceRule } from '../protocol/claim.js';
import type { EventOf } from '../protocol/events.js';
import { INVOICE_PREFIX, type NetworkName } from '../protocol/network.js';
import { broken, type Broken, type Draft } from './draft.js';

/** What an invoice in a claim must be; whoever sees it comes to the same verdict. */

/** Blocks. A larger final delta lets the payee hold the payer's money for hours (hold invoices). */
export const MAX_FINAL_CLTV = 80;
/** From its claim on: a day, less what clocks and a slow wallet may take of it. */
export const MIN_PAYABLE_SEC = 82_800;

/** What the rules look at of a decoded BOLT11 invoice. */
export interface InvoiceFacts {
  readonly prefix: string;
  readonly msat: bigint | null;
  readonly paymentHash: string;
  readonly descriptionHash: string | null;
  readonly timestampSec: number;
  readonly expirySec: number;
  readonly minFinalCltv: number;
}

export interface ClaimTerms {
  readonly network: NetworkName;
  readonly amountMsat: bigint;
  /** The claim hash. */
  readonly descriptionHash: Sha256;
  readonly claimedAt: number;
  /** Payment hashes in receipts of other payouts of the job. */
  readonly receipted: ReadonlySet<string>;
  /** Whose preimage opens what is paid for; absent: nothing is. */
  readonly paymentHash?: Sha256 | undefined;
}

/**
 * The first rule that an invoice breaks, or null.
 *
 * @param invoice  null: not a signed BOLT11 invoice
 */
export function brokenInvoiceRule(invoice: InvoiceFacts | null, terms: ClaimTerms): InvoiceRule | null {
  if (invoice === null) return 'text';
  if (invoice.prefix !== INVOICE_PREFIX[terms.network]) return 'network';
  if (invoice.msat !== terms.amountMsat) return 'amount';
  if (invoice.descriptionHash !== terms.descriptionHash) return 'claim';
  if (invoice.timestampSec + invoice.expirySec < terms.claimedAt + MIN_PAYABLE_SEC) return 'expiry';
  if (invoice.minFinalCltv > MAX_FINAL_CLTV) return 'hold';
  if (terms.paymentHash !== undefined && invoice.paymentHash !== terms.paymentHash) return 'sale';
  return terms.receipted.has(invoice.paymentHash) ? 'reused' : null;
}

export function applyClaimBad(draft: Draft, event: EventOf<'claim-bad'>): Broken | null {
  const { claim: id, payout, invoice } = event.content;
  if (draft.refusedClaims.has(id)) return broken('claim-bad', 'the claim was refused before');
  const claim = draft.byId.get(id);
  if (claim === undefined) draft.missing.add(id);
  else if (claim.type !== 'claim' || claim.content.payout !== payout)
    return broken('claim-bad', 'it names no claim of this payout');
  else if (invoice !== null && invoiceHash(invoice) !== claim.content.invoiceHash)
    return broken('claim-bad', 'it shows another invoice than the claim’s');
  if (draft.receipts.get(payout)?.content.claim === id) return broken('claim-bad', 'the claim is paid');
  draft.refusedClaims.set(id, event);
  return null;
}
