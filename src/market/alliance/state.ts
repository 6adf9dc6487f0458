import type { EventId, Pubkey, Sha256 } from '../../hash.js';
import type { AlliancePurpose } from '../../protocol/alliance/round.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import type { Carried } from '../carry.js';
import type { StakeBook } from '../stake.js';
import type { PayoutState } from '../state.js';
import type { Roles, TooFew } from './roles-draw.js';
import type { Tally } from './vote.js';

/** What the events of an alliance come to. Every rule takes a state and an event of the customer and gives the next state. */

export interface AllianceRoundState {
  readonly round: number;
  readonly open: EventOf<'alliance-open'>;
  /** In order of their keys. */
  readonly members: ReadonlyMap<Pubkey, EventOf<'register'>>;
  /** What counts of each member's stake when the round opened; of equals where the job asks for none. */
  readonly stakes: ReadonlyMap<Pubkey, bigint>;
  /** Of the tables before it: who stands behind whom. A later table changes no plan. */
  readonly book: StakeBook;
  /** Of the tables before it ended. */
  readonly slashes: StakeBook['slashes'];
  /** What waited when it opened. */
  readonly carriedBefore: Carried;
  readonly draw: EventOf<'roles'> | null;
  readonly roles: Roles | TooFew | null;
  /** Listed events by author, null: the list has not come. */
  readonly commits: Listed<'commit'> | null;
  readonly proposals: Listed<'proposal'> | null;
  readonly voteCommits: Listed<'score-commit'> | null;
  readonly votes: Listed<'vote'> | null;
  /** Of all members that could have voted in it; null: it has not come that far. */
  readonly tally: Tally | null;
  /** The customer's. */
  readonly settlement: EventOf<'alliance-settlement'> | null;
  /** What members settled by the same content, while the customer was silent or beside it. */
  readonly others: readonly EventOf<'alliance-settlement'>[];
  /** What its settlements owe, and what became of it. */
  readonly payouts: readonly AlliancePayout[];
}

/** What is owed of a round; a refund is nobody's claim. */
export type AlliancePayout = PayoutState<EventOf<'alliance-settlement' | 'cancel'>, Exclude<AlliancePurpose, 'refund'>>;

export interface Listed<K extends 'commit' | 'proposal' | 'score-commit' | 'vote'> {
  readonly list: EventOf<'list'>;
  readonly by: ReadonlyMap<Pubkey, EventOf<K>>;
}

export type AlliancePhase =
  /** No round is open: members register. */
  | 'joining'
  /** Members open their nonces. */
  | 'drawing'
  | 'committing'
  | 'revealing'
  | 'voting'
  | 'vote-revealing'
  /** The round waits for its settlement. */
  | 'decided'
  | 'finished'
  | 'cancelled'
  /** The customer broke a rule. */
  | 'frozen'
  /** Events are not at hand: `missing`. */
  | 'incomplete'
  | 'unknown';

export interface AllianceState {
  readonly jobId: EventId;
  readonly job: EventOf<'alliance-job'>;
  readonly byId: ReadonlyMap<EventId, JobEvent>;
  /** Events of participants that stand in an unforked chain. */
  readonly sound: ReadonlyMap<Pubkey, readonly JobEvent[]>;
  readonly rounds: readonly AllianceRoundState[];
  /** Events of participants that the customer saw. */
  readonly seen: ReadonlySet<EventId>;
  /** What settlements have paid so far. */
  readonly paidMsat: bigint;
  /** What was promised and waits: it was below the payout floor. */
  readonly carried: Carried;
  readonly stakes: StakeBook;
  readonly cancelled: EventOf<'cancel'> | null;
  /** By payout, which names its round. */
  readonly receipts: ReadonlyMap<Sha256, EventOf<'receipt'>>;
  /** By claim. */
  readonly refusedClaims: ReadonlyMap<EventId, EventOf<'claim-bad'>>;
}

export const lastRound = ({ rounds }: Pick<AllianceState, 'rounds'>): AllianceRoundState | undefined => rounds.at(-1);

export function withRound(state: AllianceState, change: Partial<AllianceRoundState>): AllianceState {
  const { rounds } = state;
  return { ...state, rounds: rounds.map((one, i) => (i < rounds.length - 1 ? one : { ...one, ...change })) };
}

export function phaseOf({
  cancelled,
  rounds,
  job,
}: Pick<AllianceState, 'cancelled' | 'rounds' | 'job'>): AlliancePhase {
  if (cancelled !== null) return 'cancelled';
  const round = lastRound({ rounds });
  if (round === undefined) return 'joining';
  if (round.settlement !== null) return rounds.length === job.content.rounds ? 'finished' : 'joining';
  if (round.draw === null) return 'drawing';
  if (endOf(round) !== null) return 'decided';
  if (round.commits === null) return 'committing';
  if (round.proposals === null) return 'revealing';
  return round.voteCommits === null ? 'voting' : 'vote-revealing';
}

/** What ended a round: the list of its votes, or what left too few to go on. Null: it goes on. */
export function endOf({ draw, roles, commits, proposals, voteCommits, votes }: AllianceRoundState): EventId | null {
  if (roles?.state === 'too-few') return draw!.id;
  const empty = [commits, proposals, voteCommits].find((listed) => listed?.by.size === 0);
  return (empty ?? votes)?.list.id ?? null;
}

/** The hash of the model that a round starts from; null: that of the job's seed. */
export function baseHashOf({ rounds }: Pick<AllianceState, 'rounds'>, round: number) {
  return rounds.findLast((one) => one.round < round && one.tally?.isAccepted === true)?.tally?.aggregate ?? null;
}
