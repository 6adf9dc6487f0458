import type { Filter, NostrEvent, PublishOutcome } from '../ports.js';
import { addressOf, kindClass, matcher, newestFirst } from '../relay/filter.js';
import { readEvent } from '../relay/paging.js';
import { hasValidSignature } from '../schnorr.js';
import type { RelayFault } from './relay-fault.js';

export type Listener = (event: NostrEvent) => void;
export type Wait = (ms: number) => Promise<void>;

/** As long as the pool waits for a relay. */
const SILENCE_MS = 10_000;
/** Tags that the filters of this market ask for. */
const INDEXED_TAGS = ['e', 'p'] as const;

/** What one relay keeps: regular events, the newest at each address, deletions honoured; ephemeral events pass through. */
export class MemoryRelay {
  isDown = false;
  fault: RelayFault | null = null;
  readonly #events = new Map<string, NostrEvent>();
  /** Ids of events by `name:value` of their tags; those that are gone stay in it. */
  readonly #byTag = new Map<string, string[]>();
  readonly #byAddress = new Map<string, NostrEvent>();
  readonly #deleted = new Set<string>();
  readonly #listeners = new Set<Listener>();
  readonly #onStored: Listener;

  /** @param onStored  told each event that is new here, those that only pass through included */
  constructor(onStored: Listener) {
    this.#onStored = onStored;
  }

  publish(event: NostrEvent): Omit<PublishOutcome, 'relay'> {
    if (this.isDown) return { state: 'unreachable', message: 'down' };
    if (!hasValidSignature(event)) return { state: 'refused', message: 'invalid: id or signature' };
    if (this.#events.has(event.id)) return { state: 'stored', message: 'duplicate: already here' };
    if (this.#deleted.has(event.id + event.pubkey)) return { state: 'refused', message: 'blocked: deleted' };
    if (kindClass(event.kind) !== 'ephemeral' && !this.#keep(event)) {
      return { state: 'stored', message: 'duplicate: a newer version is here' };
    }
    this.#onStored(event);
    if (this.fault?.passesOn !== false) for (const listener of [...this.#listeners]) listener(event);
    return { state: 'stored', message: '' };
  }

  #keep(event: NostrEvent): boolean {
    const address = addressOf(event);
    if (address !== undefined) {
      const rival = this.#byAddress.get(address);
      if (rival && newestFirst(rival, event) < 0) return false;
      if (rival) this.#events.delete(rival.id);
      this.#byAddress.set(address, event);
    }
    this.#events.set(event.id, event);
    for (const name of INDEXED_TAGS)
      for (const value of new Set(event.tags.filter((tag) => tag[0] === name).map((tag) => tag[1]))) {
        const ids = this.#byTag.get(`${name}:${value}`);
        if (ids === undefined) this.#byTag.set(`${name}:${value}`, [event.id]);
        else ids.push(event.id);
      }
    if (event.kind === 5) this.#delete(event);
    return true;
  }

  #delete(deletion: NostrEvent): void {
    for (const [name, value] of deletion.tags) {
      if (name === 'e') this.#deleted.add(`${value}${deletion.pubkey}`);
    }
    const addresses = new Set(deletion.tags.filter(([name]) => name === 'a').map(([, value]) => value));
    for (const event of this.#events.values()) {
      const isNamed = this.#deleted.has(event.id + event.pubkey) && event.kind !== 5;
      const atAddress = addresses.has(addressOf(event)) && event.created_at <= deletion.created_at;
      if (isNamed || (atAddress && event.pubkey === deletion.pubkey)) this.#events.delete(event.id);
    }
  }

  /** As a client sees it: what is forged or was not asked for is dropped, as the pool does. */
  async ask(filters: readonly Filter[], wait: Wait): Promise<{ events: readonly NostrEvent[]; isComplete: boolean }> {
    if (this.fault === null) return { events: this.query(filters), isComplete: true };
    const matches = matcher(filters);
    const { events, end, delayMs = 0 } = this.fault.answer(filters, this.query(filters), [...this.#events.values()]);
    await wait(end === 'nothing' ? SILENCE_MS : Math.min(delayMs, SILENCE_MS));
    const isLate = delayMs >= SILENCE_MS || end === 'eose-first' || end === 'half';
    const authentic = events.map(readEvent).filter((event) => event !== undefined);
    return {
      events: isLate ? [] : authentic.filter((event) => matches(event) && hasValidSignature(event)),
      isComplete: end === 'eose' || end === 'eose-first',
    };
  }

  async take(event: NostrEvent, wait: Wait): Promise<Omit<PublishOutcome, 'relay'>> {
    if (this.fault === null) return this.publish(event);
    const { keep, say, delayMs = 0 } = this.fault.take(event);
    await wait(say === 'nothing' ? SILENCE_MS : Math.min(delayMs, SILENCE_MS));
    if (keep) this.publish(event);
    if (say === 'drop') return { state: 'unreachable', message: 'connection closed (1006)' };
    if (say === 'nothing' || delayMs >= SILENCE_MS)
      return { state: 'unreachable', message: `no answer in ${SILENCE_MS} ms` };
    return { state: 'stored', message: '' };
  }

  query(filters: readonly Filter[]): NostrEvent[] {
    return filters.flatMap((filter) =>
      this.#candidates(filter)
        .filter(matcher([filter]))
        .sort(newestFirst)
        .slice(0, filter.limit),
    );
  }

  /** Everything that the filter may select, and perhaps more. */
  #candidates(filter: Filter): NostrEvent[] {
    const found = (ids: Iterable<string>) => [...new Set(ids)].flatMap((id) => this.#events.get(id) ?? []);
    if (filter.ids !== undefined) return found(filter.ids);
    for (const name of INDEXED_TAGS) {
      const values = filter[`#${name}`];
      if (values !== undefined) return found(values.flatMap((value) => this.#byTag.get(`${name}:${value}`) ?? []));
    }
    return [...this.#events.values()];
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
