import type { Pubkey } from '../../hash.js';
import { arenaScoreCommitment } from '../../protocol/arena/scores.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { broken, type Broken } from '../draft.js';
import { firstOnly } from './seat-rules.js';
import { currentStage, withStage, type ArenaRound, type ArenaState } from './state.js';
import { isStop, type Step } from '../spine.js';

/** Scores of those with seats: commitments, then what opens them. */

export function applyScoreList(state: ArenaState, event: EventOf<'list'>): Step<ArenaState> {
  const { round, of } = event.content;
  const stage = currentStage(state);
  const last = stage?.rounds.at(-1);
  if (stage === undefined || last?.draw.content.round !== round || last.revealList !== null)
    return broken('list', `draw ${round} takes nothing now`);
  const change = of === 'score-commit' ? commitsOf(state, last, event) : revealsOf(state, last, event);
  if (isStop(change)) return change;
  const next: ArenaRound = { ...last, ...change };
  const listed = withStage(state, { rounds: [...stage.rounds.slice(0, -1), next] });
  return next.revealList === null ? listed : { ...listed, missed: missedAfter(state, next) };
}

/** Is it of somebody with a seat, and for this draw? */
export function commitFor({ draw, seats }: Pick<ArenaRound, 'draw' | 'seats'>) {
  return (one: JobEvent): one is EventOf<'score-commit'> =>
    one.type === 'score-commit' &&
    one.content.round === draw.content.round &&
    one.content.list === draw.id &&
    seats.has(one.author);
}

function commitsOf(state: ArenaState, into: ArenaRound, list: EventOf<'list'>): Step<Partial<ArenaRound>> {
  if (into.commitList !== null) return broken('list', 'commitments are listed already');
  const commits = firstOnly(state, list.content.ids, commitFor(into));
  return isStop(commits) ? commits : { commitList: list, commits };
}

function revealsOf(state: ArenaState, into: ArenaRound, list: EventOf<'list'>): Step<Partial<ArenaRound>> {
  const { of, ids } = list.content;
  if (of !== 'score-reveal' || into.commitList === null) return broken('list', `a list of ${of} does not come here`);
  const counts = (one: JobEvent): one is EventOf<'arena-scores'> => opens(state, into, one);
  const reveals = firstOnly(state, ids, counts, (one) => whyNotCounted(state, into, one));
  return isStop(reveals) ? reveals : { revealList: list, reveals };
}

/** Scores of the right set, of exactly its seats, that were committed to. */
export function opens(state: ArenaState, round: ArenaRound, event: JobEvent): boolean {
  return whyNotCounted(state, round, event) === null;
}

/** The first rule that scores break; null: they count. */
function whyNotCounted(
  state: ArenaState,
  { draw, seats, commits, commitList }: ArenaRound,
  event: JobEvent,
): Broken | null {
  const { number, set, commitment: due } = setOf(state);
  if (event.type !== 'arena-scores' || event.content.list !== commitList?.id)
    return broken('list', `${event.id} holds no scores of this draw`);
  const { round, commit, engine, data, scores, salt } = event.content;
  const whose = `the scores of ${event.author}`;
  const commitment = commits.get(event.author);
  if (commitment?.id !== commit || round !== draw.content.round)
    return broken('list', `${whose} follow no listed commitment of it`);
  if (data !== due)
    return broken('evaluation-set', `${whose} are of the set ${data}, stage ${number} is scored on set ${set}, ${due}`);
  const spell = (aliases: readonly number[]) => aliases.join(' ');
  const [scored, seated] = [spell(scores.map(({ alias }) => alias)), spell(seats.get(event.author)!)];
  if (scored !== seated) return broken('seats', `${whose} are of aliases ${scored}, its seats are ${seated}`);
  const of = { job: state.jobId, round, draw: draw.id, validator: event.author, engine, data, scores, salt };
  return arenaScoreCommitment(of) === commitment.content.commitment
    ? null
    : broken('commitment', `${whose} are not those that it committed to`);
}

function setOf(state: ArenaState) {
  const { evalA, evalB } = state.job.content;
  const { stage: number } = currentStage(state)!;
  return { number, set: number === 0 ? 'A' : 'B', commitment: (number === 0 ? evalA : evalB).commitment };
}

function missedAfter({ missed }: ArenaState, { seats, reveals }: ArenaRound): ReadonlyMap<Pubkey, number> {
  const counts = [...seats.keys()].map((key) => [key, reveals.has(key) ? 0 : (missed.get(key) ?? 0) + 1] as const);
  return new Map([...missed, ...counts]);
}
