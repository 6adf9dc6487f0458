import { addressOf, kindClass, matcher, newestFirst } from '../../src/relay/filter.js';
import type { FetchResult, Filter, NostrEvent, PublishOutcome, Relays, Subscription } from '../../src/ports.js';
import { hasValidSignature } from '../../src/schnorr.js';

type Listener = (event: NostrEvent) => void;

/** What one relay keeps: regular events, the newest at each address, deletions honoured; ephemeral events pass through. */
class MemoryRelay {
  isDown = false;
  readonly #events = new Map<string, NostrEvent>();
  readonly #byAddress = new Map<string, NostrEvent>();
  readonly #deleted = new Set<string>();
  readonly #listeners = new Set<Listener>();

  publish(event: NostrEvent): Omit<PublishOutcome, 'relay'> {
    if (this.isDown) return { state: 'unreachable', message: 'down' };
    if (!hasValidSignature(event)) return { state: 'refused', message: 'invalid: id or signature' };
    if (this.#events.has(event.id)) return { state: 'stored', message: 'duplicate: already here' };
    if (this.#deleted.has(event.id + event.pubkey)) return { state: 'refused', message: 'blocked: deleted' };
    if (kindClass(event.kind) !== 'ephemeral' && !this.#keep(event)) {
      return { state: 'stored', message: 'duplicate: a newer version is here' };
    }
    for (const listener of [...this.#listeners]) listener(event);
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

  query(filters: readonly Filter[]): NostrEvent[] {
    return filters.flatMap((filter) =>
      [...this.#events.values()]
        .filter(matcher([filter]))
        .sort(newestFirst)
        .slice(0, filter.limit),
    );
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** One client of a memory network. */
export class MemoryRelays implements Relays {
  readonly urls: readonly string[];
  readonly #network: ReadonlyMap<string, MemoryRelay>;
  readonly #open = new Set<Subscription>();
  readonly #onPublish: (event: NostrEvent) => void;

  constructor(network: ReadonlyMap<string, MemoryRelay>, onPublish: (event: NostrEvent) => void = () => undefined) {
    this.#network = network;
    this.#onPublish = onPublish;
    this.urls = [...network.keys()];
  }

  async publish(event: NostrEvent, relays: readonly string[] = this.urls): Promise<readonly PublishOutcome[]> {
    const copy = structuredClone(event);
    this.#onPublish(copy);
    return relays.map((relay) => {
      const outcome = this.#network.get(relay)?.publish(copy) ?? { state: 'unreachable', message: 'no such relay' };
      return { relay, ...outcome };
    });
  }

  async fetch(
    filters: readonly Filter[],
    { relays = this.urls }: { readonly relays?: readonly string[] } = {},
  ): Promise<FetchResult> {
    const isUp = (url: string) => this.#network.get(url)?.isDown === false;
    const answered = relays.filter(isUp);
    const found = answered.flatMap((url) => this.#network.get(url)!.query(filters));
    const events = new Map(found.map((event) => [event.id, event]));
    return {
      events: [...events.values()].sort(newestFirst).map((event) => structuredClone(event)),
      answered,
      silent: relays.filter((url) => !isUp(url)),
    };
  }

  subscribe(filters: readonly Filter[], onEvent: Listener): Subscription {
    const seen = new Set<string>();
    const matches = matcher(filters);
    let isOpen = true;
    const deliver = (event: NostrEvent) => {
      if (seen.has(event.id) || !matches(event)) return;
      seen.add(event.id);
      queueMicrotask(() => {
        if (isOpen) onEvent(structuredClone(event));
      });
    };
    const relays = [...this.#network.values()];
    for (const relay of relays) if (!relay.isDown) relay.query(filters).forEach(deliver);
    const stops = relays.map((relay) => relay.listen(deliver));
    const subscription = {
      close: () => {
        isOpen = false;
        stops.forEach((stop) => stop());
        this.#open.delete(subscription);
      },
    };
    this.#open.add(subscription);
    return subscription;
  }

  async close(): Promise<void> {
    for (const subscription of [...this.#open]) subscription.close();
  }
}

export interface MemoryNetwork {
  /** A new client; all clients of a network see the same events. */
  relays(): Relays;
  /** Takes one relay down (publish: unreachable, fetch: silent, no live events) or up again. */
  setDown(url: string, isDown: boolean): void;
  /** Everything any relay, or this one, holds, newest first. */
  events(url?: string): readonly NostrEvent[];
  /** Told before an event is published for the first time: the moment to take a relay down. Replaces the last one. */
  onPublish(told: (event: NostrEvent) => void): void;
}

/** In-process relays with NIP-01 and NIP-09 semantics; gift wraps are visible to every client. */
export function memoryNetwork(urls: readonly string[] = ['wss://memory.example']): MemoryNetwork {
  const network = new Map(urls.map((url) => [url, new MemoryRelay()]));
  const published = new Set<string>();
  let tell: (event: NostrEvent) => void = () => undefined;
  const onPublish = (event: NostrEvent): void => {
    if (published.has(event.id)) return;
    published.add(event.id);
    tell(event);
  };
  return {
    relays: () => new MemoryRelays(network, onPublish),
    onPublish: (told) => void (tell = told),
    setDown: (url, isDown) => {
      network.get(url)!.isDown = isDown;
    },
    events: (url) => {
      const asked = url === undefined ? [...network.values()] : [network.get(url)!];
      const all = asked.flatMap((relay) => relay.query([{}]));
      return [...new Map(all.map((event) => [event.id, event])).values()].sort(newestFirst);
    },
  };
}
