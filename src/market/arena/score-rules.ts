import type { Pubkey } from '../../hash.js';
import { arenaScoreCommitment } from '../../protocol/arena/scores.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { broken } from '../draft.js';
import { firstOnly } from './seat-rules.js';
import { currentStage, isStop, withStage, type ArenaRound, type ArenaState, type Step } from './state.js';

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

function commitsOf(state: ArenaState, into: ArenaRound, list: EventOf<'list'>): Step<Partial<ArenaRound>> {
  const { draw, seats } = into;
  if (into.commitList !== null) return broken('list', 'commitments are listed already');
  const fits = (one: JobEvent): one is EventOf<'score-commit'> =>
    one.type === 'score-commit' &&
    one.content.round === draw.content.round &&
    one.content.list === draw.id &&
    seats.has(one.author);
  const commits = firstOnly(state, list.content.ids, fits);
  return isStop(commits) ? commits : { commitList: list, commits };
}

function revealsOf(state: ArenaState, into: ArenaRound, list: EventOf<'list'>): Step<Partial<ArenaRound>> {
  const { of, ids } = list.content;
  if (of !== 'score-reveal' || into.commitList === null) return broken('list', `a list of ${of} does not come here`);
  const reveals = firstOnly(state, ids, (one): one is EventOf<'arena-scores'> => opens(state, into, one));
  return isStop(reveals) ? reveals : { revealList: list, reveals };
}

/** Scores of the right set, of exactly its seats, that were committed to. */
export function opens(state: ArenaState, { draw, seats, commits, commitList }: ArenaRound, event: JobEvent): boolean {
  if (event.type !== 'arena-scores' || event.content.list !== commitList?.id) return false;
  const { round, commit, engine, data, scores, salt } = event.content;
  const commitment = commits.get(event.author);
  const { evalA, evalB } = state.job.content;
  const set = currentStage(state)!.stage === 0 ? evalA : evalB;
  if (commitment?.id !== commit || data !== set.commitment || round !== draw.content.round) return false;
  const aliases = scores.map(({ alias }) => alias).join(' ');
  if (aliases !== seats.get(event.author)!.join(' ')) return false;
  const of = { job: state.jobId, round, draw: draw.id, validator: event.author, engine, data, scores, salt };
  return arenaScoreCommitment(of) === commitment.content.commitment;
}

function missedAfter({ missed }: ArenaState, { seats, reveals }: ArenaRound): ReadonlyMap<Pubkey, number> {
  const counts = [...seats.keys()].map((key) => [key, reveals.has(key) ? 0 : (missed.get(key) ?? 0) + 1] as const);
  return new Map([...missed, ...counts]);
}
