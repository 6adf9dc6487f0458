import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { StakeRow } from '../protocol/stake.js';
import { partMsat, slashShares, type Proof } from './slashing.js';

/** Who stands behind whom with how much, table by table; what that is worth in draws and rewards, reward.ts says. */

export type StakeEvent = EventOf<'stake'> | EventOf<'delegate'> | EventOf<'withdraw'> | EventOf<'slash'>;

/** Counted in intervals of stake tables, an hour each unless the job says otherwise. */
export const COOLDOWN = 24;
/** Between changes of an operator's sigma: nobody delegates to a share that is another one by noon. */
export const SIGMA_HOLDS = 24;

export interface Lock {
  readonly event: EventId;
  readonly owner: Pubkey;
  /** Itself for a stake. */
  readonly operator: Pubkey;
  /** Less what was taken of it. */
  readonly amountMsat: bigint;
  /** Of which a part was taken: what it was at first. */
  readonly wholeMsat?: bigint;
  /** The interval from which on it counts no more; null: it counts. */
  readonly leftAt: number | null;
  /** Its money is gone. */
  readonly isSlashed?: true;
}
/** A lock that lost its money, by a table that names it. */
export interface Slash extends Proof {
  readonly event: EventId;
  readonly lock: Sha256;
  readonly evidence: readonly EventId[];
  readonly reporter: Pubkey;
  /** The guilty one, or who stood behind it. */
  readonly owner: Pubkey;
  readonly reporterMsat: bigint;
  readonly potMsat: bigint;
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
  /** In the order of the tables. */
  readonly slashes: readonly Slash[];
}
export const NO_STAKES: StakeBook = {
  interval: null,
  locks: new Map(),
  operators: new Map(),
  worked: new Map(),
  slashes: [],
};

/**
 * The book after a table. What stood at the one before counts for every interval up to this one; a delegation made just before a payout
 * has stood through almost none.
 *
 * @param events      new ones, in the order of the table
 * @param prove       what a slash rests on, or why it counts not
 * @param mayBeEqual  another table of the same interval: of a job that asks for stake, so that an award or a settlement need not wait
 * @returns           or why the table is none
 */
export function afterTable(
  book: StakeBook,
  interval: number,
  events: readonly StakeEvent[],
  prove: Prove = () => 'nobody can tell what its evidence proves',
  mayBeEqual = false,
): StakeBook | string {
  const isSame = mayBeEqual && interval === book.interval;
  if (book.interval !== null && interval <= book.interval && !isSame)
    return `interval ${interval} is not after ${book.interval}`;
  const locks = new Map(book.locks);
  const operators = new Map(book.operators);
  const slashes = [...book.slashes];
  for (const event of events) {
    const refusal =
      event.type === 'slash' ? slash(locks, slashes, interval, event, prove) : add(locks, operators, interval, event);
    if (refusal !== null) return `${event.id}: ${refusal}`;
  }
  const passed = book.interval === null ? 0n : BigInt(interval - book.interval);
  return { interval, locks, operators, worked: accrued(book, passed), slashes };
}

/** What the evidence of a slash proves, or why it counts not. */
export type Prove = (event: EventOf<'slash'>) => Proof | string;

/** A lock answers for its operator, whoever's money it is: else one key could put its stake behind itself by another. */
function slash(
  locks: Map<Sha256, Lock>,
  slashes: Slash[],
  interval: number,
  event: EventOf<'slash'>,
  prove: Prove,
): string | null {
  const { lock: name, evidence } = event.content;
  const lock = locks.get(name);
  if (lock === undefined) return `no lock ${name} counts`;
  if (lock.isSlashed === true) return `lock ${name} was slashed before`;
  const proof = prove(event);
  if (typeof proof === 'string') return proof;
  if (proof.guilty !== lock.operator) return 'its evidence condemns another one than stands behind that lock';
  if (event.author === proof.guilty || event.author === lock.owner) return 'nobody reports itself';
  const { part } = proof;
  if (part !== undefined && slashes.some((other) => other.lock === name && other.part?.name === part.name))
    return `lock ${name} was slashed for that before`;
  const { amountMsat, owner, wholeMsat = amountMsat } = lock;
  const taken = part === undefined ? amountMsat : partMsat(wholeMsat, amountMsat, part);
  if (taken === 0n) return `the share of lock ${name} is less than a msat`;
  const isEmpty = taken === amountMsat;
  locks.set(
    name,
    isEmpty
      ? { ...lock, leftAt: lock.leftAt ?? interval, isSlashed: true }
      : { ...lock, amountMsat: amountMsat - taken, wholeMsat },
  );
  const said = { event: event.id, lock: name, evidence, reporter: event.author, owner };
  slashes.push({ ...proof, ...said, ...slashShares(taken) });
  return null;
}

function add(
  locks: Map<Sha256, Lock>,
  operators: Map<Pubkey, Operator>,
  interval: number,
  { type, id, author, content }: Exclude<StakeEvent, { type: 'slash' }>,
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
