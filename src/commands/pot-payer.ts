import { isNmktError } from '../errors.js';
import { fromHex, sha256Hex } from '../hash.js';
import { brokenInvoiceRule } from '../market/claim-rules.js';
import type { Network, Stake } from '../ports.js';
import type { Payer, PaymentResult } from '../roles/customer-env.js';
import { decodeReceiptInvoice } from './find-job.js';

type PotRequest = Parameters<Payer['pay']>[0] & { readonly pot: object };

/** Pays by the keeper of the stakes, who pays each payout once: nothing of it is remembered here. */
export async function payFromPot(
  { pot, payout, invoice, descriptionHash }: PotRequest,
  network: Network,
  stakeOf: (() => Promise<Stake | null>) | undefined,
): Promise<PaymentResult> {
  const decoded = decodeReceiptInvoice(invoice);
  const { amountMsat } = payout;
  // Until when it has to be payable the claim says; who paid what else, the job.
  const terms = { network, amountMsat, descriptionHash, claimedAt: 0, receipted: new Set<string>() };
  const rule = brokenInvoiceRule(decoded, terms);
  if (rule !== null) return { kind: 'held', cause: 'invoice', why: `its invoice breaks the rule ${rule}`, decoded };
  try {
    const stake = (await stakeOf?.()) ?? null;
    if (stake === null) return held('unreachable', 'no wallet that keeps stakes is set');
    const { paymentHash, preimage } = await stake.pay({ ...pot, payout: payout.payout, invoice });
    const isProof = sha256Hex(fromHex(preimage)) === paymentHash && paymentHash === decoded!.paymentHash;
    if (!isProof)
      return held('unknown', 'the keeper of the pot says paid, but its preimage is not the one of the invoice');
    return { kind: 'paid', invoice, paymentHash, preimage, feesMsat: 0n };
  } catch (error) {
    if (isNmktError(error, 'wallet-unreachable')) return held('unreachable', error.message);
    if (isNmktError(error, 'payment-failed') || isNmktError(error, 'bad-event') || isNmktError(error, 'bad-usage'))
      return held('refused', `the keeper of the pot refuses: ${error.got ?? error.message}`);
    throw error;
  }
}

function held(cause: 'unknown' | 'refused' | 'unreachable', why: string): PaymentResult {
  return { kind: 'held', cause, why };
}
