import type { Bytes, EventId, Pubkey } from '../../hash.js';
import { isChainElement } from '../../learning/seeds.js';
import type { AllianceTerms } from '../../protocol/alliance/job.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { rungOf } from '../auction.js';
import { broken } from '../draft.js';
import { countedStakes, stakeToPut } from '../stake-terms.js';
import { firstOnly } from './list-rules.js';
import { drawRoles, type RoleTerms } from './roles-draw.js';
import { lastRound, phaseOf, withRound, type AllianceRoundState, type AllianceState } from './state.js';
import { atHand, isStop, type Step } from '../spine.js';

/** From who joined to who proposes and who votes. */

const asked = ({ stake }: AllianceTerms) => ({ stake, keyRelease: 'open' }) as const;

/** The least that a member has of stake, for what counts of it; 1 where the job asks for none. */
export function leastStake(terms: AllianceTerms): bigint {
  const least = stakeToPut(asked(terms), 'trainer');
  return least > 0n ? least : 1n;
}

/** What counts of everybody's stake; null: the job asks for none, and all are equal. */
export function memberStakes({
  job,
  stakes,
}: Pick<AllianceState, 'job' | 'stakes'>): ReadonlyMap<Pubkey, bigint> | null {
  return (job.content.stake?.trainerMsat ?? 0n) > 0n ? countedStakes(asked(job.content), stakes, 'trainer') : null;
}

/** Who may be named when a round opens: each author's newest registration, on an engine that counts, with the stake. In order of keys. */
export function registered(state: AllianceState): readonly EventOf<'register'>[] {
  const stakes = memberStakes(state);
  return [...state.sound]
    .filter(([author]) => stakes?.has(author) !== false)
    .flatMap(([, events]) => {
      const newest = events.findLast((one): one is EventOf<'register'> => one.type === 'register');
      return newest !== undefined && isOnEngine(state, newest) ? [newest] : [];
    })
    .sort((a, b) => (a.author < b.author ? -1 : 1));
}

const isOnEngine = ({ job }: AllianceState, { content }: EventOf<'register'>) =>
  job.content.acceptedEngines.includes(rungOf(content.engine));

/** Who took part in the draw before, and still stands, is named again: nobody is dropped for how it votes. */
export function applyOpen(state: AllianceState, event: EventOf<'alliance-open'>): Step<AllianceState> {
  const { round, members: ids } = event.content;
  if (phaseOf(state) !== 'joining') return broken('open', 'the round before is not settled');
  if (round !== state.rounds.length) return broken('open', `expected round ${state.rounds.length}, got ${round}`);
  const found = atHand(state, ids);
  if (isStop(found)) return found;
  const stakes = memberStakes(state);
  const members = new Map<Pubkey, EventOf<'register'>>();
  let last = '';
  for (const one of found) {
    if (one.type !== 'register' || one.author === state.job.author || !isOnEngine(state, one))
      return broken('open', `${one.id} is no registration of somebody who may join`);
    if (stakes?.has(one.author) === false) return broken('open', `${one.author} has not the stake`);
    if (one.author <= last) return broken('open', 'its members are not in the order of their keys');
    last = one.author;
    members.set(one.author, one);
  }
  const dropped = takenPart(lastRound(state)).find(
    (key) =>
      !members.has(key) && stakes?.has(key) !== false && state.sound.get(key)?.some(({ type }) => type === 'register'),
  );
  if (dropped !== undefined) return broken('omission', `${dropped} took part in the round before and is left out`);
  const opened: AllianceRoundState = {
    ...{ round, open: event, members },
    stakes: new Map([...members.keys()].map((key) => [key, stakes?.get(key) ?? 1n])),
    ...{ book: state.stakes, slashes: state.stakes.slashes },
    ...{ draw: null, roles: null, commits: null, proposals: null, voteCommits: null, votes: null },
    carriedBefore: state.carried,
    ...{ tally: null, settlement: null, others: [], payouts: [] },
  };
  return { ...state, rounds: [...state.rounds, opened] };
}

function takenPart(round: AllianceRoundState | undefined): readonly Pubkey[] {
  return round?.roles?.state === 'drawn' ? [...round.roles.proposers, ...round.roles.voters] : [];
}

export function roleTerms({ job }: Pick<AllianceState, 'job'>): RoleTerms {
  const { proposers, minVoters } = job.content.alliance;
  return { minMsat: leastStake(job.content), proposers, minVoters };
}

export function isNonceOf({ round, open, members }: AllianceRoundState) {
  return (event: JobEvent): event is EventOf<'nonce'> => {
    if (event.type !== 'nonce' || event.content.round !== round || event.content.list !== open.id) return false;
    const member = members.get(event.author);
    return member !== undefined && isChainElement(event.content.nonce, round, member.content.nonceCommitment);
  };
}

export function applyRoles(state: AllianceState, event: EventOf<'roles'>): Step<AllianceState> {
  const { round: number, list, s, nonces: ids } = event.content;
  const round = lastRound(state);
  if (round === undefined || round.round !== number || round.open.id !== list || round.draw !== null)
    return broken('draw', 'it answers no open round');
  if (!isChainElement(s, number, state.job.content.chainCommitment)) return broken('draw', 's is not of the chain');
  const named = firstOnly(state, ids, isNonceOf(round));
  if (isStop(named)) return named;
  if (!isSorted(state, ids)) return broken('draw', 'its nonces are not in the order of their keys');
  const nonces = new Map<Pubkey, Bytes>([...named].map(([key, { content }]) => [key, content.nonce]));
  const roles = drawRoles({ job: state.jobId, round: number, list, s }, nonces, round.stakes, roleTerms(state));
  return withRound(state, { draw: event, roles });
}

function isSorted({ byId }: AllianceState, ids: readonly EventId[]): boolean {
  const authors = ids.map((id) => byId.get(id)!.author);
  return authors.every((author, i) => i === 0 || authors[i - 1]! < author);
}
