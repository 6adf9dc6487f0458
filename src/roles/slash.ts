import { isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { placeOf } from '../market/slashing.js';
import type { JobState, RoundState } from '../market/state.js';
import { parseJobEvent, type EventOf, type JobEvent } from '../protocol/events.js';
import type { NostrEvent, Stake, StakeLock } from '../ports.js';
import type { JobBook } from './job-book.js';

/** Turns what was signed in a job into the loss of stake: by anybody but its customer and whom it condemns. */

export interface Condemned {
  readonly guilty: Pubkey;
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
  const said = new Map<string, EventId>();
  for (const event of [...events].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const place = placeOf(event);
    if (place === null) continue;
    const name = `${event.author} ${place}`;
    const other = said.get(name);
    if (other === undefined) said.set(name, event.id);
    else if (other !== event.id) add({ guilty: event.author, evidence: [other, event.id], shown: [other, event.id] });
  }
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
  /** The own event that says so; null: another reported it, or the lock was free. */
  readonly event: EventId | null;
  /** Why the keeper did not take it; null: it is empty. */
  readonly refused: string | null;
}

/**
 * Every lock that answers for somebody condemned: first its keeper, then the word in public. A second run, or one after a kill between the
 * two, moves nothing again and says it once.
 *
 * @throws NmktError `bad-usage` for the customer of the job
 */
export async function slashAll(book: JobBook, stake: Stake, me: Pubkey): Promise<readonly SlashResult[]> {
  const state = book.state();
  if (state.job?.author === me)
    throw new NmktError('bad-usage', 'the customer gets nothing of what is slashed in its job', {
      expected: 'the key of a trainer, a validator or anybody else',
      got: 'the key of its customer',
      remedy: 'let somebody else report it: a tenth is theirs',
    });
  const results: SlashResult[] = [];
  for (const { guilty, evidence, shown } of condemned(state, readable(book)))
    for (const [lock, behind] of locksOf(state, guilty)) {
      const found = await stake.find(lock);
      if (found === null || guilty === me || found.staker === me) continue;
      results.push({
        guilty,
        ...(await slashOne(book, stake, me, found, evidence, rawOf(book, [...shown, ...behind]))),
      });
    }
  return results;
}

async function slashOne(
  book: JobBook,
  stake: Stake,
  me: Pubkey,
  before: StakeLock,
  evidence: readonly EventId[],
  shown: readonly NostrEvent[],
): Promise<Omit<SlashResult, 'guilty'>> {
  if (before.state === 'released') return { lock: before, event: null, refused: 'it was free before' };
  let after = before;
  if (before.state !== 'slashed')
    try {
      after = await stake.slash(before.lock, shown);
    } catch (error) {
      if (!isNmktError(error, 'bad-event') && !isNmktError(error, 'bad-usage')) throw error;
      return { lock: before, event: null, refused: error.got ?? error.message };
    }
  const said = [...book.state().chains.values()].flatMap(({ events }) => events.filter(isSlashOf(before.lock)));
  const own = said.find(({ author }) => author === me);
  if (own !== undefined || said.length > 0) return { lock: after, event: own?.id ?? null, refused: null };
  const content = { lock: before.lock, evidence: [...evidence] };
  const event = await book.sign('slash', content, [book.state().job!.author]);
  return { lock: after, event: event.id, refused: null };
}

const isSlashOf =
  (lock: Sha256) =>
  (event: JobEvent): event is EventOf<'slash'> =>
    event.type === 'slash' && event.content.lock === lock;

/** Locks that answer for a key, each with the delegation that says so, if it is one. */
function locksOf({ chains }: JobState, guilty: Pubkey): Map<Sha256, readonly EventId[]> {
  const locks = new Map<Sha256, readonly EventId[]>();
  for (const event of [...chains.values()].flatMap((chain) => chain.events)) {
    if (event.type === 'stake' && event.author === guilty) locks.set(event.content.lock, []);
    if (event.type === 'delegate' && event.content.operator === guilty) locks.set(event.content.lock, [event.id]);
  }
  return locks;
}

const rawOf = (book: JobBook, ids: readonly EventId[]): NostrEvent[] => ids.flatMap((id) => book.raw(id) ?? []);

/** Also what stands in no sound chain: forks condemn. */
function readable(book: JobBook): JobEvent[] {
  return book.all().flatMap((event) => {
    try {
      return [parseJobEvent(event)];
    } catch {
      return [];
    }
  });
}
