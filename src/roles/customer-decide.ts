import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { currentRound, type Assignment, type JobState, type RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { RejectionRule } from '../protocol/round.js';

export type ReplaceReason = EventOf<'replace'>['content']['reason'];

export type CustomerAction =
  | { readonly do: 'award'; readonly bids: readonly EventOf<'bid'>[] }
  | { readonly do: 'replace'; readonly assignment: Assignment; readonly reason: ReplaceReason }
  | { readonly do: 'open'; readonly round: number }
  | { readonly do: 'seen'; readonly of: 'commit' | 'reveal'; readonly ids: readonly EventId[] }
  | { readonly do: 'list'; readonly of: 'commit' | 'reveal'; readonly ids: readonly EventId[] }
  | { readonly do: 'measure'; readonly round: RoundState }
  | { readonly do: 'void'; readonly round: number }
  | { readonly do: 'settle'; readonly round: RoundState }
  | { readonly do: 'pay'; readonly round: RoundState; readonly payout: RoundState['payouts'][number] }
  | { readonly do: 'publish-model' }
  /** `for` completes the sentence "waiting for ..."; `until` in Unix seconds. */
  | { readonly do: 'wait'; readonly for: string; readonly until: number }
  /** `unpaid`: payouts that nobody claimed in time. */
  | { readonly do: 'done'; readonly unpaid: number }
  | { readonly do: 'stop'; readonly why: 'lapsed' | 'frozen' | 'cancelled' };

/** What only this process knows. Times in Unix seconds. */
export interface CustomerFacts {
  /** When this process began to serve the job: the bid window counts from here. */
  readonly servingSince: number;
  /** When the last `seen` or the phase's opening event was published. */
  readonly lastSeenAt: number;
  /** Payouts whose outcome is unknown or whose claim is not payable: looked at again later. */
  readonly heldPayouts: ReadonlySet<Sha256>;
}

/** A payee that does not claim holds up the next round for this long only; it can claim for `claimWithin` all the same. */
const CLAIM_GRACE_SEC = 30;

/** The next thing the customer does; a pure function, so that a restart decides the same. */
export function decideCustomer(state: JobState, facts: CustomerFacts, now: number): CustomerAction {
  const job = state.job;
  if (state.firstBad !== null || job === null) return { do: 'stop', why: 'frozen' };
  const terms = job.content;
  const round = currentRound(state);
  switch (state.phase) {
    case 'awarding':
      return decideAward(state, facts, now);
    case 'committing':
    case 'revealing':
      return decideListing(state, round!, facts, now);
    case 'scoring':
      return enough(terms.quorum, round!, round!.listedReveals.size)
        ? { do: 'measure', round: round! }
        : { do: 'void', round: round!.round };
    case 'closed':
      return { do: 'settle', round: round! };
    case 'awarded':
    case 'between':
      return decidePayment(state, facts, now) ?? decideSeats(state, now) ?? { do: 'open', round: state.rounds.length };
    case 'trained':
      return decidePayment(state, facts, now) ?? { do: 'publish-model' };
    case 'finished':
      return decidePayment(state, facts, now) ?? { do: 'done', unpaid: unpaidPayouts(state).length };
    case 'cancelled':
      return { do: 'stop', why: 'cancelled' };
    default:
      return { do: 'stop', why: 'frozen' };
  }
}

function decideAward(state: JobState, facts: CustomerFacts, now: number): CustomerAction {
  const terms = state.job!.content;
  if (now >= terms.deadline) return { do: 'stop', why: 'lapsed' };
  const admissible = state.bids.filter(
    (bid) => bid.content.priceMsat <= terms.maxPriceMsat && bid.author !== state.job!.author,
  );
  const windowEnd = facts.servingSince + terms.bidWindowSec;
  const isFull = terms.award === 'full' && admissible.length >= terms.trainers;
  if (isFull || (now >= windowEnd && admissible.length >= Math.min(terms.quorum, terms.trainers)))
    return { do: 'award', bids: state.bids };
  return {
    do: 'wait',
    for: `bids: ${admissible.length} of ${terms.trainers} seats`,
    until: now < windowEnd ? windowEnd : terms.deadline,
  };
}

/** Why an assignment should go to a spare, if it should. */
function replaceReason(state: JobState, seat: Assignment, now: number): ReplaceReason | null {
  const resigned = state.chains.get(seat.trainer)?.events.some((event) => event.type === 'resign') ?? false;
  if (resigned) return 'resigned';
  if (seat.grantBad !== null) return 'grant-bad';
  if (seat.ready === null) return now >= seat.awardedAt + state.job!.content.readyTimeoutSec ? 'not-started' : null;
  const last = currentRound(state);
  const rejection = last?.close?.content.rejected.find(
    (row) => row.trainer === seat.trainer && row.shard === seat.shard,
  );
  // A seat without a spare is better kept: the trainer may do better in the next round.
  if (rejection === undefined || !canReplace(state)) return null;
  return (['absent', 'no-reveal'] as RejectionRule[]).includes(rejection.rule) ? 'absent' : 'rejected';
}

function canReplace(state: JobState): boolean {
  return state.spares.length > 0 && state.replacements < state.job!.content.maxReplacements;
}

/** Before a round opens every seat has its `ready`, a spare, or nobody. */
function decideSeats(state: JobState, now: number): CustomerAction | null {
  const terms = state.job!.content;
  const seats = [...state.assignments.values()].sort((a, b) => a.shard - b.shard);
  for (const assignment of seats) {
    const reason = replaceReason(state, assignment, now);
    if (reason !== null) return { do: 'replace', assignment, reason };
  }
  const waiting = seats.filter((seat) => seat.ready === null);
  if (waiting.length > 0)
    return {
      do: 'wait',
      for: `${waiting.length} of ${seats.length} trainers to open their grants`,
      until: Math.min(...waiting.map((seat) => seat.awardedAt + terms.readyTimeoutSec)),
    };
  if (seats.length === 0) return { do: 'stop', why: 'lapsed' };
  return null;
}

/** Early when everyone answered, at the deadline with a quorum, else one extension. */
function decideListing(state: JobState, round: RoundState, facts: CustomerFacts, now: number): CustomerAction {
  const terms = state.job!.content;
  const isCommit = round.commitList === null;
  const of = isCommit ? 'commit' : 'reveal';
  const expected = isCommit ? round.assigned.length : round.listedCommits.size;
  const answers: ReadonlyMap<Pubkey, { readonly id: EventId }> = isCommit ? round.commits : round.reveals;
  const until = isCommit ? round.open.content.until : round.commitList.content.until!;
  const extended = until + (isCommit ? terms.roundTimeoutSec : terms.revealTimeoutSec);
  const ids = [...answers.values()].map((event) => event.id).sort();
  const isOver = now >= (enough(terms.quorum, round, answers.size) ? until : extended);
  if (answers.size >= expected || isOver) return { do: 'list', of, ids };
  const unseen = ids.filter((id) => !round.seen.has(id));
  const seenAt = facts.lastSeenAt + seenIntervalSec(isCommit ? terms.roundTimeoutSec : terms.revealTimeoutSec);
  if (now >= seenAt) return { do: 'seen', of, ids: unseen };
  return {
    do: 'wait',
    for: `round ${round.round + 1} of ${terms.rounds}: ${answers.size} of ${expected} ${isCommit ? 'updates committed' : 'updates revealed'}`,
    until: Math.min(seenAt, now < until ? until : extended),
  };
}

/** Every quarter of the phase, at most every minute. */
export function seenIntervalSec(phaseSec: number): number {
  return Math.max(1, Math.min(60, Math.ceil(phaseSec / 4)));
}

function enough(quorum: number, round: RoundState, count: number): boolean {
  return count >= Math.min(quorum, round.assigned.length);
}

export function unpaidPayouts(state: JobState): RoundState['payouts'] {
  return state.rounds.flatMap((round) => round.payouts.filter((payout) => payout.receipt === null));
}

/** Pays what is claimed; waits a little for what is not. */
function decidePayment(state: JobState, facts: CustomerFacts, now: number): CustomerAction | null {
  let graceUntil = 0;
  let open = 0;
  for (const round of state.rounds)
    for (const payout of round.payouts) {
      if (payout.receipt !== null) continue;
      if (payout.claim !== null && !facts.heldPayouts.has(payout.payout)) return { do: 'pay', round, payout };
      open++;
      graceUntil = Math.max(graceUntil, round.settlement!.createdAt + CLAIM_GRACE_SEC);
    }
  if (open === 0 || now >= graceUntil) return null;
  return { do: 'wait', for: `${open} ${open === 1 ? 'trainer' : 'trainers'} to send an invoice`, until: graceUntil };
}
