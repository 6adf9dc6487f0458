import { z } from 'zod';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { eventId, msat, nip44Payload, sha256Hex, text } from './scalars.js';

/** A payee's answer to a settlement: an invoice, sealed to the customer (NIP-44). */
export const CLAIM = eventType(
  'claim',
  KINDS.claim,
  'claim',
  z.object({ settlement: eventId, payout: sha256Hex, amountMsat: msat, sealed: nip44Payload }),
);

/** Plaintext of `sealed`. */
export const sealedClaim = z.object({
  invoice: z
    .string()
    .min(20)
    .max(7_089)
    .regex(/^ln[a-z0-9]+$/),
});

/** The payee gives up an invoice for ever (its hash is unpaid and will not be claimed), so that another may be bound. */
export const CLAIM_VOID = eventType(
  'claim-void',
  KINDS.claim,
  'void',
  z.object({ claim: eventId, payout: sha256Hex, paymentHash: sha256Hex, reason: text(500) }),
);
