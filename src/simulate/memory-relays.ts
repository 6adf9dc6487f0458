import type { FetchResult, Filter, NostrEvent, PublishOutcome, Relays, Subscription } from '../ports.js';
import { matcher, newestFirst } from '../relay/filter.js';
import { MemoryRelay, type Listener, type Wait } from './memory-relay.js';
import type { RelayFault } from './relay-fault.js';

/** What a network of memory relays does besides keeping events. */
export interface MemoryNetworkOptions {
  /** How slow and silent relays, and deliveries, take their time; without one they take none. */
  readonly wait?: Wait;
  /** Told each event that a relay takes. */
  readonly onStored?: Listener;
  /**
   * So long an event takes to a subscriber: what is published meanwhile arrives with it, in one turn, so that a participant looks once
   * at the hundred answers to one question. Default: at once, each by itself.
   */
  readonly latencyMs?: number;
  /** Everybody sees the same objects, which nobody may change. Default: copies. */
  readonly isShared?: boolean;
  /** Told the events that a client gets, those it asked for and those it subscribed to. */
  readonly onDelivered?: Listener;
}

type Network = Required<MemoryNetworkOptions> & {
  readonly relays: ReadonlyMap<string, MemoryRelay>;
  readonly onPublish: Listener;
  /** Runs it when an event that is published now arrives. */
  readonly later: (deliver: () => void) => void;
};

const NOBODY = { state: 'unreachable', message: 'no such relay' } as const;

/** One client of a memory network. */
export class MemoryRelays implements Relays {
  readonly urls: readonly string[];
  readonly #network: Network;
  readonly #open = new Set<Subscription>();

  constructor(network: Network) {
    this.#network = network;
    this.urls = [...network.relays.keys()];
  }

  async publish(event: NostrEvent, relays: readonly string[] = this.urls): Promise<readonly PublishOutcome[]> {
    const copy = structuredClone(event);
    this.#network.onPublish(copy);
    return Promise.all(
      relays.map(async (relay) => {
        const outcome = (await this.#network.relays.get(relay)?.take(copy, this.#network.wait)) ?? NOBODY;
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
        const relay = this.#network.relays.get(url);
        if (relay === undefined || relay.isDown) return { url, events: [], isComplete: false };
        return { url, ...(await relay.ask(filters, this.#network.wait)) };
      }),
    );
    const events = new Map(answers.flatMap((answer) => answer.events).map((event) => [event.id, event]));
    return {
      events: [...events.values()].sort(newestFirst).map((event) => this.#hand(event)),
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
      this.#network.later(() => {
        if (isOpen) onEvent(this.#hand(event));
      });
    };
    const relays = [...this.#network.relays.values()];
    for (const relay of relays) {
      if (relay.isDown) continue;
      if (relay.fault === null) relay.query(filters).forEach(deliver);
      else void relay.ask(filters, this.#network.wait).then(({ events }) => events.forEach(deliver));
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

  #hand(event: NostrEvent): NostrEvent {
    this.#network.onDelivered(event);
    return this.#network.isShared ? event : structuredClone(event);
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

/** In-process relays with NIP-01 and NIP-09 semantics; gift wraps are visible to every client. */
export function memoryNetwork(
  urls: readonly string[] = ['wss://memory.example'],
  {
    wait = async () => undefined,
    onStored = () => undefined,
    onDelivered = () => undefined,
    latencyMs = 0,
    isShared = false,
  }: MemoryNetworkOptions = {},
): MemoryNetwork {
  const relays = new Map(urls.map((url) => [url, new MemoryRelay(onStored)]));
  const published = new Set<string>();
  let tell: (event: NostrEvent) => void = () => undefined;
  const onPublish = (event: NostrEvent): void => {
    if (published.has(event.id)) return;
    published.add(event.id);
    tell(event);
  };
  let underway: (() => void)[] = [];
  const later = (deliver: () => void): void => {
    if (latencyMs === 0) return queueMicrotask(deliver);
    if (underway.push(deliver) > 1) return;
    void wait(latencyMs).then(() => {
      const arrived = underway;
      underway = [];
      for (const one of arrived) one();
    });
  };
  const network = { relays, onPublish, later, wait, onStored, onDelivered, latencyMs, isShared };
  return {
    relays: () => new MemoryRelays(network),
    onPublish: (told) => void (tell = told),
    setDown: (url, isDown) => {
      relays.get(url)!.isDown = isDown;
    },
    setFault: (url, fault) => {
      relays.get(url)!.fault = fault;
    },
    events: (url) => {
      const asked = url === undefined ? [...relays.values()] : [relays.get(url)!];
      const all = asked.flatMap((relay) => relay.query([{}]));
      return [...new Map(all.map((event) => [event.id, event])).values()].sort(newestFirst);
    },
  };
}
