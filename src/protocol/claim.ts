import { z } from 'zod';
import { sha256Hex as hashHex, type Sha256 } from '../hash.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { eventId, msat, nip44Payload, sha256Hex, text } from './scalars.js';

/** A payee's answer to a settlement: an invoice, sealed to the customer (NIP-44); its hash is open, so that what it asked for can be proven. */
export const CLAIM = eventType(
  'claim',
  KINDS.claim,
  'claim',
  z.object({ settlement: eventId, payout: sha256Hex, amountMsat: msat, invoiceHash: sha256Hex, sealed: nip44Payload }),
);

const invoiceText = z
  .string()
  .min(20)
  .max(7_089)
  .regex(/^ln[a-z0-9]+$/);

/** Plaintext of `sealed`. */
export const sealedClaim = z.object({ invoice: invoiceText });

/** SHA-256("nmkt/1/invoice" || text). */
export function invoiceHash(invoice: string): Sha256 {
  return hashHex('nmkt/1/invoice', invoice);
}

/** What an invoice breaks, in the order looked at. `sale`: another preimage than the one that opens the update. `sealed`: nothing that hashes to `invoiceHash` was sealed; only the customer can tell. */
export const INVOICE_RULES = [
  'sealed',
  'text',
  'network',
  'amount',
  'claim',
  'expiry',
  'hold',
  'sale',
  'reused',
] as const;
export type InvoiceRule = (typeof INVOICE_RULES)[number];

/** The customer pays no such invoice; anyone sees why. The payee may claim again. */
export const CLAIM_BAD = eventType(
  'claim-bad',
  KINDS.notice,
  'claim-bad',
  z
    .object({
      claim: eventId,
      payout: sha256Hex,
      rule: z.enum(INVOICE_RULES),
      invoice: invoiceText.nullable(),
      detail: text(500),
    })
    .refine(({ rule, invoice }) => (rule === 'sealed') === (invoice === null), 'the invoice, but for rule sealed'),
);

/** The payee gives up an invoice for ever (its hash is unpaid and will not be claimed), so that another may be bound. */
export const CLAIM_VOID = eventType(
  'claim-void',
  KINDS.claim,
  'void',
  z.object({ claim: eventId, payout: sha256Hex, paymentHash: sha256Hex, reason: text(500) }),
);
