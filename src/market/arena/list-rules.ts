import type { EventId, Pubkey } from '../../hash.js';
import type { ArenaTerms } from '../../protocol/arena/job.js';
import type { EventOf } from '../../protocol/events.js';
import { broken, type Broken } from '../draft.js';
import { asksStake, countedStakes } from '../stake-terms.js';
import { NO_STAKES } from '../stake.js';
import { submittingStage, type ArenaState } from './state.js';
import { atHand, isStop, type Step } from '../spine.js';

/** Which submissions count. */

/** Of a job without stake, which has no tables. */
const INTERVAL_SEC = 3_600;

function dayOf({ stake }: ArenaTerms, interval: number): number {
  return Math.floor((interval * (stake?.intervalSec ?? INTERVAL_SEC)) / 86_400);
}

export function applyArenaSeen(state: ArenaState, { content }: EventOf<'arena-seen'>): ArenaState | Broken {
  const { stage, interval, ids } = content;
  if (stage !== submittingStage(state)) return broken('seen', `stage ${stage} takes no submissions now`);
  if (interval < state.interval) return broken('seen', `interval ${interval} is before ${state.interval}`);
  const twice = ids.find((id, i) => state.seen.has(id) || ids.indexOf(id) !== i);
  if (twice !== undefined) return broken('seen', `${twice} was seen before`);
  return { ...state, interval, seen: new Map([...state.seen, ...ids.map((id) => [id, interval] as const)]) };
}

/** What counts of everybody's stake; null: the job asks for none, and all are equal. */
export function stakesAsked(state: ArenaState, role: 'trainer' | 'validator'): ReadonlyMap<Pubkey, bigint> | null {
  const terms = state.job.content;
  return asksStake(terms, role) ? countedStakes(terms, state.stakes, role) : null;
}

/** Of each trainer and day the first ones that were seen, as many as the job takes; who staked too little has none. */
export function owedSubmissions(state: ArenaState, stage: number): readonly EventOf<'submit'>[] {
  const terms = state.job.content;
  const stakes = stakesAsked(state, 'trainer');
  return [...state.sound].flatMap(([author, events]) => {
    if (stakes !== null && !stakes.has(author)) return [];
    const perDay = new Map<number, number>();
    return events.flatMap((event) => {
      const interval = state.seen.get(event.id);
      if (event.type !== 'submit' || interval === undefined) return [];
      const day = dayOf(terms, interval);
      const before = perDay.get(day) ?? 0;
      perDay.set(day, before + 1);
      return before < terms.arena.submissionsPerDay && event.content.stage === stage ? [event] : [];
    });
  });
}

/** A seen submission that is left out is a proven omission: the customer's own signatures show it. */
export function applyArenaList(state: ArenaState, event: EventOf<'arena-list'>): Step<ArenaState> {
  const { stage, ids } = event.content;
  if (stage !== submittingStage(state)) return broken('list', `stage ${stage} takes no submissions now`);
  if (new Set(ids).size !== ids.length) return broken('list', 'an event stands twice');
  const listed = atHand(state, ids);
  if (isStop(listed)) return listed;
  const owed = owedSubmissions(state, stage);
  const omitted = owed.find(({ id }) => !ids.includes(id));
  if (omitted !== undefined)
    return broken('omission', `the submission ${omitted.id} of ${omitted.author} was seen and is not listed`);
  const submissions = submissionsOf(state, stage, ids, new Set(owed.map(({ id }) => id)));
  if (isStop(submissions)) return submissions;
  const stakes = stakesAsked(state, 'trainer');
  const found: ArenaState['stages'][number] = {
    ...{ stage, list: event, submissions },
    trainerStakes: new Map([...submissions.keys()].map((key) => [key, stakes?.get(key) ?? 1n])),
    ...{ root: null, validators: new Map(), validatorStakes: new Map(), rounds: [] },
    ...{ table: null, book: NO_STAKES, ranking: null, ranks: [], settlement: null, others: [], payouts: [] },
  };
  return { ...state, stages: [...state.stages, found] };
}

/** Newest by trainer. One whose chain was forked since counts where it was listed: its author cannot take that back. */
function submissionsOf(
  state: ArenaState,
  stage: number,
  ids: readonly EventId[],
  owed: ReadonlySet<EventId>,
): ReadonlyMap<Pubkey, EventOf<'submit'>> | Broken {
  const newest = new Map<Pubkey, EventOf<'submit'>>();
  for (const id of ids) {
    const one = state.byId.get(id)!;
    if (one.type !== 'submit' || one.content.stage !== stage || one.author === state.job.author)
      return broken('list', `${id} is no submission to stage ${stage}`);
    if (!state.seen.has(id)) return broken('list', `${id} is listed and was not seen`);
    const isSound = state.sound.get(one.author)?.some((event) => event.id === id) === true;
    if (isSound && !owed.has(id)) return broken('list', `${id} is one too many of its day, or without the stake`);
    const known = newest.get(one.author);
    if (known === undefined || known.seq < one.seq || (known.seq === one.seq && known.id > id))
      newest.set(one.author, one);
  }
  return new Map([...newest].sort(([a], [b]) => (a < b ? -1 : 1)));
}
