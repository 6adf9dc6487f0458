import { z } from 'zod';
import { eventType } from '../envelope.js';
import { KINDS } from '../kinds.js';
import type { ArenaPurpose } from '../arena/ranking.js';
import { planLineOf } from '../settlement.js';
import { bytes32, eventId, int, msat, sha256Hex, unixSec } from '../scalars.js';
import { MAX_ALLIANCE_ROUNDS, MAX_MEMBERS } from './job.js';

/** What the customer of an alliance signs in a round; `seen` and `list` between are those of other jobs. */

export const allianceRound = int(0, MAX_ALLIANCE_ROUNDS - 1);
export const allianceRoundTag = (content: { readonly round: number }) => [['round', String(content.round)]];

/** Who joined: registrations, in order of their authors' keys. Nonces open after it, until `until`. */
export const ALLIANCE_OPEN = eventType(
  'alliance-open',
  KINDS.round,
  'alliance-open',
  z.object({ round: allianceRound, members: z.array(eventId).max(MAX_MEMBERS), until: unixSec }),
  allianceRoundTag,
);

/** Reveals s_round: with the nonces of those who opened one, in order of their keys, it says who proposes and who votes. `until` when proposals are committed to. */
export const ROLES_DRAW = eventType(
  'roles',
  KINDS.round,
  'roles',
  z.object({
    round: allianceRound,
    list: eventId,
    s: bytes32,
    nonces: z.array(eventId).max(MAX_MEMBERS),
    until: unixSec,
  }),
  allianceRoundTag,
);

/** `bonus`: of what was slashed, which lies in the pot that the keeper of the locks has. */
export type AlliancePurpose = ArenaPurpose | 'bonus';

const planLine = planLineOf('trainer', 'fee', 'bonus', 'carry', 'refund');
export type AlliancePlanLine = z.output<typeof planLine>;

/**
 * What a round came to and what it pays; anyone recomputes it. `last` is the event that ended it: the list of votes, or before that a draw
 * or list that left too few. `aggregate`: what most stake names; null: nobody revealed.
 */
export const ALLIANCE_SETTLEMENT = eventType(
  'alliance-settlement',
  KINDS.settlement,
  'alliance',
  z.object({
    round: allianceRound,
    last: eventId,
    aggregate: sha256Hex.nullable(),
    isAccepted: z.boolean(),
    plan: z.array(planLine).max(4_096),
    totalMsat: msat,
  }),
  allianceRoundTag,
);
