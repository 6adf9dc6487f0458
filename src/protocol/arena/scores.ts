import { z } from 'zod';
import { fromHex, u32be, u64be, type Bytes, type EventId, type Sha256 } from '../../hash.js';
import { engineId } from '../bid.js';
import { eventType } from '../envelope.js';
import { KINDS } from '../kinds.js';
import { bytes32, eventId, int, sha256Hex } from '../scalars.js';
import { scoresHash, type ScoresOf } from '../validator.js';

/** Of a model that is too large, cannot be loaded or gives no number, and of every one that is worse. */
export const WORST_SCORE_PPM = 999_000_000;

const row = z
  .object({
    alias: int(0, 1_023),
    /** Hash of what was opened; null: nothing was. */
    model: sha256Hex.nullable(),
    scorePpm: int(0, WORST_SCORE_PPM),
  })
  .refine(({ model, scorePpm }) => model !== null || scorePpm === WORST_SCORE_PPM, 'the worst score without a model');
export type ArenaScore = z.output<typeof row>;

/** What is committed to and revealed; `data` is the set's commitment, `scores` in order of alias. */
export const arenaSheet = z.object({ engine: engineId, data: sha256Hex, scores: z.array(row).min(1).max(1_024) });
export type ArenaSheet = z.output<typeof arenaSheet>;

/** Of a validator: exactly what its seats were drawn for. `list` is that of score commitments. */
export const ARENA_SCORES = eventType(
  'arena-scores',
  KINDS.score,
  'arena-reveal',
  z.object({
    /** Which draw of the job, from 0. */
    round: int(0, 100_000),
    list: eventId,
    commit: eventId,
    salt: bytes32,
    ...arenaSheet.shape,
  }),
  (content) => [['round', String(content.round)]],
);

const NONE = new Uint8Array(32);

/**
 * SHA-256("nmkt/1/arena-score" || job || u32 round || draw || validator || SHA-256(engine) || data || u32 count || rows || salt); a row is u32
 * alias, model hash, 32 zeros for none, u64 score.
 */
export function arenaScoreCommitment(
  of: ScoresOf & { readonly draw: EventId; readonly scores: readonly ArenaScore[]; readonly salt: Bytes },
): Sha256 {
  const rows = of.scores.map(({ alias, model, scorePpm }) => [
    u32be(alias),
    model === null ? NONE : fromHex(model),
    u64be(BigInt(scorePpm)),
  ]);
  return scoresHash('nmkt/1/arena-score', of.draw, of, rows, of.salt);
}
