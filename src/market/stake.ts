import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { StakeRow } from '../protocol/stake.js';

/** Who stands behind whom with how much, table by table; what that is worth in draws and rewards, reward.ts says. */

export type StakeEvent = EventOf<'stake'> | EventOf<'delegate'> | EventOf<'withdraw'>;

/** Counted in intervals of stake tables, an hour each. */
export const COOLDOWN = 24;
/** Between changes of an operator's sigma: nobody delegates to a share that is another one by noon. */
export const SIGMA_HOLDS = 24;

export interface Lock {
  readonly event: EventId;
  readonly owner: Pubkey;
  /** Itself for a stake. */
  readonly operator: Pubkey;
  readonly amountMsat: bigint;
  /** The interval from which on it counts no more; null: it counts. */
  readonly leftAt: number | null;
}
interface Operator {
  readonly role: StakeRow['role'];
  readonly sigmaPpm: number;
  readonly sigmaSince: number;
}
/** Sums of amounts times the intervals through which they stood. */
export interface Worked {
  readonly own: bigint;
  readonly by: ReadonlyMap<Pubkey, bigint>;
}
export interface StakeBook {
  /** Of the last table; null before the first. */
  readonly interval: number | null;
  readonly locks: ReadonlyMap<Sha256, Lock>;
  readonly operators: ReadonlyMap<Pubkey, Operator>;
  readonly worked: ReadonlyMap<Pubkey, Worked>;
}
export const NO_STAKES: StakeBook = { interval: null, locks: new Map(), operators: new Map(), worked: new Map() };

/**
 * The book after a table. What stood at the one before counts for every interval up to this one; a delegation made just before a payout
 * has stood through almost none.
 *
 * @param events       new ones, in the order of the table
 * @param mayBeEqual   another table of the same interval: stakes that come for the award of a job that asks for them
 * @returns            or why the table is none
 */
export function afterTable(
  book: StakeBook,
  interval: number,
  events: readonly StakeEvent[],
  mayBeEqual = false,
): StakeBook | string {
  const isSame = mayBeEqual && interval === book.interval;
  if (book.interval !== null && interval <= book.interval && !isSame)
    return `interval ${interval} is not after ${book.interval}`;
  const locks = new Map(book.locks);
  const operators = new Map(book.operators);
  for (const event of events) {
    const refusal = add(locks, operators, interval, event);
    if (refusal !== null) return `${event.id}: ${refusal}`;
  }
  const passed = book.interval === null ? 0n : BigInt(interval - book.interval);
  return { interval, locks, operators, worked: accrued(book, passed) };
}

function add(
  locks: Map<Sha256, Lock>,
  operators: Map<Pubkey, Operator>,
  interval: number,
  { type, id, author, content }: StakeEvent,
): string | null {
  if (type === 'withdraw') {
    const found = [...locks].find(([, lock]) => lock.event === content.of);
    if (found === undefined || found[1].owner !== author) return 'it takes back nothing of its author';
    if (found[1].leftAt !== null) return 'that was taken back before';
    locks.set(found[0], { ...found[1], leftAt: interval });
    return null;
  }
  if (locks.has(content.lock)) return `lock ${content.lock} is in use`;
  const operator = type === 'stake' ? author : content.operator;
  if (type === 'delegate' && !operators.has(operator)) return `${operator} has no stake of its own`;
  if (type === 'delegate' && operator === author) return 'a delegation to oneself is a stake';
  if (type === 'stake') {
    const known = operators.get(author);
    if (known !== undefined && known.role !== content.role) return `${author} is a ${known.role} of this job`;
    const { role, sigmaPpm } = content;
    const isChange = known === undefined || known.sigmaPpm !== sigmaPpm;
    if (known !== undefined && isChange && interval - known.sigmaSince < SIGMA_HOLDS)
      return `its sigma holds until interval ${known.sigmaSince + SIGMA_HOLDS}`;
    if (isChange) operators.set(author, { role, sigmaPpm, sigmaSince: interval });
  }
  locks.set(content.lock, { event: id, owner: author, operator, amountMsat: content.amountMsat, leftAt: null });
  return null;
}

function accrued({ locks, worked }: StakeBook, intervals: bigint): ReadonlyMap<Pubkey, Worked> {
  const next = new Map([...worked].map(([operator, { own, by }]) => [operator, { own, by: new Map(by) }]));
  for (const { owner, operator, amountMsat, leftAt } of locks.values()) {
    if (leftAt !== null) continue;
    const sum = next.get(operator) ?? { own: 0n, by: new Map<Pubkey, bigint>() };
    const more = amountMsat * intervals;
    if (owner === operator) sum.own += more;
    else sum.by.set(owner, (sum.by.get(owner) ?? 0n) + more);
    next.set(operator, sum);
  }
  return next;
}

/** What the table must say: operators that still stake, in the order of their keys. */
export function rowsOf({ locks, operators }: StakeBook): StakeRow[] {
  const rows = new Map<Pubkey, { ownMsat: bigint; delegatedMsat: bigint }>();
  for (const { owner, operator, amountMsat, leftAt } of locks.values()) {
    if (leftAt !== null) continue;
    const row = rows.get(operator) ?? { ownMsat: 0n, delegatedMsat: 0n };
    if (owner === operator) row.ownMsat += amountMsat;
    else row.delegatedMsat += amountMsat;
    rows.set(operator, row);
  }
  return [...rows]
    .filter(([, { ownMsat }]) => ownMsat > 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([operator, sums]) => {
      const { role, sigmaPpm } = operators.get(operator)!;
      return { operator, role, ...sums, sigmaPpm };
    });
}

/** May the money of this lock leave, at a table of this interval? Until then it can be slashed for what it stood behind. */
export function isFree({ leftAt }: Lock, interval: number): boolean {
  return leftAt !== null && interval >= leftAt + COOLDOWN;
}
