import type { EventId, Pubkey } from '../../hash.js';
import { awaitedNow, type Awaited } from '../../market/alliance/awaited.js';
import type { FoldedAlliance } from '../../market/alliance/fold.js';
import { lostVotes, type LostVote } from '../../market/alliance/lost-votes.js';
import { lastRound, type AllianceRoundState, type AllianceState } from '../../market/alliance/state.js';
import { PATIENCE_SEC } from '../patience.js';
import { decideMoney, isOverlooked, lapse, type MoneyAction } from '../worker-decide.js';
import type { Republish, WorkerFacts } from '../worker-loop.js';

/** What a member does in a step of a round; each but `register` and `settle` answers one that `awaitedNow` names. */
export type MemberWork =
  | { readonly do: 'register' }
  | { readonly do: 'nonce' | 'propose' | 'reveal' | 'vote' | 'show'; readonly round: AllianceRoundState }
  /** The customer fell silent when the round had ended. */
  | { readonly do: 'settle'; readonly round: AllianceRoundState }
  /** Somebody loses stake by its vote. */
  | { readonly do: 'report'; readonly votes: readonly EventId[] };
export type MemberAction =
  | MemberWork
  | Republish
  | MoneyAction
  | { readonly do: 'done' }
  | { readonly do: 'lost' | 'cancelled' | 'stop'; readonly why: string };

export interface MemberFacts extends WorkerFacts {
  /** The group's key is at hand. */
  readonly hasKey: boolean;
  /** Has this home the secrets of its registration? */
  readonly hasSecrets: boolean;
  /** Can this process reach who keeps the stakes? */
  readonly canReport: boolean;
  /** Votes that it reported since it started, whatever came of it. */
  readonly reported: ReadonlySet<EventId>;
  /** Has this home what it committed to in the round? */
  readonly keeps: (round: AllianceRoundState, what: 'proposal' | 'vote') => boolean;
}

const WORK = {
  nonce: 'nonce',
  commit: 'propose',
  reveal: 'reveal',
  'score-commit': 'vote',
  'score-reveal': 'show',
} as const;
const WHAT: Record<Awaited['of'], string> = {
  nonce: 'the draw of roles',
  commit: 'the list of commitments',
  reveal: 'the list of proposals',
  'score-commit': 'the list of commitments to votes',
  'score-reveal': 'the list of votes',
};

/** The next thing a member does; pure, so that a restart decides the same. */
export function decideMember(folded: FoldedAlliance, facts: MemberFacts, now: number): MemberAction {
  const { state, phase, firstBad } = folded;
  if (state === null) return { do: 'stop', why: 'the job event is not at hand' };
  if (firstBad !== null) return { do: 'stop', why: `the customer broke a rule: ${firstBad.rule}: ${firstBad.detail}` };
  const { me } = facts;
  const money = decideMoney(state, facts, now);
  if (money !== null && money.do !== 'wait') return money;
  const votes = toReport(state, facts);
  if (votes.length > 0) return { do: 'report', votes };
  if (phase === 'finished') return money ?? { do: 'done' };
  if (phase === 'cancelled') {
    const { reason } = state.cancelled!.content;
    if (money !== null) return money;
    return hasEarned(state, me)
      ? { do: 'done' }
      : { do: 'cancelled', why: `the customer cancelled the job${reason === '' ? '' : `: ${reason}`}` };
  }
  if (state.job.author === me) return { do: 'lost', why: 'it is an own job' };
  const isRegistered = folded.chains.get(me)?.events.some(({ type }) => type === 'register') ?? false;
  if (!isRegistered)
    return state.rounds.length === 0 && now >= state.job.content.deadline
      ? { do: 'lost', why: 'the job lapsed before its first round' }
      : { do: 'register' };
  if (!facts.hasSecrets)
    return { do: 'lost', why: 'another home of this key registered: only that one opens its nonces' };
  const debt = state.rounds.find(({ payouts }) => payouts.some((one) => one.payee === me && isLeftUnpaid(one)));
  if (debt !== undefined) return money ?? { do: 'stop', why: `the customer did not pay for round ${debt.round + 1}` };
  return decideStep(state, facts, now) ?? money ?? awaitRound(state, facts, now);
}

/** Of those that contradict a vote that lost, one reports it, as the vote's id says; all others may do so by hand. */
export function reporterOf({ vote, proof }: LostVote): Pubkey {
  const against = [...proof.signers].filter((key) => key !== vote.author);
  return against[Number.parseInt(vote.id.slice(0, 12), 16) % against.length]!;
}

function toReport(state: AllianceState, { me, canReport, reported }: MemberFacts): readonly EventId[] {
  if (!canReport) return [];
  const said = new Set(state.sound.get(me)?.flatMap((one) => (one.type === 'slash' ? one.content.evidence : [])));
  return lostVotes(state)
    .filter((one) => reporterOf(one) === me)
    .map(({ vote }) => vote.id)
    .filter((id) => !said.has(id) && !reported.has(id));
}

const isLeftUnpaid = ({ receipt, unpaid }: AllianceRoundState['payouts'][number]): boolean =>
  receipt === null && unpaid !== null;

function hasEarned({ rounds }: AllianceState, me: string): boolean {
  return rounds.some(({ payouts }) => payouts.some(({ payee }) => payee === me));
}

/** When a customer that should be busy counts as gone. */
export function silentAt({ job }: AllianceState, { heardAt }: Pick<MemberFacts, 'heardAt'>): number {
  const { roundTimeoutSec, voteTimeoutSec, revealTimeoutSec } = job.content;
  return heardAt + 2 * Math.max(roundTimeoutSec, voteTimeoutSec, revealTimeoutSec) + PATIENCE_SEC;
}

/** Null: no step of a round is open. */
function decideStep(state: AllianceState, facts: MemberFacts, now: number): MemberAction | null {
  const awaited = awaitedNow(state);
  const round = lastRound(state);
  if (awaited === null || round === undefined) return null;
  const { of, from, answers, since, until } = awaited;
  const { me } = facts;
  const name = `round ${round.round + 1} of ${state.job.content.rounds}`;
  const ends = until + PATIENCE_SEC + 2 * (until - since);
  const waiting = lapse(facts, now, ends, `${WHAT[of]}, ${name}`);
  if (!from.includes(me)) return waiting;
  const said = answers.get(me);
  if (said !== undefined)
    return isOverlooked(state, { id: said.id, createdAt: said.createdAt }, until - since, facts, now)
      ? { do: 'republish', event: said.id, what: `what it said for ${WHAT[of]}, ${name}` }
      : waiting;
  if ((of === 'commit' || of === 'score-commit') && !facts.hasKey)
    return lapse(facts, now, ends, `the key of the group, ${name}`);
  if (of === 'reveal' && !facts.keeps(round, 'proposal')) return waiting;
  if (of === 'score-reveal' && !facts.keeps(round, 'vote')) return waiting;
  return { do: WORK[of], round };
}

function awaitRound(state: AllianceState, facts: MemberFacts, now: number): MemberAction {
  const round = lastRound(state);
  if (round === undefined) return lapse(facts, now, state.job.content.deadline + PATIENCE_SEC, 'the first round');
  if (round.settlement !== null)
    return lapse(facts, now, silentAt(state, facts), `round ${round.round + 2} of ${state.job.content.rounds}`);
  const isMember = round.members.has(facts.me);
  const settleAt = facts.heardAt + PATIENCE_SEC;
  if (!isMember || round.others.length > 0 || now < facts.deafAt + PATIENCE_SEC || now < settleAt)
    return lapse(facts, now, silentAt(state, facts), `the settlement of round ${round.round + 1}`);
  return { do: 'settle', round };
}
