import { z } from 'zod';
import { engineId } from '../bid.js';
import { eventType } from '../envelope.js';
import { KINDS } from '../kinds.js';
import { bytes32, eventId, int, sha256Hex } from '../scalars.js';
import { MAX_MEMBERS } from './job.js';
import { allianceRound, allianceRoundTag } from './round.js';

/** A mean loss as measured, at most what counts as worst. */
const lossPpm = int(0, 999_000_000);

/**
 * What a voter committed to with a `score-commit` whose `list` is that of proposals. `list` is the list of those commitments; `proposals` are
 * those it could open, in order of their authors' keys, from which `aggregate` follows; the losses are on its own test data.
 */
export const VOTE = eventType(
  'vote',
  KINDS.score,
  'vote',
  z.object({
    round: allianceRound,
    list: eventId,
    commit: eventId,
    salt: bytes32,
    proposals: z.array(eventId).max(MAX_MEMBERS),
    aggregate: sha256Hex,
    vote: z.union([z.literal(1), z.literal(-1)]),
    beforePpm: lossPpm,
    afterPpm: lossPpm,
    engine: engineId,
  }),
  allianceRoundTag,
);
