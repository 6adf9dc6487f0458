import { z } from 'zod';
import { engineId } from './bid.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { eventId, int, loss, ppm, pubkey, sha256Hex } from './scalars.js';
import { MAX_CHECKPOINTS } from './submission.js';
import { scoreOpening } from './validator.js';

const row = z.object({
  submission: eventId,
  trainer: pubkey,
  shard: int(0, 65_535),
  ownBeforePpm: loss,
  ownAfterPpm: loss,
  otherBeforePpm: loss,
  otherAfterPpm: loss,
  ownSePpm: int(0, 1_000_000_000_000),
  otherSePpm: int(0, 1_000_000_000_000),
  dPpm: ppm,
  ePpm: ppm,
  lossPpm: loss,
  /** The segment that was repeated and what it ends in here; null when none was. */
  spot: z.object({ segment: int(0, MAX_CHECKPOINTS), hash: sha256Hex }).nullable(),
});
export type ScoreRow = z.output<typeof row>;

/** The numbers of a row. */
export const MEASURES = [
  'ownBeforePpm',
  'ownAfterPpm',
  'otherBeforePpm',
  'otherAfterPpm',
  'ownSePpm',
  'otherSePpm',
  'dPpm',
  'ePpm',
  'lossPpm',
] as const;
/** What one can be told to be false. */
export type Measured = (typeof MEASURES)[number] | 'spot';

export const scoresContent = z.object({
  round: int(0, 100_000),
  list: eventId,
  engine: engineId,
  data: sha256Hex,
  scores: z.array(row).max(1_024),
  /** Exactly in those of a validator: opens what it committed to. */
  opening: scoreOpening.optional(),
});

/**
 * Measurements are signed inputs: losses in parts per million of a nat (or of squared error) before and after each update, on a
 * sample of the assigned shard and of other data; D and E follow from them. `ownSePpm` and `otherSePpm` are standard errors of the two relative
 * drops, paired by example. `lossPpm` is the update's loss on evaluation set A,
 * `data` the set's commitment.
 */
export const SCORES = eventType('scores', KINDS.score, 'reveal', scoresContent, (content) => [
  ['round', String(content.round)],
]);
