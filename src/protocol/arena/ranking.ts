import { z } from 'zod';
import type { Pubkey } from '../../hash.js';
import { eventType } from '../envelope.js';
import { KINDS } from '../kinds.js';
import { eventId, int, msat, pubkey } from '../scalars.js';
import { planLineOf } from '../settlement.js';
import { stage, stageTag } from './submission.js';
import { WORST_SCORE_PPM } from './scores.js';

/** What a stage came to. Anyone recomputes both events. */

const rank = z.object({ submission: eventId, trainer: pubkey, scorePpm: int(0, WORST_SCORE_PPM) });
export type RankRow = z.output<typeof rank>;

/** By (score, trainer): the best first. */
export const RANKING = eventType(
  'ranking',
  KINDS.round,
  'ranking',
  z.object({ stage, table: eventId, ranks: z.array(rank).max(1_024) }),
  stageTag,
);

/** `fee`: of a validator; `delegation:` with a key: to who stood behind it; `refund`: to the customer, what has no payee. */
export type ArenaPurpose = 'trainer' | 'fee' | 'carry' | 'refund' | `delegation:${Pubkey}`;

export const planLine = planLineOf('trainer', 'fee', 'carry', 'refund');
export type ArenaPlanLine = z.output<typeof planLine>;

/** One per stage, published before anything is paid: what the stage has of the pot, to the msat. */
export const ARENA_SETTLEMENT = eventType(
  'arena-settlement',
  KINDS.settlement,
  'arena',
  z.object({ stage, ranking: eventId, plan: z.array(planLine).max(4_096), totalMsat: msat }),
  stageTag,
);
