import type { EventId } from '../../hash.js';
import { awaitedNow, type Awaited } from '../../market/alliance/awaited.js';
import type { FoldedAlliance } from '../../market/alliance/fold.js';
import { registered } from '../../market/alliance/open-rules.js';
import { lastRound, type AllianceState } from '../../market/alliance/state.js';
import type { AllianceBlock } from '../../protocol/alliance/job.js';
import { decideCountersignatures, decidePayment, payable } from '../customer-payments.js';
import { OUTAGE_GRACE_SEC, seenIntervalSec } from '../customer-scoring.js';
import type { LeadAction, LeadFacts } from '../lead-loop.js';

export type SequencerAction =
  | { readonly do: 'open' | 'roles' | 'settle' | 'cancel' }
  | { readonly do: 'seen'; readonly of: Awaited['of']; readonly ids: readonly EventId[] }
  | { readonly do: 'list'; readonly of: Exclude<Awaited['of'], 'nonce'>; readonly ids: readonly EventId[] }
  | Extract<LeadAction, { do: 'pay' | 'wait' }>
  /** `unpaid`: payouts that nobody claimed in time. */
  | { readonly do: 'done'; readonly unpaid: number }
  | { readonly do: 'stop'; readonly why: 'lapsed' | 'frozen' | 'cancelled' | 'finished' };

/** What only this process knows. */
export interface SequencerFacts extends LeadFacts {
  /** The first round opens as soon as so many have joined, or after `joinWindowSec` with as many as it takes. */
  readonly members: number;
  readonly joinWindowSec: number;
  readonly isCancelling: boolean;
}

/** The next thing the customer of an alliance does; pure, so that a restart decides the same. */
export function decideSequencer(folded: FoldedAlliance, facts: SequencerFacts, now: number): SequencerAction {
  const { state, phase, firstBad } = folded;
  if (state === null || firstBad !== null) return { do: 'stop', why: 'frozen' };
  const owing = { job: state.job, rounds: state.rounds };
  const isSettled = lastRound(state)?.settlement !== null;
  const unpaid = state.rounds.flatMap(({ payouts }) => payouts).filter(({ receipt }) => receipt === null).length;
  switch (phase) {
    case 'finished':
      if (facts.isCancelling) return { do: 'stop', why: 'finished' };
      return decidePayment(owing, facts, now) ?? decideCountersignatures(state.rounds, now) ?? { do: 'done', unpaid };
    case 'cancelled':
      if (!facts.isCancelling) return decidePayment(owing, facts, now) ?? { do: 'stop', why: 'cancelled' };
      return decidePayment(owing, facts, now) ?? { do: 'done', unpaid };
    case 'decided':
      return { do: 'settle' };
    case 'joining':
      if (facts.isCancelling && isSettled) return { do: 'cancel' };
      return decidePayment(owing, facts, now) ?? decideOpen(state, facts, now);
    case 'drawing':
    case 'committing':
    case 'revealing':
    case 'voting':
    case 'vote-revealing':
      return payable(state.rounds, facts) ?? decideStep(state, facts, now);
    default:
      return { do: 'stop', why: 'frozen' };
  }
}

/** How many it takes for a round. */
export function neededMembers({ proposers, minVoters }: Pick<AllianceBlock, 'proposers' | 'minVoters'>): number {
  return minVoters + ('count' in proposers ? proposers.count : 1);
}

/** A later round opens with whoever is there: too few are no round, and its part carries over. */
function decideOpen(state: AllianceState, facts: SequencerFacts, now: number): SequencerAction {
  if (state.rounds.length > 0) return { do: 'open' };
  const { deadline } = state.job.content;
  if (now >= deadline) return { do: 'stop', why: 'lapsed' };
  const joined = registered(state).length;
  const needed = neededMembers(state.job.content.alliance);
  const windowEnd = facts.servingSince + facts.joinWindowSec;
  if (joined >= Math.max(needed, facts.members) || (now >= windowEnd && joined >= needed)) return { do: 'open' };
  return {
    do: 'wait',
    for: `members: ${joined} of ${Math.max(needed, facts.members)} joined, ${needed} make a round`,
    until: now < windowEnd ? windowEnd : deadline,
  };
}

const WHAT: Record<Awaited['of'], string> = {
  nonce: 'members opened their nonces',
  commit: 'proposers committed',
  reveal: 'proposals revealed',
  'score-commit': 'voters committed',
  'score-reveal': 'votes revealed',
};

/** Early when everybody answered, else when the time is over. */
function decideStep(state: AllianceState, facts: SequencerFacts, now: number): SequencerAction {
  const { of, from, answers, since, until } = awaitedNow(state)!;
  const due = Math.max(until, Math.max(facts.servingSince, facts.relaysSilentAt) + OUTAGE_GRACE_SEC);
  const ids = [...answers.values()].map(({ id }) => id);
  if (answers.size >= from.length || now >= due) return of === 'nonce' ? { do: 'roles' } : { do: 'list', of, ids };
  const seenAt = facts.lastSeenAt + seenIntervalSec(until - since);
  if (now >= seenAt) return { do: 'seen', of, ids: ids.filter((id) => !state.seen.has(id)).sort() };
  return {
    do: 'wait',
    for: `round ${state.rounds.length} of ${state.job.content.rounds}: ${answers.size} of ${from.length} ${WHAT[of]}`,
    until: Math.min(seenAt, due),
  };
}

/** Does this rest on something that is not there? */
export function restsOnAbsence(action: SequencerAction, { state }: FoldedAlliance): boolean {
  if (state === null || (action.do !== 'list' && action.do !== 'roles')) return false;
  const awaited = awaitedNow(state)!;
  return awaited.answers.size < awaited.from.length;
}
