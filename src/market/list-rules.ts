import type { EventId } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import type { SeenPhase } from '../protocol/round.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { noncesOf } from './nonce-rules.js';
import type { Assignment } from './state.js';
import { answersOf, isScoredByValidators, keepSeenOfValidator, listScores } from './score-rules.js';

/** What counts in a phase of a round: `seen` names ids as they come, `list` ends the phase. */

type Matches<E extends JobEvent> = (event: JobEvent) => event is E;

function isCommitOf({ id, content }: EventOf<'open'>): Matches<EventOf<'commit'>> {
  return (event): event is EventOf<'commit'> =>
    event.type === 'commit' && event.content.open === id && event.content.round === content.round;
}

/** A reveal cites its author's listed commitment; while that is not at hand, one that the list names. */
function isRevealOf(
  draft: Draft,
  { id, content }: EventOf<'list'>,
  commits: ReadonlyMap<number, EventOf<'commit'>>,
): Matches<EventOf<'reveal'>> {
  return (event): event is EventOf<'reveal'> => {
    if (event.type !== 'reveal' || event.content.list !== id || event.content.round !== content.round) return false;
    const cited = event.content.commit;
    return (
      (commits.get(event.content.shard)?.id ?? cited) === cited &&
      content.ids.includes(cited) &&
      !isOthers(draft, event)
    );
  };
}

function isOthers(draft: Draft, { author, content }: EventOf<'reveal'>): boolean {
  const commit = draft.byId.get(content.commit);
  return commit !== undefined && commit.author !== author;
}

export function commitsOf(draft: Draft, open: EventOf<'open'>, assigned: readonly Assignment[]): DraftRound['commits'] {
  return firstPerSeat(draft, open.content.round, assigned, isCommitOf(open));
}

/** By shard, its trainer's first event of that sort for it: a second one never counts. */
function firstPerSeat<E extends EventOf<'commit'> | EventOf<'reveal'>>(
  draft: Draft,
  round: number,
  assigned: readonly Assignment[],
  matches: Matches<E>,
): Map<number, E> {
  const found = new Map<number, E>();
  for (const { trainer, shard } of assigned) {
    const event = draft.index
      .submissions(trainer, round)
      .find((other): other is E => matches(other) && other.content.shard === shard);
    if (event !== undefined) found.set(shard, event);
  }
  return found;
}

export function applySeen(draft: Draft, round: DraftRound, event: EventOf<'seen'>): Broken | null {
  if (event.content.round !== round.round) return broken('seen', `round ${round.round} is open`);
  for (const id of event.content.ids) {
    round.seen.add(id);
    const other = draft.byId.get(id);
    if (other === undefined) draft.missing.add(id);
    else keepSeen(draft, round, event.content.of, other);
  }
  return null;
}

/** What was seen counts on, also if its author forks its chain later: the customer must list it. */
function keepSeen(draft: Draft, round: DraftRound, of: SeenPhase, event: JobEvent): void {
  const hasSeat = (shard: number) =>
    round.assigned.some((seat) => seat.trainer === event.author && seat.shard === shard);
  if (of === 'commit') {
    if (isCommitOf(round.open)(event) && hasSeat(event.content.shard) && !round.commits.has(event.content.shard))
      round.commits.set(event.content.shard, event);
  } else if (of !== 'reveal') keepSeenOfValidator(draft, round, of, event);
  else if (round.commitList !== null && isRevealOf(draft, round.commitList, round.listedCommits)(event)) {
    if (hasSeat(event.content.shard) && !round.reveals.has(event.content.shard))
      round.reveals.set(event.content.shard, event);
  }
}

/** Ids in an earlier `seen` that the list leaves out: an omission that the customer's own signatures prove. */
function omission(
  candidates: ReadonlyMap<number, { readonly id: EventId }>,
  seen: ReadonlySet<EventId>,
  ids: readonly EventId[],
): Broken | null {
  for (const { id } of candidates.values())
    if (seen.has(id) && !ids.includes(id)) return broken('omission', `${id} was seen and is not in the list`);
  return null;
}

/**
 * The events a list names. They count because it names them, whatever their authors publish later: a trainer that forks its
 * chain, or whose chain has a gap here, cannot undo what the customer signed.
 *
 * @param candidates  of each seat the first in its sound chain that counts: no other of it may be listed
 */
function listed<E extends EventOf<'commit'> | EventOf<'reveal'>>(
  draft: Draft,
  round: DraftRound,
  matches: Matches<E>,
  candidates: ReadonlyMap<number, E>,
  ids: readonly EventId[],
): Map<number, E> | Broken {
  const found = new Map<number, E>();
  const hasSeat = ({ author, content }: E) =>
    round.assigned.some((seat) => seat.trainer === author && seat.shard === content.shard);
  if (new Set(ids).size !== ids.length) return broken('list', 'an id stands twice');
  for (const id of ids) {
    const event = draft.byId.get(id);
    if (event === undefined) {
      draft.missing.add(id);
      draft.lacksListed = true;
      continue;
    }
    if (!matches(event) || !hasSeat(event)) return broken('list', `${id} does not count in this phase`);
    const { shard } = event.content;
    const first = candidates.get(shard);
    if (found.has(shard) || (first !== undefined && first.id !== id))
      return broken('list', `${id} is not the first of ${event.author} for shard ${shard}`);
    found.set(shard, event);
  }
  return found;
}

export function applyList(draft: Draft, round: DraftRound, event: EventOf<'list'>): Broken | null {
  switch (event.content.of) {
    case 'commit':
      return listCommits(draft, round, event);
    case 'reveal':
      return listReveals(draft, round, event);
    default:
      return listScores(draft, round, event);
  }
}

function listCommits(draft: Draft, round: DraftRound, event: EventOf<'list'>): Broken | null {
  if (event.content.round !== round.round || round.commitList !== null)
    return broken('list', 'the commitments of this round are listed already');
  if (event.content.until === null) return broken('list', 'it must say until when reveals count');
  const left = omission(round.commits, round.seen, event.content.ids);
  if (left !== null) return left;
  const found = listed(draft, round, isCommitOf(round.open), round.commits, event.content.ids);
  if (!(found instanceof Map)) return found;
  round.commitList = event;
  round.listedCommits = found;
  round.reveals = firstPerSeat(
    draft,
    round.round,
    round.assigned.filter((seat) => found.has(seat.shard)),
    isRevealOf(draft, event, found),
  );
  round.nonces = noncesOf(draft, round, event);
  return null;
}

function listReveals(draft: Draft, round: DraftRound, event: EventOf<'list'>): Broken | null {
  const { commitList, listedCommits } = round;
  if (event.content.round !== round.round || commitList === null || round.revealList !== null)
    return broken('list', 'reveals are listed once, after the commitments');
  if (draft.job.content.spot !== null && round.draw === null)
    return broken('list', 'the draw comes before the list of reveals');
  const left = omission(round.reveals, round.seen, event.content.ids);
  if (left !== null) return left;
  const found = listed(draft, round, isRevealOf(draft, commitList, listedCommits), round.reveals, event.content.ids);
  if (!(found instanceof Map)) return found;
  round.revealList = event;
  round.listedReveals = found;
  if (!isScoredByValidators(draft.job.content, round)) return null;
  if (event.content.until === null) return broken('list', 'it must say until when scores are committed');
  round.scoreCommits = answersOf(draft, round, 'score-commit') as DraftRound['scoreCommits'];
  return null;
}
