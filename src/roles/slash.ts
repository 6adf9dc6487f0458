import { isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { placeOf } from '../market/slashing.js';
import type { JobState, RoundState } from '../market/state.js';
import { parseJobEvent, type EventOf, type JobEvent } from '../protocol/events.js';
import type { NostrEvent, Stake, StakeLock } from '../ports.js';
import { lostVotes, type LostVote } from '../market/alliance/lost-votes.js';
import type { FoldedAlliance } from '../market/alliance/fold.js';
import type { AllianceState } from '../market/alliance/state.js';
import type { JobBook } from './job-book.js';
import type { StakedJob } from './stake.js';

/** Turns what was signed in a job into the loss of stake: by anybody but its customer and whom it condemns. */

export interface Condemned {
  readonly guilty: Pubkey;
  /** Only a part of each lock, and only of these; absent: all of each that answers for the key. */
  readonly part?: { readonly name: string; readonly locks: ReadonlySet<Sha256> };
  /** As the slash cites it. */
  readonly evidence: readonly EventId[];
  /** As the keeper of the lock wants to see it. */
  readonly shown: readonly EventId[];
}

/** Everybody whom signed events of the job condemn, in order of their keys, each once. */
export function condemned(state: JobState, events: readonly JobEvent[]): readonly Condemned[] {
  const found = new Map<Pubkey, Condemned>();
  const add = (one: Condemned): void => {
    if (!found.has(one.guilty) && one.guilty !== state.job?.author) found.set(one.guilty, one);
  };
  contradictions(events, state.job?.author).forEach(add);
  for (const [guilty, { id, content }] of state.keyFrauds)
    add({ guilty, evidence: [content.submission, id], shown: [content.submission, id] });
  for (const [guilty, proof] of state.validatorFrauds) add(byWitnesses(state, guilty, proof, proof.content.witnesses));
  for (const [guilty, proof] of state.frauds) {
    const round = state.rounds.find(({ verdict }) => verdict?.by === proof.content.scores);
    if (round?.verdict?.from !== 'validators') continue;
    const dispute = state.disputes.find(({ fraud }) => fraud.id === proof.id);
    const found = byWitnesses(state, guilty, proof, repeatersOf(round, proof));
    const verdict = dispute?.verdicts.find(({ content }) => content.hash !== proof.content.committed);
    if (dispute === undefined) add(found);
    else if (dispute.outcome === 'customer') add({ ...found, evidence: [proof.id, verdict!.id] });
  }
  return [...found.values()].sort((a, b) => (a.guilty < b.guilty ? -1 : 1));
}

/** Who signed two things of which one excludes the other, each once, whatever kind of job it is; its customer has no stake. */
function contradictions(events: readonly JobEvent[], customer: Pubkey | undefined): readonly Condemned[] {
  const found = new Map<Pubkey, Condemned>();
  const said = new Map<string, EventId>();
  for (const event of [...events].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const place = placeOf(event);
    if (place === null || event.author === customer || found.has(event.author)) continue;
    const name = `${event.author} ${place}`;
    const other = said.get(name);
    if (other === undefined) said.set(name, event.id);
    else if (other !== event.id)
      found.set(event.author, { guilty: event.author, evidence: [other, event.id], shown: [other, event.id] });
  }
  return [...found.values()].sort((a, b) => (a.guilty < b.guilty ? -1 : 1));
}

/** As `condemned`, in an alliance: who contradicts itself, then each vote that lost, where the job takes a part for it. */
export function condemnedInAlliance(state: AllianceState, events: readonly JobEvent[]): readonly Condemned[] {
  return [...contradictions(events, state.job.author), ...lostVotes(state).map((one) => byVotes(state, one))];
}

function byVotes({ jobId, rounds }: AllianceState, { round, vote, list, part }: LostVote): Condemned {
  const stood = [...rounds[round]!.book.locks].filter(
    ([, { operator, leftAt }]) => operator === vote.author && leftAt === null,
  );
  return {
    guilty: vote.author,
    part: { name: part.name, locks: new Set(stood.map(([lock]) => lock)) },
    evidence: [vote.id],
    shown: [jobId, list.id, ...list.content.ids],
  };
}

function byWitnesses(
  { job, award }: JobState,
  guilty: Pubkey,
  { id, content }: EventOf<'fraud'> | EventOf<'validator-fraud'>,
  witnesses: readonly EventId[],
): Condemned {
  const accused = 'validator' in content ? content.scores : content.submission;
  return { guilty, evidence: [id], shown: [job!.id, award!.id, id, accused, ...witnesses] };
}

/** Scores whose repetition of the segment ended as the proof says. */
function repeatersOf({ listedScoreReveals }: RoundState, { content }: EventOf<'fraud'>): EventId[] {
  const { submission, segment, repeated } = content;
  return [...listedScoreReveals.values()]
    .filter(({ content: { scores } }) =>
      scores.some(
        (row) => row.submission === submission && row.spot?.segment === segment && row.spot.hash === repeated,
      ),
    )
    .map(({ id }) => id);
}

export interface SlashResult {
  readonly guilty: Pubkey;
  readonly lock: StakeLock;
  /** By this or an earlier call, whoever made it. */
  readonly takenMsat: bigint;
  /** The own event that says so; null: another reported it, or the lock was free. */
  readonly event: EventId | null;
  /** Why the keeper did not take it; null: it did. */
  readonly refused: string | null;
}

/** A job of any kind in which stake may be lost. */
type SlashBook = Pick<JobBook<StakedJob>, 'state' | 'raw' | 'sign'>;

/** As `slashAll`, in a federated job. */
export function slashFederated(book: JobBook, stake: Stake, me: Pubkey): Promise<readonly SlashResult[]> {
  return slashAll(book, stake, me, () => condemned(book.state(), readable(book)));
}

/**
 * As `slashAll`, in an alliance.
 *
 * @param only  these votes; absent: whatever condemns
 */
export function slashInAlliance(
  book: JobBook<FoldedAlliance>,
  stake: Stake,
  me: Pubkey,
  only?: ReadonlySet<EventId>,
): Promise<readonly SlashResult[]> {
  return slashAll(book, stake, me, () =>
    condemnedInAlliance(book.state().state!, readable(book)).filter(
      ({ evidence }) => only === undefined || (evidence.length === 1 && only.has(evidence[0]!)),
    ),
  );
}

/**
 * Every lock that answers for somebody condemned: first its keeper, then the word in public. A second run, or one after a kill between the
 * two, moves nothing again and says it once.
 *
 * @throws NmktError `bad-usage` for the customer of the job
 */
async function slashAll(
  book: SlashBook,
  stake: Stake,
  me: Pubkey,
  find: () => readonly Condemned[],
): Promise<readonly SlashResult[]> {
  const { job, chains } = book.state();
  if (job?.author === me)
    throw new NmktError('bad-usage', 'the customer gets nothing of what is slashed in its job', {
      expected: 'the key of a trainer, a validator or anybody else',
      got: 'the key of its customer',
      remedy: 'let somebody else report it: a tenth is theirs',
    });
  const results: SlashResult[] = [];
  for (const one of find())
    for (const [lock, behind] of locksOf(chains, one)) {
      const before = await stake.find(lock);
      if (before === null || one.guilty === me || before.staker === me) continue;
      const shown = rawOf(book, [...one.shown, ...behind]);
      results.push({ guilty: one.guilty, ...(await slashOne(book, stake, me, before, one, shown)) });
    }
  return results;
}

async function slashOne(
  book: SlashBook,
  stake: Stake,
  me: Pubkey,
  before: StakeLock,
  { part, evidence }: Condemned,
  shown: readonly NostrEvent[],
): Promise<Omit<SlashResult, 'guilty'>> {
  const isTaken = ({ state, taken }: StakeLock) =>
    part === undefined ? state === 'slashed' : taken.some((one) => one.part === part.name);
  const result = (lock: StakeLock, event: EventId | null, refused: string | null) => ({
    ...{ lock, event, refused },
    takenMsat: takenMsat(lock, part?.name),
  });
  if (!isTaken(before) && before.state === 'released') return result(before, null, 'it was free before');
  if (!isTaken(before) && before.state === 'slashed') return result(before, null, 'nothing is left of it');
  let after = before;
  if (!isTaken(before))
    try {
      after = await stake.slash(before.lock, shown);
    } catch (error) {
      if (!isNmktError(error, 'bad-event') && !isNmktError(error, 'bad-usage')) throw error;
      return result(before, null, error.got ?? error.message);
    }
  const said = [...book.state().chains.values()].flatMap(({ events }) =>
    events.filter(isSlashOf(before.lock, part === undefined ? null : evidence)),
  );
  const own = said.find(({ author }) => author === me);
  if (own !== undefined || said.length > 0) return result(after, own?.id ?? null, null);
  const content = { lock: before.lock, evidence: [...evidence] };
  const event = await book.sign('slash', content, [book.state().job!.author]);
  return result(after, event.id, null);
}

function takenMsat({ state, amountMsat, taken }: StakeLock, part: string | undefined): bigint {
  if (part !== undefined) return taken.find((one) => one.part === part)?.amountMsat ?? 0n;
  const parts = taken.reduce((sum, one) => sum + one.amountMsat, 0n);
  return state === 'slashed' ? amountMsat - parts : 0n;
}

/** @param evidence  null: whatever it cites, for all is taken */
const isSlashOf =
  (lock: Sha256, evidence: readonly EventId[] | null) =>
  (event: JobEvent): event is EventOf<'slash'> =>
    event.type === 'slash' &&
    event.content.lock === lock &&
    (evidence === null || event.content.evidence.join() === evidence.join());

/** Locks that answer for a key, each with the delegation that says so, if it is one. */
function locksOf(chains: JobState['chains'], { guilty, part }: Condemned): Map<Sha256, readonly EventId[]> {
  const locks = new Map<Sha256, readonly EventId[]>();
  for (const event of [...chains.values()].flatMap((chain) => chain.events)) {
    if (event.type === 'stake' && event.author === guilty) locks.set(event.content.lock, []);
    if (event.type === 'delegate' && event.content.operator === guilty) locks.set(event.content.lock, [event.id]);
  }
  return part === undefined ? locks : new Map([...locks].filter(([lock]) => part.locks.has(lock)));
}

const rawOf = (book: Pick<SlashBook, 'raw'>, ids: readonly EventId[]): NostrEvent[] =>
  ids.flatMap((id) => book.raw(id) ?? []);

/** Also what stands in no sound chain: forks condemn. */
function readable(book: Pick<JobBook, 'all'>): JobEvent[] {
  return book.all().flatMap((event) => {
    try {
      return [parseJobEvent(event)];
    } catch {
      return [];
    }
  });
}
