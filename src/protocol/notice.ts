import { z } from 'zod';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { bytes32, degraded, eventId, int, msat, ppm, pubkey, sha256Hex, text } from './scalars.js';
import { engineId } from './bid.js';
import { MEASURES } from './score.js';
import { MAX_CHECKPOINTS } from './submission.js';
import { MAX_VALIDATORS } from './validator.js';

const shard = int(0, 65_535);

/** The trainer opened its grant and its shard: the job can start. `award` is the award or replacement it answers. */
export const READY = eventType('ready', KINDS.notice, 'ready', z.object({ award: eventId, shard, grant: sha256Hex }));

/** The grant or the shard breaks a rule: nobody may call this trainer absent. */
export const GRANT_BAD = eventType(
  'grant-bad',
  KINDS.notice,
  'grant-bad',
  z.object({ award: eventId, shard, rule: z.enum(['hash', 'key', 'locator', 'blob', 'rows']), detail: text(500) }),
);

export const RESIGN = eventType('resign', KINDS.notice, 'resign', z.object({ reason: text(500) }));

/** The customer paid: invoice (signed by the payee's node), payment hash and preimage together prove it. */
export const RECEIPT = eventType(
  'receipt',
  KINDS.notice,
  'receipt',
  z.object({
    settlement: eventId,
    payout: sha256Hex,
    claim: eventId,
    payee: pubkey,
    amountMsat: msat,
    invoice: z
      .string()
      .min(20)
      .max(7_089)
      .regex(/^ln[a-z0-9]+$/),
    paymentHash: sha256Hex,
    preimage: sha256Hex,
  }),
);

/** The payee's countersignature. */
export const RECEIVED = eventType(
  'received',
  KINDS.notice,
  'received',
  z.object({ receipt: eventId, payout: sha256Hex, amountMsat: msat }),
);

/** The payee had no money in time for a valid claim. */
export const UNPAID = eventType(
  'unpaid',
  KINDS.notice,
  'unpaid',
  z.object({ settlement: eventId, payout: sha256Hex, claim: eventId, amountMsat: msat, degraded }),
);

/**
 * A drawn segment, repeated on the same engine, ends in another state than the trainer committed to. With the base or the
 * state before the segment, the shard and the seed anyone repeats it.
 */
export const FRAUD = eventType(
  'fraud',
  KINDS.notice,
  'fraud',
  z.object({
    round: int(0, 100_000),
    shard,
    trainer: pubkey,
    submission: eventId,
    scores: eventId,
    segment: int(0, MAX_CHECKPOINTS),
    committed: sha256Hex,
    repeated: sha256Hex,
    /**
     * Where the whole training was repeated from its base: what its segments ended in. The one that is named is then the one thing to
     * look at: it starts where both sides agree and ends where they do not.
     */
    ends: z
      .array(sha256Hex)
      .min(1)
      .max(MAX_CHECKPOINTS + 1)
      .optional(),
  }),
  (content) => [['round', String(content.round)]],
);

const roundTag = (content: { readonly round: number }) => [['round', String(content.round)]];

/** What its author found instead, on its own engine. */
const found = z.discriminatedUnion('what', [
  z.object({ what: z.literal('score'), field: z.enum(MEASURES), ppm }),
  z.object({ what: z.literal('segment'), segment: int(0, MAX_CHECKPOINTS), hash: sha256Hex }),
]);

/** Somebody holds its own value against a signed one: scores, a `fraud` or a `verdict`, which `subject` names. Only of segments do others' verdicts decide. */
export const COMPLAINT = eventType(
  'complaint',
  KINDS.notice,
  'complaint',
  z.object({ round: int(0, 100_000), shard, subject: eventId, engine: engineId, found, detail: text(500) }),
  roundTag,
);

/**
 * A key that was sold is not the one that the trainer signed a hash of: preimage, z and wrapped key hash to what its reveal says, and make
 * another key. Anyone checks it with four hashes; nothing else is disclosed by it.
 */
export const KEY_FRAUD = eventType(
  'key-fraud',
  KINDS.notice,
  'key-fraud',
  z.object({
    round: int(0, 100_000),
    shard,
    trainer: pubkey,
    submission: eventId,
    preimage: bytes32,
    z: bytes32,
    wrapped: bytes32,
  }),
  roundTag,
);

/** Scores that more than half of the validators on the same engine contradict in one value, to the bit: one of theirs can be no measurement. */
export const VALIDATOR_FRAUD = eventType(
  'validator-fraud',
  KINDS.notice,
  'validator-fraud',
  z.object({
    round: int(0, 100_000),
    validator: pubkey,
    scores: eventId,
    submission: eventId,
    shard,
    field: z.enum([...MEASURES, 'spot']),
    witnesses: z.array(eventId).min(1).max(MAX_VALIDATORS),
  }),
  roundTag,
);
