import { isNmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { afterTable, rowsOf, type StakeBook, type StakeEvent } from '../market/stake.js';
import type { JobState } from '../market/state.js';
import type { JobEvent } from '../protocol/events.js';
import type { Stake } from '../ports.js';
import type { CustomerEnv } from './customer-env.js';

/** The customer's stake tables: what counts is what it names, once an hour and only when there is something new. */

export const INTERVAL_SEC = 3_600;
/** Of a table: what fits into one event, and into its rows. */
const MAX_EVENTS = 400;
const MAX_ROWS = 200;

export interface DueTable {
  readonly interval: number;
  readonly events: readonly StakeEvent[];
}

/** New stakes, then delegations, then withdrawals, each in the order of authors and their chains; null: no table is due. A pure function. */
export function dueTable({ job, phase, chains, stakes }: JobState, now: number): DueTable | null {
  if (job === null || phase === 'finished' || phase === 'cancelled' || phase === 'frozen') return null;
  const interval = Math.floor((now - job.createdAt) / INTERVAL_SEC);
  if (interval <= (stakes.interval ?? -1)) return null;
  const events = [...chains.values()]
    .filter(({ author }) => author !== job.author)
    .flatMap((chain) => chain.events.filter(isStake).filter((event) => !isNamed(stakes, event)));
  const rank = { stake: 0, delegate: 1, withdraw: 2 };
  return events.length === 0 ? null : { interval, events: events.sort((a, b) => rank[a.type] - rank[b.type]) };
}

function isStake(event: JobEvent): event is StakeEvent {
  return event.type === 'stake' || event.type === 'delegate' || event.type === 'withdraw';
}

function isNamed({ locks }: StakeBook, event: StakeEvent): boolean {
  if (event.type !== 'withdraw') return locks.get(event.content.lock)?.event === event.id;
  return [...locks.values()].some((lock) => lock.event === event.content.of && lock.leftAt !== null);
}

/** Names what is really locked and what the table may name; nothing of that kind: no table. */
export async function publishTable(
  { book, progress }: Pick<CustomerEnv, 'book' | 'progress'>,
  stake: Stake,
  { interval, events }: DueTable,
): Promise<void> {
  const { stakes, jobId } = book.state();
  const picked: StakeEvent[] = [];
  let last: StakeBook | null = null;
  for (const event of events) {
    if (picked.length === MAX_EVENTS) break;
    const next = afterTable(stakes, interval, [...picked, event]);
    if (typeof next === 'string' || rowsOf(next).length > MAX_ROWS) continue;
    if (event.type !== 'withdraw' && !(await isLocked(stake, jobId, event))) continue;
    picked.push(event);
    last = next;
  }
  if (last === null) return;
  await book.sign('stake-table', { interval, events: picked.map(({ id }) => id), rows: rowsOf(last) });
  progress.note(`${picked.length} stakes, delegations or withdrawals count from now on`);
}

/** A wallet that is away, or keeps no stake, says no: the next table may say yes. */
async function isLocked(
  stake: Stake,
  job: EventId,
  event: Exclude<StakeEvent, { type: 'withdraw' }>,
): Promise<boolean> {
  const { lock, amountMsat } = event.content;
  try {
    const found = await stake.find(lock);
    if (found === null || found.state !== 'locked') return false;
    return found.job === job && found.staker === event.author && found.amountMsat === amountMsat;
  } catch (error) {
    if (isNmktError(error)) return false;
    throw error;
  }
}
