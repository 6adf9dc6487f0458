import type { EventId, Pubkey } from '../../hash.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { MAX_VALIDATORS, seatHash } from '../../protocol/validator.js';
import { MISSES_TO_LOSE } from '../validator-seats.js';
import { owedSubmissions, stakesAsked } from './list-rules.js';
import { pendingAliases } from './scored.js';
import { commitFor, opens } from './score-rules.js';
import { MAX_DRAWS, nonceFor, soundOf } from './seat-rules.js';
import { drawsOf, seatsIn, type ArenaRound, type ArenaStage, type ArenaState } from './state.js';

/** What participants have said and the customer has yet to answer: whoever leads an arena lists exactly these. */

/** Submissions to a stage that no `arena-seen` names yet, in order of their ids. */
export function unseenSubmissions(state: ArenaState, stage: number): readonly EventOf<'submit'>[] {
  return [...state.sound.values()]
    .flat()
    .filter(
      (event): event is EventOf<'submit'> =>
        event.type === 'submit' && event.content.stage === stage && !state.seen.has(event.id),
    )
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Those that the list has to name. */
export const listedSubmissions = (state: ArenaState, stage: number): readonly EventId[] =>
  owedSubmissions(state, stage)
    .map(({ id }) => id)
    .sort();

/**
 * Who may score a stage: registered in time, on an accepted engine, no trainer of it, with the stake that the job asks; of more than there
 * may be the first by `seatHash`.
 *
 * @returns in order of their keys
 */
export function ableValidators(
  state: ArenaState,
  { submissions }: Pick<ArenaStage, 'submissions'>,
  nowSec: number,
): readonly EventOf<'register'>[] {
  const { acceptedEngines } = state.job.content;
  const stakes = stakesAsked(state, 'validator');
  const isRegister = (event: JobEvent): event is EventOf<'register'> => event.type === 'register';
  return soundOf(state, isRegister)
    .filter(
      ({ author, content }) =>
        author !== state.job.author &&
        !submissions.has(author) &&
        content.expires > nowSec &&
        acceptedEngines.some((engine) => content.engine.startsWith(`${engine}/`)) &&
        (stakes === null || stakes.has(author)),
    )
    .sort((a, b) => (seatHash(state.jobId, a.author) < seatHash(state.jobId, b.author) ? -1 : 1))
    .slice(0, MAX_VALIDATORS)
    .sort((a, b) => (a.author < b.author ? -1 : 1));
}

/** The draw that takes commitments or scores now; null: none does. */
export function roundTaking({ rounds }: ArenaStage): ArenaRound | null {
  const last = rounds.at(-1);
  return last === undefined || last.revealList !== null ? null : last;
}

/** Is there something to draw for? */
export function mayDraw(state: ArenaState, stage: ArenaStage): boolean {
  if (stage.root === null || stage.table !== null || roundTaking(stage) !== null) return false;
  return stage.rounds.length < MAX_DRAWS && pendingAliases(stage, seatsIn(state, stage)).length > 0;
}

/** Validators that the next draw may give seats. */
export function awaitedNonces({ missed }: ArenaState, { validators }: ArenaStage): readonly Pubkey[] {
  return [...validators.keys()].filter((key) => (missed.get(key) ?? 0) < MISSES_TO_LOSE);
}

/** Of the next draw, in order of their authors' keys. */
export function noncesNow(state: ArenaState, stage: ArenaStage): readonly EventOf<'nonce'>[] {
  return byAuthor(soundOf(state, nonceFor(stage, drawsOf(state))));
}

export function commitsNow(state: ArenaState, round: ArenaRound): readonly EventOf<'score-commit'>[] {
  return byAuthor(soundOf(state, commitFor(round)));
}

export function revealsNow(state: ArenaState, round: ArenaRound): readonly EventOf<'arena-scores'>[] {
  const counts = (event: JobEvent): event is EventOf<'arena-scores'> => opens(state, round, event);
  return byAuthor(soundOf(state, counts));
}

function byAuthor<E extends JobEvent>(events: readonly E[]): readonly E[] {
  return [...events].sort((a, b) => (a.author < b.author ? -1 : 1));
}
