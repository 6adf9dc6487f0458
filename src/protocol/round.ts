import { z } from 'zod';
import { engineId } from './bid.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { blobPointer, inlineBlob } from './pointer.js';
import { MAX_VALIDATORS } from './validator.js';
import { bytes32, degraded, eventId, int, loss, ppm, pubkey, sha256Hex, text, unixSec } from './scalars.js';

const round = int(0, 100_000);
const shard = int(0, 65_535);
const roundTag = (content: { readonly round: number }) => [['round', String(content.round)]];
/** `score-commit` and `score-reveal`: of validators. */
export const LISTED_PHASES = ['commit', 'reveal', 'score-commit', 'score-reveal'] as const;
export type ListedPhase = (typeof LISTED_PHASES)[number];
/** A draw lists the nonces. */
export const SEEN_PHASES = [...LISTED_PHASES, 'nonce'] as const;
export type SeenPhase = (typeof SEEN_PHASES)[number];
const ids = z.array(eventId).max(1_024);

/** Differences in a row, after which a whole model comes: what somebody new has to fetch besides it. */
export const MAX_DIFFERENCES = 8;

/**
 * The model that a round starts from, as its difference to the one that the round before started from. Then hash and size in `base` are of
 * the model, those here of the difference, and the rest of `base` says where the difference lies.
 */
const difference = z.object({
  coding: z.literal('ordered-words'),
  /** Hash of the model before. */
  to: sha256Hex,
  sha256: sha256Hex,
  size: int(0, 2 ** 40),
});

/** A round starts from `base`, sealed under the round key; who trains which shard; until when commitments count. */
export const OPEN = eventType(
  'open',
  KINDS.round,
  'open',
  z.object({
    round,
    base: blobPointer,
    inline: inlineBlob.optional(),
    difference: difference.optional(),
    trainers: z
      .array(z.object({ trainer: pubkey, shard }))
      .min(1)
      .max(1_024),
    until: unixSec,
  }),
  roundTag,
);

/** Ids new since the last one: what is seen and later not listed is a proven omission. */
export const SEEN = eventType(
  'seen',
  KINDS.round,
  'seen',
  z.object({ round, of: z.enum(SEEN_PHASES), ids }),
  (content) => [...roundTag(content), ['of', content.of]],
);

/** The ids that count: ends the phase. `until` says until when what follows counts: reveals, and with validators their scores. */
export const LIST = eventType(
  'list',
  KINDS.round,
  'list',
  z.object({ round, of: z.enum(LISTED_PHASES), ids, until: unixSec.nullable(), degraded }),
  (content) => [...roundTag(content), ['of', content.of]],
);

/**
 * Reveals s_round of the hash chain committed in the job: which updates and segments are repeated follows from it, the list and the
 * validators' nonces, in order of their keys; absent: none.
 */
export const DRAW = eventType(
  'draw',
  KINDS.round,
  'draw',
  z.object({ round, list: eventId, s: bytes32, nonces: z.array(eventId).min(1).max(MAX_VALIDATORS).optional() }),
  roundTag,
);

/** The rules of acceptance, in the order they are applied. */
export const REJECTION_RULES = [
  'absent',
  'no-reveal',
  'opening',
  'base',
  'residual',
  'engine',
  'sale',
  'blob',
  'shape',
  'unchanged',
  'copy',
  'loss',
  'work-floor',
  'spot-check',
] as const;
export type RejectionRule = (typeof REJECTION_RULES)[number];

/** Exactly the submissions that count, and the hash of the model that starts the next round. */
export const CLOSE = eventType(
  'close',
  KINDS.round,
  'close',
  z.object({
    round,
    list: eventId,
    scores: eventId,
    accepted: z.array(z.object({ submission: eventId, trainer: pubkey, shard })).max(1_024),
    rejected: z
      .array(
        z.object({
          submission: eventId.nullable(),
          trainer: pubkey,
          shard,
          rule: z.enum(REJECTION_RULES),
          detail: text(500),
        }),
      )
      .max(1_024),
    /** The next global model: what rule and outer step made of the accepted updates. On rail `key-sale` still the base: `sold` says what follows. */
    aggregate: sha256Hex,
    /** What the outer step keeps for the next round: hash of its canonical bytes; absent where it keeps nothing. */
    outerState: sha256Hex.optional(),
    /** Exactly with rule `fltrust`: what the customer's own training on set A made of the base, under a key of its own. */
    root: blobPointer.optional(),
    lossPpm: loss,
    accuracyPpm: ppm.nullable(),
    /** What measured them; absent: nobody can hold them to the ppm. */
    engine: engineId.optional(),
  }),
  roundTag,
);

/**
 * The end of a round's sale, on rail `key-sale`: of the accepted submissions exactly those whose payment has a receipt and whose key was no
 * proven fraud, in order, and the model they make; below the quorum the base stays. What is not sold by then is not owed.
 */
export const SOLD = eventType(
  'sold',
  KINDS.round,
  'sold',
  z.object({
    round,
    settlement: eventId,
    sold: z.array(z.object({ submission: eventId, trainer: pubkey, shard })).max(1_024),
    aggregate: sha256Hex,
    outerState: sha256Hex.optional(),
    lossPpm: loss,
    accuracyPpm: ppm.nullable(),
    engine: engineId.optional(),
  }),
  roundTag,
);

/** No quorum: the round counts for nobody, the global model stays. */
export const VOID = eventType(
  'void',
  KINDS.round,
  'void',
  z.object({ round, reason: z.enum(['no-quorum']), degraded }),
  roundTag,
);
