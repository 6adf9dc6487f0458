import { z } from 'zod';
import {
  fromHex,
  sha256Hex as hashHex,
  u32be,
  u64be,
  type Bytes,
  type EventId,
  type Pubkey,
  type Sha256,
} from '../hash.js';
import { engineId, namedLock } from './bid.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { bytes32, eventId, int, sha256Hex, unixSec } from './scalars.js';
import type { ScoreRow } from './score.js';

/** What a validator says before it reveals its scores: that it would score, its share of each draw, and what it will not change any more. */

/** Most of one job: each is asked in every round. */
export const MAX_VALIDATORS = 15;

const round = int(0, 100_000);
const roundTag = (content: { readonly round: number }) => [['round', String(content.round)]];

/** Offers to score a job, before its award. `nonceCommitment` is SHA-256(n_0) of a hash chain of its own, as long as the job's. */
export const REGISTER = eventType(
  'register',
  KINDS.score,
  'register',
  z.object({
    engine: engineId,
    nonceCommitment: sha256Hex,
    /** In jobs with disputes: of a chain of their own, of 32 elements. */
    disputeCommitment: sha256Hex.optional(),
    expires: unixSec,
    lock: namedLock,
  }),
);

/** n_round of its chain, once the commitments of trainers are listed: the draw mixes it in. */
export const NONCE = eventType(
  'nonce',
  KINDS.score,
  'nonce',
  z.object({ round, list: eventId, nonce: bytes32 }),
  roundTag,
);

/** Fixed width and salted: nobody copies scores from it. `list` is that of the reveals it scored. */
export const SCORE_COMMIT = eventType(
  'score-commit',
  KINDS.score,
  'commit',
  z.object({ round, list: eventId, commitment: sha256Hex }),
  roundTag,
);

/** In a validator's scores: the list of score commitments, its own among them, and its salt. */
export const scoreOpening = z.object({ list: eventId, commit: eventId, salt: bytes32 });

/** SHA-256("nmkt/1/seat" || job || validator): who registers more than there are seats, is taken in this order. */
export function seatHash(job: EventId, validator: Pubkey): Sha256 {
  return hashHex('nmkt/1/seat', fromHex(job), fromHex(validator));
}

const NONE = new Uint8Array(32);

/** Two's complement. */
const i64be = (value: number): Bytes => u64be(BigInt.asUintN(64, BigInt(value)));

function rowBytes(row: ScoreRow): Bytes[] {
  const { spot } = row;
  return [
    ...[fromHex(row.submission), fromHex(row.trainer), u32be(row.shard)],
    ...[row.ownBeforePpm, row.ownAfterPpm, row.otherBeforePpm, row.otherAfterPpm].map(i64be),
    ...[row.ownSePpm, row.otherSePpm, row.dPpm, row.ePpm, row.lossPpm].map(i64be),
    ...[u32be(spot === null ? 0 : spot.segment + 1), spot === null ? NONE : fromHex(spot.hash)],
  ];
}

/**
 * SHA-256("nmkt/1/score" || job || u32 round || list || validator || SHA-256(engine) || data || u32 count || rows || salt); a row is
 * submission, trainer, u32 shard, the nine numbers in the order of their fields as i64, u32 segment + 1 and the hash it ends in, zeros
 * where nothing was repeated.
 *
 * @param list  of reveals
 */
export function scoreCommitment(
  of: ScoresOf & { readonly list: EventId; readonly scores: readonly ScoreRow[]; readonly salt: Bytes },
): Sha256 {
  return scoresHash('nmkt/1/score', of.list, of, of.scores.map(rowBytes), of.salt);
}

/** Whose scores a commitment is to, and on which data. */
export interface ScoresOf {
  readonly job: EventId;
  readonly round: number;
  readonly validator: Pubkey;
  readonly engine: string;
  readonly data: Sha256;
}

/** SHA-256(label || job || u32 round || subject || validator || SHA-256(engine) || data || u32 count || rows || salt): of the modes alike. */
export function scoresHash(
  label: string,
  subject: EventId,
  { job, round, validator, engine, data }: ScoresOf,
  rows: readonly (readonly Bytes[])[],
  salt: Bytes,
): Sha256 {
  return hashHex(
    label,
    ...[fromHex(job), u32be(round), fromHex(subject), fromHex(validator)],
    ...[fromHex(hashHex(engine)), fromHex(data), u32be(rows.length)],
    ...rows.flat(),
    salt,
  );
}
