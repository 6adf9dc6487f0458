import type { Filter } from '../ports.js';
import { accountOf } from './account.js';
import { addressOf, matcher, newestFirst, tagQueries, tagValue, type EventHead } from './filter.js';
import { DELETION, GIFT_WRAP, VANISH } from './kinds.js';

/** What a relay must do with an event by NIP-01, NIP-09, NIP-40 and NIP-62. */
export type Verdict = 'new' | 'duplicate' | 'superseded' | 'deleted' | 'expired';

/** An event's searchable part; `slot` is where a store keeps the event itself, and the store's to change. */
export interface Entry<Slot> extends EventHead {
  slot: Slot;
  /** Unix seconds (NIP-40); Infinity without the tag. */
  readonly expiresAt: number;
}

/** What is stored on an account: see `accountOf`. */
export interface Usage {
  readonly bytes: number;
  readonly events: number;
}

/** Sorted when so many more than twice the limit are found. */
const MIN_KEPT = 100;
const NOTHING: Usage = { bytes: 0, events: 0 };

/**
 * Finds events by id, kind, author and single-letter tag, and knows which were replaced, deleted or are expired.
 * A pure fold of `add` calls: replaying the same events in the same order gives the same index.
 */
export class EventIndex<Slot> {
  readonly #byId = new Map<string, Entry<Slot>>();
  readonly #byAddress = new Map<string, Entry<Slot>>();
  /** `kind:n`, `author:pubkey` and `#x:value` to their entries. */
  readonly #buckets = new Map<string, Set<Entry<Slot>>>();
  /** `id:pubkey` of NIP-09 requests: they count only for events of that key. */
  readonly #deletedIds = new Set<string>();
  /** Up to which `created_at` an address (NIP-09) or a key (NIP-62) is deleted. */
  readonly #deletedAddresses = new Map<string, number>();
  readonly #vanished = new Map<string, number>();
  readonly #usage = new Map<string, Usage>();
  readonly #bytesOf: (slot: Slot) => number;
  #bytes = 0;
  #vanishedBytes = 0;
  /** No entry expires earlier. */
  #nextExpiry = Infinity;

  constructor(bytesOf: (slot: Slot) => number = () => 0) {
    this.#bytesOf = bytesOf;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Of all entries. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of what requests to vanish took out so far. */
  get vanishedBytes(): number {
    return this.#vanishedBytes;
  }

  /** In the order in which they were added. */
  entries(): IterableIterator<Entry<Slot>> {
    return this.#byId.values();
  }

  holds(entry: Entry<Slot>): boolean {
    return this.#byId.get(entry.id) === entry;
  }

  /** What is stored on the event's account, the version that it would replace not counted. */
  usedBeside(event: EventHead): Usage {
    const used = this.#usage.get(accountOf(event)) ?? NOTHING;
    const rival = this.#rivalOf(event);
    return rival ? { bytes: used.bytes - this.#bytesOf(rival.slot), events: used.events - 1 } : used;
  }

  /** Is it a request that would take out an event that is here? */
  frees(request: EventHead): boolean {
    if (request.kind === VANISH) return [...this.#ownedBy(request.pubkey)].some((entry) => isUpTo(request, entry));
    if (request.kind !== DELETION) return false;
    return request.tags.some(([name, value = '']) => {
      const named = name === 'e' ? this.#byId.get(value) : name === 'a' ? this.#byAddress.get(value) : undefined;
      if (named === undefined || !ownersOf(named).includes(request.pubkey)) return false;
      return name === 'e' ? named.kind !== DELETION && named.kind !== VANISH : isUpTo(request, named);
    });
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  judge(event: EventHead, nowSec: number): Verdict {
    if (this.#byId.has(event.id)) return 'duplicate';
    if (expiryOf(event) <= nowSec) return 'expired';
    // An older request to vanish says nothing that the newer one does not.
    if (this.#isDeleted(event)) return event.kind === VANISH ? 'superseded' : 'deleted';
    const rival = this.#rivalOf(event);
    return rival && newestFirst(rival, event) < 0 ? 'superseded' : 'new';
  }

  /** Adds the event when its verdict is `new`. */
  add(event: EventHead, slot: Slot, nowSec: number): Verdict {
    const verdict = this.judge(event, nowSec);
    if (verdict !== 'new') return verdict;
    const address = addressOf(event);
    if (address !== undefined) this.#removeId(this.#byAddress.get(address)?.id);
    this.#insert({ ...headOf(event), slot, expiresAt: expiryOf(event) }, address);
    if (event.kind === DELETION) this.#delete(event);
    if (event.kind === VANISH) this.#vanish(event);
    return verdict;
  }

  /** Newest first, at most `limit`; expired entries are dropped on the way. */
  find(filter: Filter, limit: number, nowSec: number, isVisible: (event: EventHead) => boolean): Entry<Slot>[] {
    if (limit === 0) return [];
    const matches = matcher([filter]);
    const [found, expired]: [Entry<Slot>[], Entry<Slot>[]] = [[], []];
    // Of a million matches the newest ten are asked for: the others are not kept, and not sorted.
    let oldest: Entry<Slot> | undefined;
    for (const entry of this.#candidates(filter)) {
      if (oldest !== undefined && newestFirst(oldest, entry) < 0) continue;
      if (!matches(entry) || !isVisible(entry)) continue;
      if (entry.expiresAt <= nowSec) expired.push(entry);
      else if (found.push(entry) >= 2 * limit + MIN_KEPT) {
        found.sort(newestFirst).length = limit;
        oldest = found.at(-1);
      }
    }
    for (const { id } of expired) this.#removeId(id);
    return found.sort(newestFirst).slice(0, limit);
  }

  /** Entries that expired; cheap when there are none. */
  dropExpired(nowSec: number): void {
    if (nowSec < this.#nextExpiry) return;
    this.#nextExpiry = Infinity;
    for (const entry of this.#byId.values()) {
      if (entry.expiresAt <= nowSec) this.#removeId(entry.id);
      else this.#nextExpiry = Math.min(this.#nextExpiry, entry.expiresAt);
    }
  }

  #rivalOf(event: EventHead): Entry<Slot> | undefined {
    const address = addressOf(event);
    return address === undefined ? undefined : this.#byAddress.get(address);
  }

  /** The smallest set of entries that holds every match. */
  #candidates(filter: Filter): Iterable<Entry<Slot>> {
    if (filter.ids) return new Set(filter.ids.map((id) => this.#byId.get(id)).filter((entry) => entry !== undefined));
    const dimensions = [
      filter.authors?.map((author) => `author:${author}`),
      filter.kinds?.map((kind) => `kind:${kind}`),
      ...tagQueries(filter).map(([name, values]) => values.map((value) => `#${name}:${value}`)),
    ].filter((keys) => keys !== undefined);
    const choices = dimensions.map((keys) => keys.map((key) => this.#buckets.get(key) ?? new Set<Entry<Slot>>()));
    const [first, ...others] = choices;
    if (!first) return this.#byId.values();
    const smallest = others.reduce((best, next) => (sizeOf(next) < sizeOf(best) ? next : best), first);
    return smallest.length === 1 ? smallest[0]! : new Set(smallest.flatMap((bucket) => [...bucket]));
  }

  #insert(entry: Entry<Slot>, address: string | undefined): void {
    this.#byId.set(entry.id, entry);
    if (address !== undefined) this.#byAddress.set(address, entry);
    this.#nextExpiry = Math.min(this.#nextExpiry, entry.expiresAt);
    this.#count(entry, 1);
    for (const key of bucketKeys(entry)) {
      const bucket = this.#buckets.get(key);
      if (bucket) bucket.add(entry);
      else this.#buckets.set(key, new Set([entry]));
    }
  }

  #removeId(id: string | undefined): void {
    const entry = id === undefined ? undefined : this.#byId.get(id);
    if (!entry) return;
    this.#byId.delete(entry.id);
    this.#count(entry, -1);
    const address = addressOf(entry);
    if (address !== undefined && this.#byAddress.get(address) === entry) this.#byAddress.delete(address);
    for (const key of bucketKeys(entry)) {
      const bucket = this.#buckets.get(key);
      bucket?.delete(entry);
      if (bucket?.size === 0) this.#buckets.delete(key);
    }
  }

  #count(entry: Entry<Slot>, sign: 1 | -1): void {
    const bytes = sign * this.#bytesOf(entry.slot);
    const account = accountOf(entry);
    const used = this.#usage.get(account) ?? NOTHING;
    this.#bytes += bytes;
    if (used.events + sign === 0) this.#usage.delete(account);
    else this.#usage.set(account, { bytes: used.bytes + bytes, events: used.events + sign });
  }

  #delete(deletion: EventHead): void {
    for (const [name, value] of deletion.tags) {
      if (value === undefined) continue;
      if (name === 'e') {
        this.#deletedIds.add(`${value}:${deletion.pubkey}`);
        this.#removeIfDeleted(this.#byId.get(value));
      }
      // An address names its owner; only the owner deletes it.
      if (name === 'a' && value.split(':')[1] === deletion.pubkey) {
        raise(this.#deletedAddresses, value, deletion.created_at);
        this.#removeIfDeleted(this.#byAddress.get(value));
      }
    }
  }

  #vanish(request: EventHead): void {
    raise(this.#vanished, request.pubkey, request.created_at);
    const before = this.#bytes;
    for (const entry of this.#ownedBy(request.pubkey)) if (entry.id !== request.id) this.#removeIfDeleted(entry);
    this.#vanishedBytes += before - this.#bytes;
  }

  #ownedBy(key: string): Set<Entry<Slot>> {
    const of = [`author:${key}`, `#p:${key}`].flatMap((bucket) => [...(this.#buckets.get(bucket) ?? [])]);
    return new Set(of.filter((entry) => ownersOf(entry).includes(key)));
  }

  #removeIfDeleted(entry: Entry<Slot> | undefined): void {
    if (entry && this.#isDeleted(entry)) this.#removeId(entry.id);
  }

  #isDeleted(event: EventHead): boolean {
    // A request itself stays, as the proof, and the memory of the deletion after a restart: until its author vanishes.
    if (event.kind === DELETION || event.kind === VANISH)
      return event.created_at <= (this.#vanished.get(event.pubkey) ?? -1);
    const address = addressOf(event);
    if (address !== undefined && event.created_at <= (this.#deletedAddresses.get(address) ?? -1)) return true;
    return ownersOf(event).some(
      (owner) => this.#deletedIds.has(`${event.id}:${owner}`) || event.created_at <= (this.#vanished.get(owner) ?? -1),
    );
  }
}

/** Who may delete an event: its author; for a gift wrap, whose author is a one-time key, the recipient (NIP-59). */
function ownersOf(event: EventHead): string[] {
  if (event.kind !== GIFT_WRAP) return [event.pubkey];
  return [event.pubkey, ...event.tags.filter(([name]) => name === 'p').map(([, value]) => value ?? '')];
}

const isUpTo = (request: EventHead, event: EventHead): boolean => event.created_at <= request.created_at;

/** Drops what no filter can ask for: other tags, and all but a tag's first value. */
function headOf({ id, pubkey, created_at, kind, tags }: EventHead): EventHead {
  const searchable = tags.filter(([name, value]) => name?.length === 1 && value !== undefined);
  return { id, pubkey, created_at, kind, tags: searchable.map(([name, value]) => [name!, value!]) };
}

function bucketKeys(entry: EventHead): string[] {
  return [`kind:${entry.kind}`, `author:${entry.pubkey}`, ...entry.tags.map(([name, value]) => `#${name}:${value}`)];
}

function sizeOf(buckets: readonly ReadonlySet<unknown>[]): number {
  return buckets.reduce((sum, bucket) => sum + bucket.size, 0);
}

function expiryOf(event: EventHead): number {
  const value = tagValue(event, 'expiration');
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : Infinity;
}

function raise(map: Map<string, number>, key: string, value: number): void {
  map.set(key, Math.max(value, map.get(key) ?? 0));
}
