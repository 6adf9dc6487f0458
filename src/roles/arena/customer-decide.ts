import type { EventId } from '../../hash.js';
import {
  ableValidators,
  awaitedNonces,
  commitsNow,
  listedSubmissions,
  mayDraw,
  noncesNow,
  roundTaking,
  revealsNow,
  unseenSubmissions,
} from '../../market/arena/due.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import { drawsOf, LEAST_SEATS, submittingStage, type ArenaStage, type ArenaState } from '../../market/arena/state.js';
import { decideCountersignatures, decidePayment, payable, type Payment } from '../customer-payments.js';
import { OUTAGE_GRACE_SEC, seenIntervalSec } from '../customer-scoring.js';
import type { LeadFacts } from '../lead-loop.js';
import { owedOf, type OwedStage } from './env.js';

/** Of a job without stake, which has no tables. */
const INTERVAL_SEC = 3_600;

export type ArenaAction =
  | {
      readonly do: 'seen';
      readonly of: 'submission';
      readonly stage: number;
      readonly interval: number;
      readonly ids: readonly EventId[];
    }
  | {
      readonly do: 'seen';
      readonly of: 'nonce' | 'score-commit' | 'score-reveal';
      readonly round: number;
      readonly ids: readonly EventId[];
    }
  | { readonly do: 'list-submissions'; readonly stage: number; readonly ids: readonly EventId[] }
  /** Opens the submissions, and fixes who is which alias. */
  | { readonly do: 'root'; readonly stage: ArenaStage }
  | { readonly do: 'draw'; readonly stage: ArenaStage; readonly round: number; readonly nonces: readonly EventId[] }
  | {
      readonly do: 'list';
      readonly of: 'score-commit' | 'score-reveal';
      readonly round: number;
      readonly ids: readonly EventId[];
      readonly expected: number;
    }
  | { readonly do: 'table'; readonly stage: ArenaStage }
  | { readonly do: 'rank'; readonly stage: ArenaStage }
  | { readonly do: 'settle'; readonly stage: ArenaStage }
  | Payment<OwedStage>
  | { readonly do: 'cancel' }
  | { readonly do: 'wait'; readonly for: string; readonly until: number }
  /** `unpaid`: payouts that nobody claimed in time. */
  | { readonly do: 'done'; readonly unpaid: number }
  | { readonly do: 'stop'; readonly why: 'frozen' | 'cancelled' | 'finished' };

export interface ArenaFacts extends LeadFacts {
  /** The user wants the job to end. */
  readonly isCancelling: boolean;
}

/** Does this rest on something that is not there? */
export function restsOnAbsence(action: ArenaAction, folded: FoldedArena): boolean {
  switch (action.do) {
    case 'list-submissions':
      return true; // anybody may have submitted
    case 'draw':
      return action.nonces.length < awaitedNonces(folded.state!, action.stage).length;
    case 'list':
      return action.ids.length < action.expected;
    default:
      return false;
  }
}

/** The next thing the customer does; pure, so that a restart decides the same. */
export function decideArena(folded: FoldedArena, facts: ArenaFacts, now: number): ArenaAction {
  const { state, phase } = folded;
  if (state === null || phase === 'frozen' || phase === 'incomplete') return { do: 'stop', why: 'frozen' };
  const owed = owedOf(folded);
  const stage = state.stages.at(-1);
  switch (phase) {
    case 'submitting':
      if (facts.isCancelling) return { do: 'cancel' };
      return payable(owed.rounds, facts) ?? decideSubmissions(state, facts, now);
    case 'listed':
      return decideRoot(state, stage!, now);
    case 'scoring':
      return decideScoring(state, stage!, facts, now);
    case 'scored':
      return { do: 'rank', stage: stage! };
    case 'ranked':
      return { do: 'settle', stage: stage! };
    case 'finished':
    case 'cancelled': {
      if (facts.isCancelling && phase === 'finished') return { do: 'stop', why: 'finished' };
      const open = decidePayment(owed, facts, now) ?? decideCountersignatures(owed.rounds, now);
      if (open !== null) return open;
      if (phase === 'cancelled' && !facts.isCancelling) return { do: 'stop', why: 'cancelled' };
      const unpaid = owed.rounds.flatMap(({ payouts }) => payouts.filter(({ receipt }) => receipt === null));
      return { do: 'done', unpaid: unpaid.length };
    }
    case 'unknown':
      return { do: 'stop', why: 'frozen' };
  }
}

function decideSubmissions(state: ArenaState, facts: ArenaFacts, now: number): ArenaAction {
  const { arena, stake } = state.job.content;
  const stage = submittingStage(state)!;
  const openedAt = state.stages.at(-1)?.settlement?.createdAt ?? state.job.createdAt;
  const until = stage === 0 ? arena.interimUntil : arena.finalUntil;
  const due = Math.max(until, facts.relaysSilentAt === 0 ? 0 : facts.relaysSilentAt + OUTAGE_GRACE_SEC);
  const interval = Math.floor((now - state.job.createdAt) / (stake?.intervalSec ?? INTERVAL_SEC));
  const ids = unseenSubmissions(state, stage).map(({ id }) => id);
  const seenAt = facts.lastSeenAt + seenIntervalSec(Math.max(1, until - openedAt));
  if (ids.length > 0 && (now >= due || now >= seenAt))
    return {
      do: 'seen',
      of: 'submission',
      stage,
      interval: Math.max(interval, state.interval),
      ids: ids.slice(0, 1_024),
    };
  if (now >= due) return { do: 'list-submissions', stage, ids: listedSubmissions(state, stage) };
  const what = `${state.seen.size + ids.length} submissions so far, ${stage === 0 ? 'interim' : 'final'} stage`;
  return { do: 'wait', for: what, until: ids.length > 0 ? Math.min(due, seenAt) : due };
}

/** Fewer validators than a score takes get until the end of the list's time; the others had the whole stage to register. */
function decideRoot(state: ArenaState, stage: ArenaStage, now: number): ArenaAction {
  const { until } = stage.list.content;
  const able = ableValidators(state, stage, now).length;
  return able >= LEAST_SEATS || now >= until || stage.submissions.size === 0
    ? { do: 'root', stage }
    : { do: 'wait', for: `validators: ${able} of at least ${LEAST_SEATS} registered`, until };
}

function decideScoring(state: ArenaState, stage: ArenaStage, facts: ArenaFacts, now: number): ArenaAction {
  const { revealTimeoutSec } = state.job.content;
  const open = roundTaking(stage);
  if (open === null && !mayDraw(state, stage)) return { do: 'table', stage };
  const round = open?.draw.content.round ?? drawsOf(state);
  const of = open === null ? 'nonce' : open.commitList === null ? 'score-commit' : 'score-reveal';
  const answers =
    open === null
      ? noncesNow(state, stage)
      : open.commitList === null
        ? commitsNow(state, open)
        : revealsNow(state, open);
  const expected =
    open === null ? awaitedNonces(state, stage).length : open.commitList === null ? open.seats.size : open.commits.size;
  const began = open === null ? (stage.rounds.at(-1)?.revealList ?? stage.root!) : (open.commitList ?? open.draw);
  const graceUntil = facts.relaysSilentAt === 0 ? 0 : facts.relaysSilentAt + OUTAGE_GRACE_SEC;
  const due = Math.max(began.createdAt + revealTimeoutSec, facts.servingSince, graceUntil);
  const ids = answers.map(({ id }) => id);
  if (answers.length >= expected || now >= due)
    return of === 'nonce' ? { do: 'draw', stage, round, nonces: ids } : { do: 'list', of, round, ids, expected };
  const unseen = ids.filter((id) => !state.seenScoring.has(id)).sort();
  const seenAt = facts.lastSeenAt + seenIntervalSec(revealTimeoutSec);
  if (now >= seenAt && unseen.length > 0) return { do: 'seen', of, round, ids: unseen };
  const what = {
    nonce: 'opened their nonces',
    'score-commit': 'committed to scores',
    'score-reveal': 'revealed scores',
  };
  return {
    do: 'wait',
    for: `${answers.length} of ${expected} validators that ${what[of]}, ${stage.stage === 0 ? 'interim' : 'final'} stage`,
    until: unseen.length > 0 ? Math.min(seenAt, due) : due,
  };
}
