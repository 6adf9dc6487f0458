import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { Considered } from '../market/auction.js';
import { isEnough } from '../market/consensus.js';
import { successorFor, vacantShards } from '../market/late-bids.js';
import { isStillStaked } from '../market/new-keys.js';
import {
  awaitedSeats,
  currentRound,
  hasResigned,
  type Assignment,
  type JobState,
  type RoundState,
  quorumOf,
} from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { ListedPhase, RejectionRule, SeenPhase } from '../protocol/round.js';
import { auctionNow, bidsOf, validatorsNow, wantedBy, type BidFacts } from './customer-award.js';
import { awaitedDispute, decideDispute, type DisputeAction } from './customer-disputes.js';
import { decideCountersignatures, decidePayment, decideSale, payable } from './customer-payments.js';
import { decideNonces, decideScores, expectedScores, OUTAGE_GRACE_SEC, seenIntervalSec } from './customer-scoring.js';

export { seenIntervalSec } from './customer-scoring.js';

export type ReplaceReason = EventOf<'replace'>['content']['reason'];

export type CustomerAction =
  | { readonly do: 'award'; readonly bids: readonly { readonly id: EventId }[] }
  /** Null: nobody holds the shard. */
  | { readonly do: 'replace'; readonly shard: number; readonly out: Pubkey | null; readonly reason: ReplaceReason }
  | { readonly do: 'open'; readonly round: number }
  | { readonly do: 'seen'; readonly of: SeenPhase; readonly ids: readonly EventId[] }
  | { readonly do: 'list'; readonly of: ListedPhase; readonly ids: readonly EventId[] }
  | { readonly do: 'draw'; readonly round: RoundState }
  | { readonly do: 'measure'; readonly round: RoundState }
  | { readonly do: 'void'; readonly round: number }
  | { readonly do: 'settle'; readonly round: RoundState }
  | { readonly do: 'pay'; readonly round: RoundState; readonly payout: RoundState['payouts'][number] }
  | { readonly do: 'end-sale'; readonly round: RoundState }
  | { readonly do: 'publish-model' }
  | { readonly do: 'cancel' }
  | DisputeAction
  /** `for` completes the sentence "waiting for ..."; `until` in Unix seconds. */
  | { readonly do: 'wait'; readonly for: string; readonly until: number }
  /** `unpaid`: payouts that nobody claimed in time. */
  | { readonly do: 'done'; readonly unpaid: number }
  | { readonly do: 'stop'; readonly why: StopReason };

export type StopReason = 'lapsed' | 'frozen' | 'cancelled' | 'finished';

/** What only this process knows. Times in Unix seconds. */
export interface CustomerFacts extends BidFacts {
  /** When this process began to serve the job: the bid window counts from here. */
  readonly servingSince: number;
  /** When relays were last found silent by this process; 0: never. */
  readonly relaysSilentAt: number;
  /** When the own wallet was last found away, or could not tell what became of a payment; 0: never. */
  readonly walletAwayAt: number;
  /** When the last `seen` or the phase's opening event was published. */
  readonly lastSeenAt: number;
  /** Payouts whose outcome is unknown or whose claim is not payable: looked at again later. */
  readonly heldPayouts: ReadonlySet<Sha256>;
  /** Of them those that may still arrive. Absent: none. */
  readonly paymentsInFlight?: ReadonlySet<Sha256>;
  /** The user wants the job to end: accepted work is paid, the rest freed. */
  readonly isCancelling?: boolean;
}

/** Does this rest on something that is not there? Then relays must have said so, or it is only silence. */
export function restsOnAbsence(action: CustomerAction, state: JobState): boolean {
  if (action.do === 'void') return true;
  if (action.do === 'replace') return action.reason === 'not-started';
  const round = currentRound(state);
  if (action.do === 'dispute-draw') return action.dispute.nonces.size < action.dispute.eligible.length;
  if (action.do === 'draw') return action.round.nonces.size < action.round.validators.length;
  if (action.do !== 'list' || round === undefined) return false;
  if (action.of === 'score-commit' || action.of === 'score-reveal')
    return action.ids.length < expectedScores(state, round, action.of);
  return action.ids.length < (action.of === 'commit' ? awaitedSeats(state, round).length : round.listedCommits.size);
}

/** The next thing the customer does; a pure function, so that a restart decides the same. */
export function decideCustomer(state: JobState, facts: CustomerFacts, now: number): CustomerAction {
  const job = state.job;
  if (state.firstBad !== null || job === null) return { do: 'stop', why: 'frozen' };
  const terms = job.content;
  const round = currentRound(state);
  const dispute = decideDispute(state, facts, now);
  if (dispute !== null) return dispute;
  if (facts.isCancelling === true && mayCancel(state)) return { do: 'cancel' };
  switch (state.phase) {
    case 'awarding':
      return decideAward(state, facts, now);
    case 'committing':
      // A claim that came late: its trainer may train for no more before it is paid.
      return payable(state.rounds, facts) ?? decideListing(state, round!, facts, now);
    case 'revealing':
      // Before anyone reveals an update that nobody will pay.
      if (!enough(terms.quorum, round!, round!.listedCommits.size)) return { do: 'void', round: round!.round };
      if (terms.spot !== null && round!.draw === null)
        return decideNonces(state, round!, facts, now) ?? { do: 'draw', round: round! };
      return decideListing(state, round!, facts, now);
    case 'scoring':
      return enough(terms.quorum, round!, round!.listedReveals.size)
        ? (decideScores(state, round!, facts, now) ?? { do: 'measure', round: round! })
        : { do: 'void', round: round!.round };
    case 'closed':
      return { do: 'settle', round: round! };
    case 'selling':
      return decideSale(state, round!, facts, now) ?? { do: 'end-sale', round: round! };
    case 'awarded':
    case 'between':
      return (
        decidePayment(state, facts, now) ?? decideSeats(state, facts, now) ?? { do: 'open', round: state.rounds.length }
      );
    case 'trained':
      return decidePayment(state, facts, now) ?? awaitedDispute(state, facts, now) ?? { do: 'publish-model' };
    case 'finished':
      if (facts.isCancelling === true) return { do: 'stop', why: 'finished' };
      return (
        decidePayment(state, facts, now) ??
        decideCountersignatures(state.rounds, now) ??
        awaitedDispute(state, facts, now) ?? { do: 'done', unpaid: unpaidPayouts(state).length }
      );
    case 'cancelled':
      return (
        decidePayment(state, facts, now) ??
        (facts.isCancelling === true
          ? { do: 'done', unpaid: unpaidPayouts(state).length }
          : { do: 'stop', why: 'cancelled' })
      );
    default:
      return { do: 'stop', why: 'frozen' };
  }
}

/** Not while updates are out that may be accepted, and not before accepted ones are settled: the fold refuses both. */
function mayCancel(state: JobState): boolean {
  if (state.phase === 'finished' || state.phase === 'cancelled') return false;
  return !mayBeAccepted(state);
}

/** Is the last round one whose updates are, or still may be, accepted without being settled? */
function mayBeAccepted(state: JobState): boolean {
  const { phase } = state;
  if (phase !== 'revealing' && phase !== 'scoring') return phase === 'closed' || phase === 'selling';
  const round = currentRound(state)!;
  const { size } = phase === 'revealing' ? round.listedCommits : round.listedReveals;
  return enough(state.job!.content.quorum, round, size);
}

function decideAward(state: JobState, facts: CustomerFacts, now: number): CustomerAction {
  const terms = state.job!.content;
  if (now >= terms.deadline) return { do: 'stop', why: 'lapsed' };
  const { considered, seats, withheld = 0 } = auctionNow(state, facts, now);
  const admissible = considered.filter((row) => row.outcome !== 'refused');
  if (terms.award === 'manual') {
    if (facts.chosen !== undefined) return { do: 'award', bids: bidsOf(state) };
    const what = `you to choose among ${admissible.length} bids: stop this, nmkt award ${state.jobId} --bid ID..., then run it again`;
    return { do: 'wait', for: what, until: terms.deadline };
  }
  const windowEnd = facts.servingSince + terms.bidWindowSec;
  // One trainer that offers several shards is no reason to hear no others.
  const hasTrainers = terms.award === 'full' && admissible.length >= terms.trainers && withheld === 0;
  const wanted = terms.validators?.count ?? 0;
  const validators = wanted === 0 ? 0 : validatorsNow(state, considered, now).length;
  const isFull = hasTrainers && validators >= wanted;
  // With too few of them every round would be void.
  const isScored = terms.rail !== 'key-sale' || isEnough(validators, wanted);
  if (isFull || (now >= windowEnd && isScored && seats.length >= Math.min(terms.quorum, terms.trainers)))
    return { do: 'award', bids: bidsOf(state) };
  return {
    do: 'wait',
    for: `bids: ${seats.length} of ${terms.trainers} seats${withheld === 0 ? '' : `, ${withheld} not for new keys (newKeyShare)`}${wanted === 0 ? '' : `, ${validators} of ${wanted} validators`}${refusedText(considered)}`,
    until: now < windowEnd ? windowEnd : terms.deadline,
  };
}

function refusedText(considered: readonly Considered[]): string {
  const rules = considered.flatMap(({ rule }) => rule ?? []);
  return rules.length === 0 ? '' : `, ${rules.length} refused (${[...new Set(rules)].join(', ')})`;
}

/** The grant may have waited for this process or for relays. */
function readyUntil(
  state: JobState,
  { awardedAt }: Assignment,
  { servingSince, relaysSilentAt }: CustomerFacts,
): number {
  return Math.max(awardedAt, servingSince, relaysSilentAt) + state.job!.content.readyTimeoutSec;
}

/** Why an assignment should go to a spare, if it should. */
function replaceReason(state: JobState, seat: Assignment, facts: CustomerFacts, now: number): ReplaceReason | null {
  if (hasResigned(state, seat.trainer)) return 'resigned';
  if (state.frauds.has(seat.trainer) || state.keyFrauds.has(seat.trainer)) return 'fraud';
  if (seat.grantBad !== null) return 'grant-bad';
  // What it was given answers for its work no more: taken back, or lost.
  if (!isStillStaked(seat.trainer, { terms: state.job!.content, stakes: state.stakes })) return 'unstaked';
  if (seat.ready === null) return now >= readyUntil(state, seat, facts) ? 'not-started' : null;
  // A seat without a spare is better kept: the trainer may do better in the next round.
  if (successorFor(state, seat.shard, seat.trainer, now, wantedBy(facts)) === undefined) return null;
  const last = currentRound(state);
  if (last?.voided != null && hadSeat(last, seat) && !last.listedCommits.has(seat.shard)) return 'absent';
  const rejection = last?.close?.content.rejected.find(
    (row) => row.trainer === seat.trainer && row.shard === seat.shard,
  );
  if (rejection === undefined) return null;
  return (['absent', 'no-reveal'] as RejectionRule[]).includes(rejection.rule) ? 'absent' : 'rejected';
}

function hadSeat(round: RoundState, { trainer, shard }: Assignment): boolean {
  return round.assigned.some((seat) => seat.trainer === trainer && seat.shard === shard);
}

/** Before a round opens every seat has its `ready`, a spare, or nobody. */
function decideSeats(state: JobState, facts: CustomerFacts, now: number): CustomerAction | null {
  const seats = [...state.assignments.values()].sort((a, b) => a.shard - b.shard);
  for (const assignment of seats) {
    const reason = replaceReason(state, assignment, facts, now);
    if (reason !== null) return { do: 'replace', shard: assignment.shard, out: assignment.trainer, reason };
  }
  const isWanted = wantedBy(facts);
  const vacant = vacantShards(state).find((shard) => successorFor(state, shard, null, now, isWanted) !== undefined);
  if (vacant !== undefined) return { do: 'replace', shard: vacant, out: null, reason: 'vacant' };
  const waiting = seats.filter((seat) => seat.ready === null);
  if (waiting.length > 0)
    return {
      do: 'wait',
      for: `${waiting.length} of ${seats.length} trainers to open their grants`,
      until: Math.min(...waiting.map((seat) => readyUntil(state, seat, facts))),
    };
  if (seats.length === 0) return { do: 'stop', why: 'lapsed' };
  return null;
}

/** Early when everyone answered who did not resign, at the deadline with a quorum, else one extension. */
function decideListing(state: JobState, round: RoundState, facts: CustomerFacts, now: number): CustomerAction {
  const terms = state.job!.content;
  const isCommit = round.commitList === null;
  const of = isCommit ? 'commit' : 'reveal';
  const expected = isCommit ? awaitedSeats(state, round).length : round.listedCommits.size;
  const answers: ReadonlyMap<number, { readonly id: EventId }> = isCommit ? round.commits : round.reveals;
  const until = isCommit ? round.open.content.until : round.commitList.content.until!;
  const extended = until + (isCommit ? terms.roundTimeoutSec : terms.revealTimeoutSec);
  const ids = [...answers.values()].map((event) => event.id).sort();
  const graceUntil = Math.max(facts.servingSince, facts.relaysSilentAt) + OUTAGE_GRACE_SEC;
  const due = Math.max(enough(terms.quorum, round, answers.size) ? until : extended, graceUntil);
  const isOver = now >= due;
  if (answers.size >= expected || isOver) return { do: 'list', of, ids };
  const unseen = ids.filter((id) => !round.seen.has(id));
  const seenAt = facts.lastSeenAt + seenIntervalSec(isCommit ? terms.roundTimeoutSec : terms.revealTimeoutSec);
  if (now >= seenAt) return { do: 'seen', of, ids: unseen };
  return {
    do: 'wait',
    for: `round ${round.round + 1} of ${terms.rounds}: ${answers.size} of ${expected} ${isCommit ? 'updates committed' : 'updates revealed'}`,
    until: Math.min(seenAt, due),
  };
}

function enough(quorum: number, round: RoundState, count: number): boolean {
  return count >= quorumOf({ quorum }, round);
}

export function unpaidPayouts(state: JobState): RoundState['payouts'] {
  return state.rounds.flatMap((round) => round.payouts.filter((payout) => payout.receipt === null));
}

/** What ending the job now may still cost: accepted work without a receipt, and updates that may yet be accepted. */
export function leftToPayMsat(state: JobState): bigint {
  const owed = unpaidPayouts(state).reduce((sum, payout) => sum + payout.amountMsat, 0n);
  return mayBeAccepted(state) && state.phase !== 'selling'
    ? currentRound(state)!.assigned.reduce((sum, seat) => sum + seat.priceMsat, owed)
    : owed;
}
