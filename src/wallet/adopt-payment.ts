import { decodeInvoice } from './bolt11.js';
import type { PayoutRequest, PayoutTools } from './payout-journal.js';
import { isPreimage, type Bound, type Payout } from './payout-records.js';

/** More look-ups than this for one payout are no honest payee's. */
const MAX_CLAIMS = 16;

/**
 * Writes into the journal what an earlier home of this key paid, or may be paying, for a payout that this journal never sent.
 *
 * @param payout  what the journal has of it, if anything
 * @returns why nothing may be sent yet, or null
 */
export async function adoptPayment(
  request: PayoutRequest,
  { wallet, book, clock }: Pick<PayoutTools, 'wallet' | 'book' | 'clock'>,
  payout: Payout | undefined,
): Promise<string | null> {
  const { payoutId, planHash, job, round, payee, amountMsat, claimed = [] } = request;
  const invoices = [...new Set([...claimed, request.invoice, ...(payout?.bound ? [payout.bound.invoice] : [])])];
  if (invoices.length > MAX_CLAIMS) return `it was claimed ${invoices.length} times, with as many invoices`;
  const adopt = async ({ invoice, paymentHash }: Bound): Promise<void> => {
    if (!payout) await book.append({ type: 'planned', payoutId, planHash, job, round, payee, amountMsat });
    if (payout?.bound?.invoice !== invoice) await book.append({ type: 'bound', payoutId, invoice, paymentHash });
    await book.append({ type: 'sending', payoutId, atSec: clock.nowSec() });
  };
  const doubts: string[] = [];
  for (const bound of invoices.flatMap((invoice) => readInvoice(invoice, request))) {
    const { state, direction, preimage, feesMsat = 0n } = await wallet.lookup(bound.paymentHash);
    if (state === 'not-found' || state === 'failed') continue;
    const isProven =
      direction !== 'in' && state === 'settled' && preimage !== undefined && isPreimage(preimage, bound.paymentHash);
    // Given up by its payee, and by this journal too: only proof brings it back.
    if (!isProven && payout?.voided.includes(bound.paymentHash) === true) continue;
    if (isProven) {
      await adopt(bound);
      await book.append({ type: 'paid', payoutId, preimage, feesMsat });
      return null;
    }
    if (direction !== 'in' && (state === 'settled' || state === 'pending')) {
      await adopt(bound);
      return null;
    }
    if (request.voided?.has(bound.paymentHash) === true) continue;
    const said = direction === 'in' ? 'shows the payee side only' : `says ${state}`;
    doubts.push(`the look-up of ${bound.paymentHash} ${said}`);
  }
  // One hash is paid at most once by a node: only among several a send could be the second one.
  return doubts.length > 0 && invoices.length > 1 ? doubts[0]! : null;
}

/** Only what this very claim is for could have been sent for it; the checks before a send say why another is not payable. */
function readInvoice(invoice: string, { amountMsat, descriptionHash }: PayoutRequest): Bound[] {
  try {
    const decoded = decodeInvoice(invoice);
    const isIts = decoded.msat === amountMsat && decoded.descriptionHash === descriptionHash;
    return isIts ? [{ invoice, paymentHash: decoded.paymentHash }] : [];
  } catch {
    return [];
  }
}
