import { addressOf, kindClass, matcher, newestFirst } from '../../src/relay/filter.js';
import type { FetchResult, Filter, NostrEvent, PublishOutcome, Relays, Subscription } from '../../src/ports.js';
import { hasValidSignature } from '../../src/schnorr.js';
import { readEvent } from '../../src/relay/paging.js';
import type { RelayFault } from './faults/relay-faults.js';
import { keepEvent } from './secrets/outputs.js';

type Listener = (event: NostrEvent) => void;

/** As long as the pool waits for a relay. */
const SILENCE_MS = 10_000;

type Wait = (ms: number) => Promise<void>;

/** What one relay keeps: regular events, the newest at each address, deletions honoured; ephemeral events pass through. */
class MemoryRelay {
  isDown = false;
  fault: RelayFault | null = null;
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
    keepEvent(event);
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

const NOBODY = { state: 'unreachable', message: 'no such relay' } as const;

/** One client of a memory network. */
export class MemoryRelays implements Relays {
  readonly urls: readonly string[];
  readonly #network: ReadonlyMap<string, MemoryRelay>;
  readonly #open = new Set<Subscription>();
  readonly #onPublish: (event: NostrEvent) => void;
  readonly #wait: Wait;

  constructor(network: ReadonlyMap<string, MemoryRelay>, onPublish: (event: NostrEvent) => void, wait: Wait) {
    this.#network = network;
    this.#onPublish = onPublish;
    this.#wait = wait;
    this.urls = [...network.keys()];
  }

  async publish(event: NostrEvent, relays: readonly string[] = this.urls): Promise<readonly PublishOutcome[]> {
    const copy = structuredClone(event);
    this.#onPublish(copy);
    return Promise.all(
      relays.map(async (relay) => {
        const outcome = (await this.#network.get(relay)?.take(copy, this.#wait)) ?? NOBODY;
        return { relay, ...outcome };
      }),
    );
  }

  async fetch(
    filters: readonly Filter[],
    { relays = this.urls }: { readonly relays?: readonly string[] } = {},
  ): Promise<FetchResult> {
    const answers = await Promise.all(
      relays.map(async (url) => {
        const relay = this.#network.get(url);
        if (relay === undefined || relay.isDown) return { url, events: [], isComplete: false };
        return { url, ...(await relay.ask(filters, this.#wait)) };
      }),
    );
    const events = new Map(answers.flatMap((answer) => answer.events).map((event) => [event.id, event]));
    return {
      events: [...events.values()].sort(newestFirst).map((event) => structuredClone(event)),
      answered: answers.filter(({ isComplete }) => isComplete).map(({ url }) => url),
      silent: answers.filter(({ isComplete }) => !isComplete).map(({ url }) => url),
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
    for (const relay of relays) {
      if (relay.isDown) continue;
      if (relay.fault === null) relay.query(filters).forEach(deliver);
      else void relay.ask(filters, this.#wait).then(({ events }) => events.forEach(deliver));
    }
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
  /** From now on one relay misbehaves; null: no more. */
  setFault(url: string, fault: RelayFault | null): void;
  /** Everything any relay, or this one, holds, newest first. */
  events(url?: string): readonly NostrEvent[];
  /** Told before an event is published for the first time: the moment to take a relay down. Replaces the last one. */
  onPublish(told: (event: NostrEvent) => void): void;
}

/**
 * In-process relays with NIP-01 and NIP-09 semantics; gift wraps are visible to every client.
 *
 * @param wait  how slow and silent relays take their time; without one they take none
 */
export function memoryNetwork(
  urls: readonly string[] = ['wss://memory.example'],
  wait: Wait = async () => undefined,
): MemoryNetwork {
  const network = new Map(urls.map((url) => [url, new MemoryRelay()]));
  const published = new Set<string>();
  let tell: (event: NostrEvent) => void = () => undefined;
  const onPublish = (event: NostrEvent): void => {
    if (published.has(event.id)) return;
    published.add(event.id);
    tell(event);
  };
  return {
    relays: () => new MemoryRelays(network, onPublish, wait),
    onPublish: (told) => void (tell = told),
    setDown: (url, isDown) => {
      network.get(url)!.isDown = isDown;
    },
    setFault: (url, fault) => {
      network.get(url)!.fault = fault;
    },
    events: (url) => {
      const asked = url === undefined ? [...network.values()] : [network.get(url)!];
      const all = asked.flatMap((relay) => relay.query([{}]));
      return [...new Map(all.map((event) => [event.id, event])).values()].sort(newestFirst);
    },
  };
}
