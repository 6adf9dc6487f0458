import type { EventId, Pubkey, Sha256 } from '../../hash.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import type { ArenaPurpose, RankRow } from '../../protocol/arena/ranking.js';
import type { StakeBook } from '../stake.js';
import type { PayoutState } from '../state.js';

/** What the events of an arena come to. Every rule takes a state and an event of the customer and gives the next state. */

/** One draw of seats, and what was scored by it. */
export interface ArenaRound {
  readonly draw: EventOf<'draw'>;
  /** By validator: the aliases that it scores, in order. */
  readonly seats: ReadonlyMap<Pubkey, readonly number[]>;
  readonly commitList: EventOf<'list'> | null;
  readonly commits: ReadonlyMap<Pubkey, EventOf<'score-commit'>>;
  readonly revealList: EventOf<'list'> | null;
  readonly reveals: ReadonlyMap<Pubkey, EventOf<'arena-scores'>>;
}

export interface ArenaStage {
  /** 0: interim, 1: final. */
  readonly stage: number;
  readonly list: EventOf<'arena-list'>;
  /** By trainer: its newest of those listed. */
  readonly submissions: ReadonlyMap<Pubkey, EventOf<'submit'>>;
  /** What counts of each trainer's stake when the list was signed; of equals where the job asks for none. */
  readonly trainerStakes: ReadonlyMap<Pubkey, bigint>;
  readonly root: EventOf<'alias-root'> | null;
  /** Who may be drawn, by key. */
  readonly validators: ReadonlyMap<Pubkey, EventOf<'register'>>;
  /** What counts of each validator's stake when the root was signed. */
  readonly validatorStakes: ReadonlyMap<Pubkey, bigint>;
  readonly rounds: readonly ArenaRound[];
  readonly table: EventOf<'alias-table'> | null;
  /** Stakes when the table was opened: whoever settles, and whenever, pays by them. */
  readonly book: StakeBook;
  readonly ranking: EventOf<'ranking'> | null;
  readonly ranks: readonly RankRow[];
  /** The customer's. */
  readonly settlement: EventOf<'arena-settlement'> | null;
  /** What participants settled by the same content, while the customer was silent or beside it. */
  readonly others: readonly EventOf<'arena-settlement'>[];
  /** What its settlements owe, and what became of it. */
  readonly payouts: readonly ArenaPayout[];
}

export type ArenaPhase =
  /** Open for submissions. */
  | 'submitting'
  | 'listed'
  | 'scoring'
  | 'scored'
  | 'ranked'
  | 'finished'
  | 'cancelled'
  /** The customer broke a rule. */
  | 'frozen'
  /** Events are not at hand: `missing`. */
  | 'incomplete'
  | 'unknown';

export interface ArenaState {
  readonly jobId: EventId;
  readonly job: EventOf<'arena-job'>;
  readonly byId: ReadonlyMap<EventId, JobEvent>;
  /** Events of participants that stand in an unforked chain. */
  readonly sound: ReadonlyMap<Pubkey, readonly JobEvent[]>;
  readonly stages: readonly ArenaStage[];
  /** Submissions that the customer saw, and in which interval. */
  readonly seen: ReadonlyMap<EventId, number>;
  /** Of the last `arena-seen`. */
  readonly interval: number;
  /** Nonces, commitments to scores and scores that the customer saw. */
  readonly seenScoring: ReadonlySet<EventId>;
  /** Draws in a row for which a validator had seats and revealed nothing. */
  readonly missed: ReadonlyMap<Pubkey, number>;
  readonly stakes: StakeBook;
  readonly cancelled: EventOf<'cancel'> | null;
  /** By payout, which names its stage. */
  readonly receipts: ReadonlyMap<Sha256, EventOf<'receipt'>>;
  /** By claim. */
  readonly refusedClaims: ReadonlyMap<EventId, EventOf<'claim-bad'>>;
}

/** What is owed of a stage; a refund is nobody's claim. */
export type ArenaPayout = PayoutState<EventOf<'arena-settlement' | 'cancel'>, Exclude<ArenaPurpose, 'refund'>>;

export const currentStage = ({ stages }: ArenaState): ArenaStage | undefined => stages.at(-1);

/** Which stage takes submissions; null: none now. */
export function submittingStage({ stages }: ArenaState): number | null {
  return stages.length < 2 && stages.every(({ settlement }) => settlement !== null) ? stages.length : null;
}

export function withStage(state: ArenaState, change: Partial<ArenaStage>): ArenaState {
  return {
    ...state,
    stages: state.stages.map((stage, i) => (i < state.stages.length - 1 ? stage : { ...stage, ...change })),
  };
}

/** Of each model: a median of fewer scores would be one validator's. */
export const LEAST_SEATS = 3;

/** m of a stage: what the job asks, or where fewer may score the largest odd number of them. */
export function seatsIn({ job }: Pick<ArenaState, 'job'>, { validators }: Pick<ArenaStage, 'validators'>): number {
  const odd = validators.size - (validators.size % 2 === 0 ? 1 : 0);
  return Math.max(LEAST_SEATS, Math.min(job.content.arena.seats, odd));
}

/** How many draws the job had. */
export function drawsOf({ stages }: ArenaState): number {
  return stages.reduce((sum, { rounds }) => sum + rounds.length, 0);
}
