import { z } from 'zod';
import { fromHex, sha256, sha256Hex as hashHex, u32be, type Bytes, type EventId, type Pubkey } from '../hash.js';
import { engineId } from './bid.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { bytes32, eventId, int, sha256Hex } from './scalars.js';
import { MAX_CHECKPOINTS } from './submission.js';
import { MAX_VALIDATORS } from './validator.js';

/** How a trainer that is called a fraud has its segment repeated by a validator that nobody chose. */

/** Of one job: as long as each validator's chain of nonces for them. */
export const MAX_DISPUTES = 32;

/** How long each step may take: the complaint after the `fraud`, the nonces after the `dispute`, each repetition. */
export const disputeTerms = z.object({ withinSec: int(1, 31_536_000) });

const round = int(0, 100_000);
const shard = int(0, 65_535);
const roundTag = (content: { readonly round: number }) => [['round', String(content.round)]];

/** The customer lists a complaint about its `fraud`: validators open their nonces. The n-th of a job is drawn with the n-th of each. */
export const DISPUTE = eventType(
  'dispute',
  KINDS.notice,
  'dispute',
  z.object({ round, shard, complaint: eventId }),
  roundTag,
);

/** A validator's share of the draw: the next element of the chain it committed to for disputes when it registered. */
export const DISPUTE_NONCE = eventType(
  'dispute-nonce',
  KINDS.score,
  'dispute-nonce',
  z.object({ round, dispute: eventId, nonce: bytes32 }),
  roundTag,
);

/** The nonces that count, in order of their authors' keys; absent: nobody of the engine opened one. */
export const DISPUTE_DRAW = eventType(
  'dispute-draw',
  KINDS.notice,
  'dispute-draw',
  z.object({ round, dispute: eventId, nonces: z.array(eventId).min(1).max(MAX_VALIDATORS).optional() }),
  roundTag,
);

/** What the disputed segment ends in on a validator's engine. */
export const VERDICT = eventType(
  'verdict',
  KINDS.score,
  'verdict',
  z.object({
    round,
    shard,
    draw: eventId,
    engine: engineId,
    segment: int(0, MAX_CHECKPOINTS),
    hash: sha256Hex,
  }),
  roundTag,
);

/**
 * Validators repeat in the order of SHA-256(seed || validator), seed = SHA-256("nmkt/1/draw" || "dispute" || job || u32 index || complaint ||
 * nonces in order of their authors' keys). The complaint stands before any nonce opens, and the nonces are fixed by registrations.
 *
 * @param index  of the dispute in the job, from 0
 */
export function disputeOrder(
  job: EventId,
  index: number,
  complaint: EventId,
  drawn: readonly { readonly validator: Pubkey; readonly nonce: Bytes }[],
): readonly Pubkey[] {
  const byKey = [...drawn].sort((a, b) => (a.validator < b.validator ? -1 : 1));
  const nonces = byKey.map(({ nonce }) => nonce);
  const seed = sha256('nmkt/1/draw', 'dispute', fromHex(job), u32be(index), fromHex(complaint), ...nonces);
  return byKey
    .map(({ validator }) => ({ validator, at: hashHex(seed, fromHex(validator)) }))
    .sort((a, b) => (a.at < b.at ? -1 : 1))
    .map(({ validator }) => validator);
}
