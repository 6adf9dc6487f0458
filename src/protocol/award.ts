import { z } from 'zod';
import { RULES } from '../learning/aggregate/rule.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { openedBid } from './sealed-bid.js';
import { degraded, eventId, int, msat, pubkey, sha256Hex, text } from './scalars.js';
import { MAX_VALIDATORS } from './validator.js';

/** Why a bid was not admissible. */
export const BID_RULES = [
  'price-above-ceiling',
  'engine-not-accepted',
  'expired',
  'own-job',
  'blocked',
  /** The customer follows others only: its word. */
  'web-of-trust',
  'proof-of-work',
  /** `keyRelease` `known`. */
  'unknown-key',
  /** It names no stake of its own that counts, where the job asks for one. */
  'unstaked',
  /** Nothing that was sealed opens its commitment; only the customer can tell. */
  'sealed',
] as const;

const considered = z.object({
  bid: eventId,
  trainer: pubkey,
  priceMsat: msat,
  effectiveMsat: msat,
  attempts: int(0, 1_000_000),
  successes: int(0, 1_000_000),
  /** That it offers to take, where the job lets it have more than one; absent: one. */
  shards: int(2, 1_024).optional(),
  /** What counts of its stake and of that behind it; absent: nothing. */
  stakeMsat: msat.optional(),
  outcome: z.enum(['won', 'spare', 'refused']),
  rule: z.enum(BID_RULES).optional(),
  /** Exactly of a sealed bid that the customer could open. */
  opened: openedBid.optional(),
});
const winner = z.object({ trainer: pubkey, bid: eventId, shard: int(0, 65_535), priceMsat: msat, grant: sha256Hex });

const awardContent = z.object({
  bids: z.array(considered).max(1_024),
  winners: z.array(winner).min(1).max(1_024),
  rule: z.object({ name: z.enum(RULES), f: int(0, 1_024), m: int(0, 1_024) }),
  /** Seats that bids of new keys could fill and `newKeyShare` leaves empty. */
  withheld: int(1, 1_024).optional(),
  /** The customer's last event of each earlier job that attempts and successes were counted in. */
  counted: z.array(eventId).min(1).max(64).optional(),
  /** In the order of `seatHash`; absent: none. `grant` is the hash of the key to set A. */
  validators: z
    .array(z.object({ validator: pubkey, register: eventId, grant: sha256Hex }))
    .min(1)
    .max(MAX_VALIDATORS)
    .optional(),
});
export type AwardContent = z.output<typeof awardContent>;

/** One per job: every bid considered, the winners with their shards, and the aggregation rule with its f and m. */
export const AWARD = eventType('award', KINDS.award, 'award', awardContent);

/**
 * A spare, or a late bid when none is left, takes over a shard from the next round on; `in` null leaves the shard untrained. `vacant`:
 * nobody held it, and `out` is null.
 */
export const REPLACE = eventType(
  'replace',
  KINDS.award,
  'replace',
  z.object({
    shard: int(0, 65_535),
    out: pubkey.nullable(),
    reason: z.enum(['not-started', 'absent', 'rejected', 'grant-bad', 'resigned', 'fraud', 'vacant', 'unstaked']),
    in: z.object({ trainer: pubkey, bid: eventId, priceMsat: msat, grant: sha256Hex }).nullable(),
    degraded,
  }),
);

export const CANCEL = eventType('cancel', KINDS.award, 'cancel', z.object({ reason: text(500) }));
