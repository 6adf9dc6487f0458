import { fields, must, type Events, type RawEvent, type Terms } from './wire.js';

/** Stake tables by docs/protocol.md: whose locks count, and what the rows say they are worth. */
export class Stakes {
  readonly #owners = new Map<string, string>();
  readonly #locks = new Map<string, string>();
  #rows: readonly StakeRow[] = [];

  /** Rows are taken as they stand; that they follow from the events, the first implementation says. */
  take(events: Events, table: RawEvent): void {
    const { events: named, rows } = fields<Table>(table);
    for (const id of named) {
      const event = events.at(id);
      const { lock, of, operator } = fields<{ lock?: string; of?: string; operator?: string }>(event);
      if (of !== undefined) {
        const lost = this.#locks.get(of);
        must(lost !== undefined, table.id, 'it takes back nothing');
        this.#owners.delete(lost);
      } else if (operator === undefined) {
        this.#owners.set(lock!, event.pubkey);
        this.#locks.set(id, lock!);
      } else this.#locks.set(id, lock!);
    }
    this.#rows = rows;
  }

  /** Own and delegated stake of a trainer, in msat; 0n below the minimum. */
  of(key: string, { stake }: Terms): bigint {
    const row = this.#rows.find(({ operator, role }) => operator === key && role === 'trainer');
    if (stake === undefined || row === undefined) return 0n;
    const own = BigInt(row.ownMsat);
    const most = own * BigInt(stake.maxDelegated);
    const behind = BigInt(row.delegatedMsat) > most ? most : BigInt(row.delegatedMsat);
    return own < BigInt(stake.trainerMsat) ? 0n : own + (behind * BigInt(stake.delegatedPpm)) / 1_000_000n;
  }

  /** Where a bid names an own lock. */
  named(bid: RawEvent, terms: Terms): bigint {
    const { lock } = fields<{ lock?: string }>(bid);
    return lock !== undefined && this.#owners.get(lock) === bid.pubkey ? this.of(bid.pubkey, terms) : 0n;
  }
}

interface StakeRow {
  readonly operator: string;
  readonly role: string;
  readonly ownMsat: string;
  readonly delegatedMsat: string;
}
interface Table {
  readonly events: readonly string[];
  readonly rows: readonly StakeRow[];
}

export const wantsStake = ({ stake, keyRelease }: Terms): boolean =>
  stake !== undefined && (BigInt(stake.trainerMsat) > 0n || keyRelease === 'staked');
