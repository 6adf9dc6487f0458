import type { EventId, Pubkey } from '../../hash.js';
import { proposalCommitment } from '../../protocol/alliance/proposal.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { broken } from '../draft.js';
import { endOf, lastRound, withRound, type AllianceRoundState, type AllianceState } from './state.js';
import { atHand, isStop, type Step } from '../spine.js';
import { tally, voteCommitment, type Vote } from './vote.js';

/** What counts of proposals and votes: commitments, then what opens them. */

type Fits<E extends JobEvent> = (event: JobEvent) => event is E;

export function isCommitOf({ round, draw, roles }: AllianceRoundState): Fits<EventOf<'commit'>> {
  return (event): event is EventOf<'commit'> =>
    event.type === 'commit' &&
    event.content.round === round &&
    event.content.shard === 0 &&
    event.content.open === draw?.id &&
    roles?.state === 'drawn' &&
    roles.proposers.includes(event.author);
}

export function isProposalOf(
  { jobId }: Pick<AllianceState, 'jobId'>,
  { round, commits }: AllianceRoundState,
): Fits<EventOf<'proposal'>> {
  return (event): event is EventOf<'proposal'> => {
    if (event.type !== 'proposal' || event.content.list !== commits?.list.id) return false;
    const { commit, model, salt, pointer } = event.content;
    const commitment = commits.by.get(event.author);
    if (commitment?.id !== commit || event.content.round !== round || pointer.sha256 !== model) return false;
    const of = { job: jobId, round, proposer: event.author, model, salt };
    return proposalCommitment(of) === commitment.content.commitment;
  };
}

export function isVoteCommitOf({ round, proposals, roles }: AllianceRoundState): Fits<EventOf<'score-commit'>> {
  return (event): event is EventOf<'score-commit'> =>
    event.type === 'score-commit' &&
    event.content.round === round &&
    event.content.list === proposals?.list.id &&
    roles?.state === 'drawn' &&
    roles.voters.includes(event.author);
}

/** A vote for what its own losses say, on proposals of the round. */
export function isVoteOf(
  state: Pick<AllianceState, 'jobId' | 'job'>,
  round: AllianceRoundState,
): Fits<EventOf<'vote'>> {
  const { proposals, voteCommits } = round;
  return (event): event is EventOf<'vote'> => {
    if (event.type !== 'vote' || event.content.list !== voteCommits?.list.id) return false;
    const { content, author } = event;
    const commitment = voteCommits.by.get(author);
    if (commitment?.id !== content.commit || content.round !== round.round) return false;
    if (content.vote !== sideOf(state.job.content.alliance, content)) return false;
    const listed = [...proposals!.by.values()].map(({ id }) => id);
    if (content.proposals.join() !== listed.filter((id) => content.proposals.includes(id)).join()) return false;
    const of = { job: state.jobId, round: round.round, list: proposals!.list.id, voter: author };
    return voteCommitment(of, content, content.salt) === commitment.content.commitment;
  };
}

/**
 * +1: the loss with the aggregate is below the loss before, or above it by less than the tolerance of the job, a share of the loss before.
 * Near convergence a voter's own test data tells little: there honest votes split.
 */
export function sideOf(
  { tolerancePpm }: { readonly tolerancePpm: number },
  { beforePpm, afterPpm }: Pick<Vote, 'beforePpm' | 'afterPpm'>,
): 1 | -1 {
  return BigInt(afterPpm) * 1_000_000n < BigInt(beforePpm) * BigInt(1_000_000 + tolerancePpm) ? 1 : -1;
}

export function applyAllianceList(state: AllianceState, event: EventOf<'list'>): Step<AllianceState> {
  const { round: number, of } = event.content;
  const round = lastRound(state);
  if (round === undefined || round.round !== number || round.roles?.state !== 'drawn' || endOf(round) !== null)
    return broken('list', `round ${number} takes nothing now`);
  const due = dueList(round);
  if (of !== due) return broken('list', `a list of ${of} where one of ${due} is due`);
  const change = listed(state, round, event);
  return isStop(change) ? change : withRound(state, change);
}

/** Which list comes next in a round that has roles. */
export function dueList({ commits, proposals, voteCommits }: AllianceRoundState) {
  if (commits === null) return 'commit';
  if (proposals === null) return 'reveal';
  return voteCommits === null ? 'score-commit' : 'score-reveal';
}

function listed(
  state: AllianceState,
  round: AllianceRoundState,
  list: EventOf<'list'>,
): Step<Partial<AllianceRoundState>> {
  const { of, ids } = list.content;
  const named = <E extends JobEvent>(fits: Fits<E>) => firstOnly(state, ids, fits);
  switch (of) {
    case 'commit': {
      const by = named(isCommitOf(round));
      return isStop(by) ? by : { commits: { list, by } };
    }
    case 'reveal': {
      const by = named(isProposalOf(state, round));
      return isStop(by) ? by : { proposals: { list, by } };
    }
    case 'score-commit': {
      const by = named(isVoteCommitOf(round));
      return isStop(by) ? by : { voteCommits: { list, by } };
    }
    case 'score-reveal': {
      const by = named(isVoteOf(state, round));
      return isStop(by) ? by : { votes: { list, by }, tally: tallyOf(round, by) };
    }
  }
}

function tallyOf({ roles, stakes }: AllianceRoundState, votes: ReadonlyMap<Pubkey, EventOf<'vote'>>) {
  const voters = roles?.state === 'drawn' ? roles.voters : [];
  return tally(
    new Map(voters.map((key) => [key, stakes.get(key)!])),
    new Map([...votes].map(([key, { content }]) => [key, content])),
  );
}

/** A listed event is its author's first that counts, as far as its chain can be followed; what was seen is not left out. By author, in order of keys. */
export function firstOnly<E extends JobEvent>(
  state: Pick<AllianceState, 'byId' | 'sound' | 'seen'>,
  ids: readonly EventId[],
  fits: Fits<E>,
): Step<ReadonlyMap<Pubkey, E>> {
  const first = firstOf(state, fits);
  const omitted = first.find(({ id }) => state.seen.has(id) && !ids.includes(id));
  if (omitted !== undefined) return broken('omission', `${omitted.id} was seen and is left out`);
  const found = atHand(state, ids);
  if (isStop(found)) return found;
  const counted = new Map<Pubkey, E>();
  for (const one of found) {
    if (!fits(one)) return broken('list', `${one.id} does not count here`);
    const known = first.find(({ author }) => author === one.author);
    if (counted.has(one.author) || (known !== undefined && known.id !== one.id))
      return broken('list', `${one.id} is not the first of its author`);
    counted.set(one.author, one);
  }
  return new Map([...counted].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Of each author the first one in its chain, in order of their keys. */
export function firstOf<E extends JobEvent>({ sound }: Pick<AllianceState, 'sound'>, fits: Fits<E>): readonly E[] {
  return [...sound].flatMap(([, events]) => events.find(fits) ?? []);
}
