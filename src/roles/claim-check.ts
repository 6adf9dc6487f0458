import { brokenInvoiceRule, type InvoiceFacts } from '../market/claim-rules.js';
import { receiptedElsewhere, type AnyPayout } from '../market/state.js';
import { invoiceHash, sealedClaim, type InvoiceRule } from '../protocol/claim.js';
import type { EventOf } from '../protocol/events.js';
import { parseJson } from '../protocol/json.js';
import { claimHash } from '../protocol/settlement.js';
import type { Sha256 } from '../hash.js';
import type { Signer } from '../ports.js';
import type { Debt } from './customer-money.js';
import { isOwnTrouble } from './patience.js';

/** What a payee sealed to its customer, and whether that can be paid. */

/** The invoice of a claim; null: it does not open, or seals none. @throws what `isOwnTrouble` names */
export async function claimedInvoice(
  { signer }: { readonly signer: Signer },
  { author, content }: EventOf<'claim'>,
): Promise<string | null> {
  try {
    return sealedClaim.parse(parseJson(await signer.decrypt(author, content.sealed))).invoice;
  } catch (error) {
    if (isOwnTrouble(error)) throw error;
    return null;
  }
}

/** What the invoice of a payout has to carry. */
export function descriptionHashOf({ state }: Pick<Debt, 'state'>, line: AnyPayout): Sha256 {
  const { payout, settlement, payee, amountMsat } = line;
  return claimHash({ job: state.jobId, settlement: settlement.id, payout, payee, amountMsat });
}

/**
 * What would be said of the claim of a payout now; nothing is signed.
 *
 * @param decode  null for what is no signed BOLT11 invoice
 */
export async function judgeClaim(
  env: { readonly signer: Signer; readonly decode: (invoice: string) => InvoiceFacts | null },
  debt: Pick<Debt, 'state' | 'network' | 'rounds' | 'paymentHash'>,
  line: AnyPayout,
): Promise<'none' | 'payable' | InvoiceRule> {
  const { claim, amountMsat } = line;
  const { network, paymentHash } = debt;
  if (claim === null) return 'none';
  const invoice = await claimedInvoice(env, claim);
  if (invoice === null || invoiceHash(invoice) !== claim.content.invoiceHash) return 'sealed';
  const terms = { network, amountMsat, descriptionHash: descriptionHashOf(debt, line), paymentHash };
  const receipted = receiptedElsewhere(debt, line);
  return brokenInvoiceRule(env.decode(invoice), { ...terms, claimedAt: claim.createdAt, receipted }) ?? 'payable';
}
