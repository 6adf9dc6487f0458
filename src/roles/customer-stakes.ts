import { isNmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { evidenceOf, proofOf } from '../market/slashing.js';
import { afterTable, rowsOf, type Prove, type StakeBook, type StakeEvent } from '../market/stake.js';
import type { AnyJobState, JobState } from '../market/state.js';
import { parseJobEvent, type JobEvent } from '../protocol/events.js';
import type { Stake } from '../ports.js';
import type { CustomerEnv } from './customer-env.js';
import type { JobBook } from './job-book.js';

/** The customer's stake tables: what counts is what it names, once an hour and only when there is something new. */

export const INTERVAL_SEC = 3_600;
const LAST_INTERVAL = 1_000_000;
/** In a job that asks for stake no award and no settlement waits: a table at once, but not for each event. */
const SOON_SEC = 2;
/** A stake that is named and not locked is asked for again after this long. */
const ASK_AGAIN_SEC = 60;
/** Asked of the wallet for one table. */
const MAX_ASKED = 100;
/** Of a table: what fits into one event, and into its rows. */
const MAX_EVENTS = 400;
const MAX_ROWS = 200;

export interface DueTable {
  readonly interval: number;
  readonly events: readonly StakeEvent[];
  /** May it be another one of the same interval? */
  readonly mayBeEqual: boolean;
  /** Unix seconds: no other table is made before. */
  readonly nextAt: number;
}

/** What tables follow from, in a job of any kind. */
export interface Staking {
  readonly job: {
    readonly author: Pubkey;
    readonly createdAt: number;
    readonly content: { readonly stake?: { readonly intervalSec: number } | undefined };
  };
  readonly chains: JobState['chains'];
  readonly stakes: StakeBook;
  /** Does anybody still get a part in the job by its stake? Then no table waits for the next interval. */
  readonly isJoining: boolean;
  /** Is what comes next paid by how long delegations stood? */
  readonly isCounting: boolean;
}

/** As `dueTableOf`, of a federated job. */
export function dueTable(state: JobState, now: number): DueTable | null {
  const { job, phase, chains, stakes, award } = state;
  if (job === null || phase === 'finished' || phase === 'cancelled' || phase === 'frozen') return null;
  return dueTableOf({ job, chains, stakes, isJoining: award === null, isCounting: phase === 'closed' }, now);
}

/**
 * New stakes, then delegations, then withdrawals, each in the order of authors and their chains; null: no table is due. Before a settlement
 * a table without any says how long delegations stood. A pure function.
 */
export function dueTableOf({ job, chains, stakes, isJoining, isCounting }: Staking, now: number): DueTable | null {
  const { stake } = job.content;
  const intervalSec = stake?.intervalSec ?? INTERVAL_SEC;
  const interval = Math.floor((now - job.createdAt) / intervalSec);
  const mayBeEqual = stake !== undefined;
  const last = stakes.interval ?? -1;
  if (interval > LAST_INTERVAL || interval < last || (interval === last && !mayBeEqual)) return null;
  const events = [...chains.values()]
    .filter(({ author }) => author !== job.author)
    .flatMap((chain) => chain.events.filter(isStake).filter((event) => !isNamed(stakes, event)));
  const rank = { stake: 0, delegate: 1, withdraw: 2, slash: 3 };
  // For what a settlement pays, none waits for the next interval.
  if (interval === last && !isJoining && !events.some(({ type }) => type === 'slash')) return null;
  const isCounted = stake !== undefined && isCounting && interval > last && hasDelegations(stakes);
  if (events.length === 0 && !isCounted) return null;
  const nextAt = mayBeEqual ? now + SOON_SEC : job.createdAt + (interval + 1) * intervalSec;
  return { interval, mayBeEqual, nextAt, events: events.sort((a, b) => rank[a.type] - rank[b.type]) };
}

function hasDelegations({ locks }: StakeBook): boolean {
  return [...locks.values()].some(({ owner, operator, leftAt }) => owner !== operator && leftAt === null);
}

function isStake(event: JobEvent): event is StakeEvent {
  return (['stake', 'delegate', 'withdraw', 'slash'] as readonly string[]).includes(event.type);
}

function isNamed({ locks, slashes }: StakeBook, event: StakeEvent): boolean {
  if (event.type === 'slash') {
    const { lock, evidence } = event.content;
    const isSame = (of: (typeof slashes)[number]) => of.lock === lock && of.evidence.join() === evidence.join();
    return locks.get(lock)?.isSlashed === true || slashes.some(isSame);
  }
  if (event.type !== 'withdraw') return locks.get(event.content.lock)?.event === event.id;
  return [...locks.values()].some((lock) => lock.event === event.content.of && lock.leftAt !== null);
}

/**
 * Names what is really locked and what the table may name; nothing of that kind: no table.
 *
 * @param notBefore  by event that was found not locked: when its lock is asked for again; changed
 */
export async function publishTable(
  { book, progress }: Pick<CustomerEnv, 'book' | 'progress'>,
  stake: Stake,
  table: DueTable,
  now: number,
  notBefore: Map<EventId, number> = new Map(),
): Promise<void> {
  const state = book.state();
  const prove: Prove = (slash) => {
    const found = evidenceOf(state.job!.author, slash, (id) => readEvent(book, id));
    return typeof found === 'string' ? found : (proofOf(state, found) ?? 'its evidence condemns nobody');
  };
  await publishTableOf(
    { book, progress, jobId: state.jobId, stakes: state.stakes, prove },
    stake,
    table,
    now,
    notBefore,
  );
}

/** As `publishTable`, for a job of any kind. */
export async function publishTableOf(
  {
    book,
    progress,
    jobId,
    stakes,
    prove,
  }: {
    readonly book: Pick<JobBook<AnyJobState>, 'sign'>;
    readonly jobId: EventId;
    readonly progress: CustomerEnv['progress'];
    readonly stakes: StakeBook;
    /** Absent: nobody is slashed. */
    readonly prove?: Prove;
  },
  stake: Stake,
  { interval, events, mayBeEqual }: DueTable,
  now: number,
  notBefore: Map<EventId, number>,
): Promise<void> {
  const picked: StakeEvent[] = [];
  let last: StakeBook | null = null;
  let asked = 0;
  const isCounted = async (event: StakeEvent): Promise<boolean> => {
    if (event.type === 'withdraw') return true;
    if (now < (notBefore.get(event.id) ?? 0) || asked++ >= MAX_ASKED) return false;
    const isThere = await isLocked(stake, jobId, event, prove);
    if (!isThere) notBefore.set(event.id, now + ASK_AGAIN_SEC);
    return isThere;
  };
  if (events.length === 0) last = afterTable(stakes, interval, [], prove) as StakeBook;
  for (const event of events) {
    if (picked.length === MAX_EVENTS) break;
    const next = afterTable(stakes, interval, [...picked, event], prove, mayBeEqual);
    if (typeof next === 'string' || rowsOf(next).length > MAX_ROWS) continue;
    if (!(await isCounted(event))) continue;
    picked.push(event);
    last = next;
  }
  if (last === null) return;
  await book.sign('stake-table', { interval, events: picked.map(({ id }) => id), rows: rowsOf(last) });
  if (picked.length > 0) progress.note(`${picked.length} stakes, delegations or withdrawals count from now on`);
}

/** Also one that stands in no sound chain: forks condemn. */
function readEvent(book: JobBook, id: EventId): JobEvent | undefined {
  const raw = book.raw(id);
  try {
    return raw === undefined ? undefined : parseJobEvent(raw);
  } catch {
    return undefined;
  }
}

/** A wallet that is away, or keeps no stake, says no: the next table may say yes. */
async function isLocked(
  stake: Stake,
  job: EventId,
  event: Exclude<StakeEvent, { type: 'withdraw' }>,
  prove: Prove | undefined,
): Promise<boolean> {
  try {
    const found = await stake.find(event.content.lock);
    if (event.type === 'slash') {
      const proof = prove?.(event);
      const part = typeof proof === 'object' ? proof.part : undefined;
      const isTaken = part !== undefined && found?.taken.some(({ part: name }) => name === part.name) === true;
      return found?.job === job && (isTaken || (part === undefined && found.state === 'slashed'));
    }
    const { amountMsat } = event.content;
    if (found === null || found.state !== 'locked' || found.taken.length > 0) return false;
    return found.job === job && found.staker === event.author && found.amountMsat === amountMsat;
  } catch (error) {
    if (isNmktError(error)) return false;
    throw error;
  }
}
