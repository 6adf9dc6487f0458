import { byText, fields, must, nameOf, type Events, type RawEvent, type Terms } from './wire.js';

/** Stake tables by docs/protocol.md: whose locks count, and what the rows say they are worth. */
export class Stakes {
  readonly #owners = new Map<string, string>();
  readonly #locks = new Map<string, string>();
  #rows: readonly StakeRow[] = [];
  /** Locks, by their events: whose, behind whom, how much. */
  readonly #made = new Map<string, { owner: string; operator: string; amountMsat: bigint }>();
  slashes: readonly Slashed[] = [];
  readonly #sigmas = new Map<string, number>();
  /** Amounts times intervals, behind whom, by whom. */
  readonly #stood = new Map<string, Map<string, bigint>>();
  #interval: number | null = null;

  /** Rows are taken as they stand; that they follow from the events, the first implementation says. */
  take(events: Events, table: RawEvent): void {
    const { events: named, rows, interval } = fields<Table>(table);
    const passed = BigInt(this.#interval === null ? 0 : interval - this.#interval);
    for (const { owner, operator, amountMsat } of this.#made.values()) {
      const of = this.#stood.get(operator) ?? new Map<string, bigint>();
      this.#stood.set(operator, of.set(owner, (of.get(owner) ?? 0n) + amountMsat * passed));
    }
    this.#interval = interval;
    for (const id of named) {
      const event = events.at(id);
      const said = fields<{
        lock?: string;
        of?: string;
        operator?: string;
        evidence?: string[];
        amountMsat?: string;
        sigmaPpm?: number;
      }>(event);
      const { lock, of, operator, evidence } = said;
      if (evidence !== undefined) this.#slash(events, table, event, lock!, evidence);
      else if (of !== undefined) {
        const lost = this.#locks.get(of);
        must(lost !== undefined, table.id, 'it takes back nothing');
        this.#owners.delete(lost);
        this.#made.delete(lost);
      } else if (operator === undefined) {
        this.#sigmas.set(event.pubkey, said.sigmaPpm!);
        this.#owners.set(lock!, event.pubkey);
        this.#locks.set(id, lock!);
      } else this.#locks.set(id, lock!);
      if (said.amountMsat !== undefined) {
        const { pubkey: owner } = event;
        this.#made.set(lock!, { owner, operator: operator ?? owner, amountMsat: BigInt(said.amountMsat) });
      }
    }
    this.#rows = rows;
  }

  /** Two events of one author that say the same thing twice, and differently. */
  #slash(events: Events, table: RawEvent, event: RawEvent, lock: string, evidence: readonly string[]): void {
    const [a, b] = evidence.map((id) => events.at(id));
    const place = (one: RawEvent | undefined) => {
      const { round, shard } = fields<{ round: number; shard?: number }>(one!);
      return [one!.pubkey, nameOf(one!), round, shard].join();
    };
    const twice = ['4627/commit', '4627/reveal', '4629/commit'];
    const is =
      a !== undefined && b !== undefined && a.id !== b.id && place(a) === place(b) && twice.includes(nameOf(a));
    const made = this.#made.get(lock);
    const isNew = !this.slashes.some((one) => one.lock === lock);
    must(is && made !== undefined && made.operator === a.pubkey && isNew, table.id, 'nothing to slash for');
    must(![a.pubkey, made.owner].includes(event.pubkey), table.id, 'it reports itself');
    this.#owners.delete(lock);
    this.#made.delete(lock);
    const potMsat = made.amountMsat - made.amountMsat / 10n;
    this.slashes = [...this.slashes, { lock, guilty: a.pubkey, owner: made.owner, potMsat }];
  }

  /** Own and delegated stake of a key, in msat; 0n below the minimum. */
  of(key: string, { stake }: Terms, role: 'trainer' | 'validator' = 'trainer'): bigint {
    const row = this.#rows.find(({ operator, role: of }) => operator === key && of === role);
    if (stake === undefined || row === undefined) return 0n;
    const own = BigInt(row.ownMsat);
    return own < BigInt(role === 'trainer' ? stake.trainerMsat : stake.validatorMsat)
      ? 0n
      : own + counted(own, BigInt(row.delegatedMsat), stake);
  }

  /** A fee among a validator and those behind it: the first part is its own. */
  split(validator: string, fee: bigint, { stake }: Terms): readonly (readonly [string, bigint])[] {
    const stood = this.#stood.get(validator) ?? new Map<string, bigint>();
    const own = stood.get(validator) ?? 0n;
    const by = [...stood].filter(([key]) => key !== validator);
    const sum = by.reduce((all, [, part]) => all + part, 0n);
    const d = stake === undefined ? 0n : counted(own, sum, stake);
    if (d === 0n) return [[validator, fee]];
    const sigma = BigInt(this.#sigmas.get(validator)!);
    const shared = (fee * (1_000_000n - sigma) * d) / (1_000_000n * (own + d));
    return [[validator, fee - shared], ...portions(shared, by)];
  }

  /** Where a bid or a registration names an own lock. */
  named(bid: RawEvent, terms: Terms, role: 'trainer' | 'validator' = 'trainer'): bigint {
    const { lock } = fields<{ lock?: string }>(bid);
    return lock !== undefined && this.#owners.get(lock) === bid.pubkey ? this.of(bid.pubkey, terms, role) : 0n;
  }
}

export interface Slashed {
  readonly lock: string;
  readonly guilty: string;
  readonly owner: string;
  readonly potMsat: bigint;
}

/** Of each lock, by what its payees earned: floors, and what is left msat by msat to the largest rests, ties by key. */
export function potShares(
  slashes: readonly Slashed[],
  earned: ReadonlyMap<string, bigint>,
  isOut: (key: string) => boolean,
): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const { potMsat, owner } of slashes) {
    const isBad = (key: string) => key === owner || slashes.some(({ guilty }) => guilty === key) || isOut(key);
    const of = [...earned].filter(([key]) => !isBad(key)).sort(([a], [b]) => byText(a, b));
    for (const [key, msat] of portions(potMsat, of)) sums.set(key, (sums.get(key) ?? 0n) + msat);
  }
  return sums;
}

export function portions(whole: bigint, of: readonly (readonly [string, bigint])[]): (readonly [string, bigint])[] {
  const all = of.reduce((sum, [, msat]) => sum + msat, 0n);
  if (all === 0n) return [];
  const rest = ([, msat]: readonly [string, bigint]) => (whole * msat) % all;
  const left = whole - of.reduce((sum, [, msat]) => sum + (whole * msat) / all, 0n);
  const first = [...of].sort((a, b) => (rest(a) === rest(b) ? byText(a[0], b[0]) : rest(a) > rest(b) ? -1 : 1));
  return first.map(([key, msat], i) => [key, (whole * msat) / all + (BigInt(i) < left ? 1n : 0n)]);
}

function counted(own: bigint, behind: bigint, stake: NonNullable<Terms['stake']>): bigint {
  const most = own * BigInt(stake.maxDelegated);
  return ((behind > most ? most : behind) * BigInt(stake.delegatedPpm)) / 1_000_000n;
}

interface StakeRow {
  readonly operator: string;
  readonly role: string;
  readonly ownMsat: string;
  readonly delegatedMsat: string;
}
interface Table {
  readonly interval: number;
  readonly events: readonly string[];
  readonly rows: readonly StakeRow[];
}

export const wantsStake = ({ stake, keyRelease }: Terms): boolean =>
  stake !== undefined && (BigInt(stake.trainerMsat) > 0n || keyRelease === 'staked');
