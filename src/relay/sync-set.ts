import { sha256 } from '../hash.js';
import { FINGERPRINT_BYTES, ID_BYTES, varint, type Bound } from './sync-message.js';

/** What reconciliation knows of an event. */
export interface SyncItem {
  readonly id: string;
  readonly created_at: number;
}

const WORDS = ID_BYTES / 4;

/**
 * Events by date, then by id, as Negentropy orders them. Ids lie in one buffer, and beside them the sum of all ids before
 * each (72 bytes an event in all): a fingerprint costs the same for every range, whoever asks for however many.
 */
export class SyncSet {
  readonly size: number;
  readonly #times: Float64Array;
  readonly #ids: Buffer;
  /** Little-endian words of the sum, modulo 2^256, of the ids before the i-th. */
  readonly #sums: Uint32Array;

  /** @param items  each id once; any order */
  constructor(items: readonly SyncItem[]) {
    const sorted = items.toSorted((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
    this.size = sorted.length;
    this.#times = Float64Array.from(sorted, (item) => item.created_at);
    this.#ids = Buffer.alloc(this.size * ID_BYTES);
    this.#sums = new Uint32Array((this.size + 1) * WORDS);
    sorted.forEach(({ id }, at) => {
      this.#ids.write(id, at * ID_BYTES, 'hex');
      let carry = 0;
      for (let word = at * WORDS; word < (at + 1) * WORDS; word++) {
        const sum = this.#sums[word]! + this.#ids.readUInt32LE(word * 4) + carry;
        this.#sums[word + WORDS] = sum; // modulo 2^32
        carry = sum > 0xffff_ffff ? 1 : 0;
      }
    });
  }

  /** A view. */
  id(at: number): Buffer {
    return this.ids(at, at + 1);
  }

  /** Of the items from `lower` up to `upper`, one after the other: a view. */
  ids(lower: number, upper: number): Buffer {
    return this.#ids.subarray(lower * ID_BYTES, upper * ID_BYTES);
  }

  /** SHA-256 of the sum of the ids and their number as varint, the first 16 bytes. */
  fingerprint(lower: number, upper: number): Buffer {
    const sum = Buffer.alloc(ID_BYTES);
    let borrow = 0;
    for (let word = 0; word < WORDS; word++) {
      const difference = this.#sums[upper * WORDS + word]! - this.#sums[lower * WORDS + word]! - borrow;
      borrow = difference < 0 ? 1 : 0;
      sum.writeUInt32LE(difference >>> 0, word * 4);
    }
    return Buffer.from(sha256(sum, varint(upper - lower)).subarray(0, FINGERPRINT_BYTES));
  }

  /** The first item at `from` or later that is not below the bound; `size` when there is none. */
  find(from: number, { time, prefix }: Bound): number {
    let [low, high] = [from, this.size];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const difference = this.#times[middle]! - time;
      // An id is never less than its own prefix, which stands for the prefix and zeros.
      const isBelow = difference < 0 || (difference === 0 && this.id(middle).compare(prefix) < 0);
      if (isBelow) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The shortest bound between the item and the one before it. */
  boundBefore(at: number): Bound {
    const time = this.#times[at]!;
    if (at === 0 || this.#times[at - 1] !== time) return { time, prefix: Buffer.alloc(0) };
    const [before, id] = [this.id(at - 1), this.id(at)];
    return { time, prefix: id.subarray(0, id.findIndex((byte, i) => byte !== before[i]) + 1) };
  }
}
