import type { EventId, Pubkey } from '../hash.js';
import { noncesUntil } from '../market/nonce-rules.js';
import type { JobState, RoundState } from '../market/state.js';
import { isScoredByValidators, scorersOf } from '../market/score-rules.js';
import type { CustomerAction, CustomerFacts } from './customer-decide.js';

/** What the customer waits for of validators, in a round: nonces before the draw, then scores. Pure. */

/** After an outage everyone gets this long to say again what was lost in it. */
export const OUTAGE_GRACE_SEC = 60;

/** Every quarter of the phase, at most every minute. */
export function seenIntervalSec(phaseSec: number): number {
  return Math.max(1, Math.min(60, Math.ceil(phaseSec / 4)));
}

interface Phase {
  readonly of: 'nonce' | 'score-commit' | 'score-reveal';
  readonly expected: number;
  readonly answers: ReadonlyMap<Pubkey, { readonly id: EventId }>;
  readonly until: number;
  readonly phaseSec: number;
  readonly what: string;
}

function awaited(
  round: RoundState,
  { of, expected, answers, until, phaseSec, what }: Phase,
  facts: CustomerFacts,
  now: number,
): CustomerAction | null {
  const due = Math.max(until, facts.servingSince, facts.relaysSilentAt + OUTAGE_GRACE_SEC);
  if (answers.size >= expected || now >= due) return null;
  const unseen = [...answers.values()].map(({ id }) => id).filter((id) => !round.seen.has(id));
  const seenAt = facts.lastSeenAt + seenIntervalSec(phaseSec);
  if (now >= seenAt) return { do: 'seen', of, ids: unseen.sort() };
  return {
    do: 'wait',
    for: `round ${round.round + 1}: ${answers.size} of ${expected} validators ${what}`,
    until: Math.min(seenAt, due),
  };
}

/** Null: draw now. */
export function decideNonces(
  state: JobState,
  round: RoundState,
  facts: CustomerFacts,
  now: number,
): CustomerAction | null {
  const terms = state.job!.content;
  const { createdAt } = round.commitList!;
  const until = noncesUntil(terms, createdAt);
  const phaseSec = until - createdAt;
  const expected = round.validators.length;
  const phase = { expected, answers: round.nonces, until, phaseSec, what: 'opened their nonces' };
  return awaited(round, { of: 'nonce', ...phase }, facts, now);
}

/** Null: measured and closed now, by the validators' scores or, where they are too few, by the customer's own. */
export function decideScores(
  state: JobState,
  round: RoundState,
  facts: CustomerFacts,
  now: number,
): CustomerAction | null {
  const terms = state.job!.content;
  if (round.verdict !== null || round.scoreRevealList !== null || !isScoredByValidators(terms, round)) return null;
  const isCommit = round.scoreCommitList === null;
  const of = isCommit ? 'score-commit' : 'score-reveal';
  const answers: Phase['answers'] = isCommit ? round.scoreCommits : round.scoreReveals;
  const phase: Phase = {
    ...{ of, answers },
    expected: isCommit ? scorersOf(terms, round).length : round.listedScoreCommits.size,
    until: (isCommit ? round.revealList! : round.scoreCommitList).content.until!,
    phaseSec: isCommit ? terms.roundTimeoutSec : terms.revealTimeoutSec,
    what: isCommit ? 'committed to scores' : 'revealed scores',
  };
  const ids = [...answers.values()].map(({ id }) => id).sort();
  return awaited(round, phase, facts, now) ?? { do: 'list', of, ids };
}

/** How many answers a list of validators could have. */
export function expectedScores(state: JobState, round: RoundState, of: 'score-commit' | 'score-reveal'): number {
  return of === 'score-commit' ? scorersOf(state.job!.content, round).length : round.listedScoreCommits.size;
}
