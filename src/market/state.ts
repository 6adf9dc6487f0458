import type { Bytes, EventId, Pubkey, Sha256 } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { ScoreRow } from '../protocol/score.js';
import type { Purpose } from '../protocol/settlement.js';
import type { Chain, Fork } from './chain.js';
import type { ShownUpdates } from './acceptance.js';
import type { Considered } from './auction.js';
import type { DisputeState } from './dispute-state.js';
import type { KeptResiduals } from './residuals.js';
import type { StakeBook } from './stake.js';

/** Who trains a shard now, since which award or replacement, and how it answered its grant. */
export interface Assignment {
  readonly shard: number;
  readonly trainer: Pubkey;
  readonly priceMsat: bigint;
  /** Hash of the shard grant promised to it. */
  readonly grant: Sha256;
  /** The award or replacement event. */
  readonly award: EventId;
  readonly awardedAt: number;
  readonly ready: EventOf<'ready'> | null;
  readonly grantBad: EventOf<'grant-bad'> | null;
}

/** A validator that the award took. */
export interface ValidatorSeat {
  readonly validator: Pubkey;
  readonly register: EventId;
  /** null: not at hand. */
  readonly registration: EventOf<'register'> | null;
  /** Hash of the grant promised to it. */
  readonly grant: Sha256;
  /** Rounds in a row without its answer. */
  readonly missed: number;
  /** It answered too often not. */
  readonly isLost: boolean;
}

/** The measurements that decide what is accepted. */
export interface Verdict {
  /** The customer's scores, or the list of those that validators revealed. */
  readonly by: EventId;
  readonly from: 'customer' | 'validators';
  readonly rows: readonly ScoreRow[];
}

export interface RefusedClaim {
  readonly notice: EventOf<'claim-bad'>;
  /** null: not at hand. */
  readonly claim: EventOf<'claim'> | null;
}

/** A line of a settlement and what became of it, in every kind of job. */
export interface PayoutState<S = EventOf<'settlement'>, P = Purpose> {
  /** What promises it; where several do with equal content, the one that the claim names. */
  readonly settlement: S;
  readonly payout: Sha256;
  readonly payee: Pubkey;
  readonly purpose: P;
  readonly amountMsat: bigint;
  /** The newest claim that was neither given up nor refused. */
  readonly claim: EventOf<'claim'> | null;
  /** Hashes of all invoices that the payee ever claimed this payout with. */
  readonly asked: ReadonlySet<Sha256>;
  /** Payment hashes that the payee signed to be unpaid and given up for ever. */
  readonly voided: ReadonlySet<Sha256>;
  /** Claims whose invoices the customer refused, oldest first. */
  readonly refused: readonly RefusedClaim[];
  readonly receipt: EventOf<'receipt'> | null;
  readonly received: EventOf<'received'> | null;
  readonly unpaid: EventOf<'unpaid'> | null;
}

/** A payout of any kind of job. */
export type AnyPayout = PayoutState<
  EventOf<'settlement' | 'arena-settlement' | 'alliance-settlement' | 'cancel'>,
  string
>;

/** What was settled at once: a round, or the stage of an arena. */
export interface Owed {
  readonly round: number;
  readonly payouts: readonly AnyPayout[];
}

export interface RoundState {
  readonly round: number;
  readonly open: EventOf<'open'>;
  readonly assigned: readonly Assignment[];
  /** Loss of the base on set A as the last close measured it; null before the first. */
  readonly lossBeforePpm: number | null;
  /** With a seat when it opened, in their order. */
  readonly validators: readonly ValidatorSeat[];
  /** Valid and at hand, listed or not, by shard like the other maps of a round: a shard has one seat. */
  readonly commits: ReadonlyMap<number, EventOf<'commit'>>;
  readonly commitList: EventOf<'list'> | null;
  readonly listedCommits: ReadonlyMap<number, EventOf<'commit'>>;
  /** Which segments are repeated; null before it, and in jobs without spot checks. */
  readonly draw: EventOf<'draw'> | null;
  /** Of validators, for the list of commitments; by validator like the other maps of theirs. */
  readonly nonces: ReadonlyMap<Pubkey, EventOf<'nonce'>>;
  /** Those of the draw, in order of their authors' keys; null: there is no draw, or one of them is not at hand. */
  readonly drawNonces: readonly Bytes[] | null;
  /** Who scores this round, where seats are drawn by stake; null: whoever has a seat in the job. */
  readonly drawn: ReadonlySet<Pubkey> | null;
  readonly reveals: ReadonlyMap<number, EventOf<'reveal'>>;
  readonly revealList: EventOf<'list'> | null;
  readonly listedReveals: ReadonlyMap<number, EventOf<'reveal'>>;
  /** Updates that earlier rounds showed: nobody is paid for them again. */
  readonly shownBefore: ShownUpdates;
  /** What codecs left behind in earlier rounds. */
  readonly residuals: KeptResiduals;
  readonly seen: ReadonlySet<EventId>;
  readonly scoreCommits: ReadonlyMap<Pubkey, EventOf<'score-commit'>>;
  readonly scoreCommitList: EventOf<'list'> | null;
  readonly listedScoreCommits: ReadonlyMap<Pubkey, EventOf<'score-commit'>>;
  readonly scoreReveals: ReadonlyMap<Pubkey, EventOf<'scores'>>;
  readonly scoreRevealList: EventOf<'list'> | null;
  readonly listedScoreReveals: ReadonlyMap<Pubkey, EventOf<'scores'>>;
  /** The customer's own. */
  readonly scores: EventOf<'scores'> | null;
  readonly verdict: Verdict | null;
  /** Validators whose scores of it are proven false. */
  readonly liars: ReadonlySet<Pubkey>;
  readonly close: EventOf<'close'> | null;
  /** On rail `key-sale` the end of the round's sale, which comes after its settlement. */
  readonly sold: EventOf<'sold'> | null;
  readonly voided: EventOf<'void'> | null;
  readonly settlement: EventOf<'settlement'> | null;
  /** Of trainers that a false proof had rejected. */
  readonly corrections: readonly EventOf<'settlement'>[];
  readonly payouts: readonly PayoutState[];
}

export type JobPhase =
  | 'unknown' // the job event is not at hand
  | 'awarding' // bids are taken
  | 'awarded' // grants went out, no round yet
  | 'committing' // a round is open
  | 'revealing' // commitments are listed
  | 'scoring' // reveals are listed
  | 'closed' // a round is closed and not settled yet
  | 'selling' // its keys are being paid for (rail key-sale)
  | 'between' // settled, voided or nothing to pay: the next round may open
  | 'trained' // the last round is over, the model is not published yet
  | 'finished'
  | 'cancelled'
  | 'frozen'; // an event does not follow: nothing after it counts

/** The first event that does not follow from the others. */
export interface Violation {
  readonly event: EventId;
  readonly author: Pubkey;
  readonly rule: string;
  readonly detail: string;
}

export interface JobState {
  readonly jobId: EventId;
  readonly job: EventOf<'job'> | null;
  readonly phase: JobPhase;
  readonly chains: ReadonlyMap<Pubkey, Chain>;
  /** Newest bid per trainer that did not withdraw it or resign. */
  readonly bids: readonly EventOf<'bid'>[];
  /** Likewise; apart from those. */
  readonly sealedBids: readonly EventOf<'sealed-bid'>[];
  readonly award: EventOf<'award'> | null;
  readonly assignments: ReadonlyMap<number, Assignment>;
  /** Not yet used, best first; a trainer as often as it offers a shard. */
  readonly spares: readonly Considered[];
  readonly replacements: number;
  /** Shards that somebody holds or held. */
  readonly heldShards: ReadonlySet<number>;
  /** Trainers that lost a seat: they get no other. */
  readonly lost: ReadonlySet<Pubkey>;
  /** In their order; without those that the award did not take. */
  readonly validators: readonly ValidatorSeat[];
  /** By trainer: the proof that ended its award; what was not paid by then is not owed any more, unless validators find it false. */
  readonly frauds: ReadonlyMap<Pubkey, EventOf<'fraud'>>;
  /** By trainer that sold a wrong key: the proof that ended its award. */
  readonly keyFrauds: ReadonlyMap<Pubkey, EventOf<'key-fraud'>>;
  /** By validator: the proof that ended its seat. */
  readonly validatorFrauds: ReadonlyMap<Pubkey, EventOf<'validator-fraud'>>;
  /** In the order in which the customer listed them. */
  readonly disputes: readonly DisputeState[];
  readonly rounds: readonly RoundState[];
  /** Hash of the global model that the next round starts from; null before round 0 opened. */
  readonly modelHash: Sha256 | null;
  readonly artifact: EventOf<'artifact'> | null;
  readonly cancelled: EventOf<'cancel'> | null;
  /** As the customer's last stake table has them. */
  readonly stakes: StakeBook;
  readonly firstBad: Violation | null;
  readonly forks: readonly Fork[];
  /** Cited by an event that counts, but not at hand: fetch them. */
  readonly missing: readonly EventId[];
}

/** The last round, if any. */
export function currentRound(state: JobState): RoundState | undefined {
  return state.rounds.at(-1);
}

/** The model after a closed round: hash, loss and accuracy; null: the round counts for nothing yet. */
export function outcomeOf({ sold, close }: Pick<RoundState, 'sold' | 'close'>) {
  return (sold ?? close)?.content ?? null;
}

/** Updates that make a round count: of who had a seat. */
export function quorumOf({ quorum }: { readonly quorum: number }, { assigned }: Pick<RoundState, 'assigned'>): number {
  return Math.min(quorum, assigned.length);
}

/** Updates that make the model after a round: the accepted ones, of which on rail `key-sale` those that were sold, and none below the quorum. */
export function countedIn(
  job: EventOf<'job'>['content'],
  round: Pick<RoundState, 'close' | 'sold' | 'assigned'>,
): EventOf<'close'>['content']['accepted'] {
  if (job.rail !== 'key-sale') return round.close?.content.accepted ?? [];
  const bought = round.sold?.content.sold ?? [];
  return bought.length < quorumOf(job, round) ? [] : bought;
}

/** Did this trainer leave the job? Its bid counts no more, and its seat goes to a spare before the next round. */
export function hasResigned(state: Pick<JobState, 'chains'>, trainer: Pubkey): boolean {
  return state.chains.get(trainer)?.events.some((event) => event.type === 'resign') ?? false;
}

/** Seats of a round that committed or still may: nobody waits for who resigned without a commitment. */
export function awaitedSeats(state: JobState, round: RoundState): readonly Assignment[] {
  return round.assigned.filter(({ trainer, shard }) => round.commits.has(shard) || !hasResigned(state, trainer));
}

/** What a job of any kind comes to, as far as those who sign and are paid in it look at it alike. */
export interface AnyJobState {
  readonly jobId: EventId;
  /** Null: not at hand. */
  readonly job: { readonly author: Pubkey } | null;
  readonly chains: ReadonlyMap<Pubkey, Chain>;
}

/** Next seq and prev for an author. */
export function chainTip(state: AnyJobState, author: Pubkey): { readonly seq: number; readonly prev: EventId | null } {
  const events = state.chains.get(author)?.events ?? [];
  return { seq: events.length, prev: events.at(-1)?.id ?? null };
}

/** Money promised by settlements and not receipted yet, per payee, and what disputes found to be owed. */
export function owedMsat(state: JobState, payee: Pubkey): bigint {
  let sum = 0n;
  for (const { fraud, owedMsat: owed, isSettled } of state.disputes)
    if (fraud.content.trainer === payee && !isSettled) sum += owed;
  for (const round of state.rounds)
    for (const payout of round.payouts) if (payout.payee === payee && payout.receipt === null) sum += payout.amountMsat;
  return sum;
}

export function paidMsat(state: { readonly rounds: readonly Owed[] }, payee?: Pubkey): bigint {
  let sum = 0n;
  for (const round of state.rounds)
    for (const payout of round.payouts)
      if (payout.receipt !== null && (payee === undefined || payout.payee === payee)) sum += payout.amountMsat;
  return sum;
}

/** Rounds in which this trainer's update was accepted. */
export function acceptedRounds(state: JobState, trainer: Pubkey): number {
  return state.rounds.filter((round) => round.close?.content.accepted.some((entry) => entry.trainer === trainer))
    .length;
}

/** Payment hashes in receipts of other payouts of the job: each counts for one. */
export function receiptedElsewhere(
  { rounds }: { readonly rounds: readonly Owed[] },
  { payout }: Pick<AnyPayout, 'payout'>,
): ReadonlySet<string> {
  const others = rounds.flatMap(({ payouts }) => payouts).filter((other) => other.payout !== payout);
  return new Set(others.flatMap(({ receipt }) => receipt?.content.paymentHash ?? []));
}
