import type { FetchResult, Filter, NostrEvent, PublishOutcome, Relays, Subscription } from '../../src/ports.js';
import { kindClass, matcher, newestFirst } from '../../src/relay/filter.js';
import type { EventStore } from '../../src/relay/store.js';
import { hasValidSignature } from '../../src/schnorr.js';
import type { MemoryNetwork } from './memory-relays.js';
import { keepEvent } from './secrets/outputs.js';
import { storedEvent } from './stored-event.js';

/** One relay over the store of the embedded relay, without sockets: it can go away and come back with what it kept. */
export interface DiskRelay extends MemoryNetwork {
  /** Serves from this store from now on; subscriptions of its clients find it again. Null: it is away. */
  serve(store: EventStore | null): Promise<void>;
}

const URL = 'wss://disk.example';

interface Watch {
  readonly filters: readonly Filter[];
  readonly matches: (event: NostrEvent) => boolean;
  readonly deliver: (event: NostrEvent) => void;
}

export function diskRelay(): DiskRelay {
  let store: EventStore | null = null;
  const watches = new Set<Watch>();

  const query = async (from: EventStore, filters: readonly Filter[]): Promise<NostrEvent[]> => {
    const found = filters.flatMap((filter) => from.find(filter, filter.limit ?? Infinity, () => true));
    return Promise.all(found.map(storedEvent));
  };
  const stored = async (from: EventStore, { filters, deliver }: Watch): Promise<void> => {
    // A relay that goes away while it answers sends no more.
    for (const event of await query(from, filters).catch(() => [])) deliver(event);
  };

  const publish = async (event: NostrEvent): Promise<Omit<PublishOutcome, 'relay'>> => {
    const here = store;
    if (here === null) return { state: 'unreachable', message: 'away' };
    if (!here.has(event.id) && !hasValidSignature(event))
      return { state: 'refused', message: 'invalid: id or signature' };
    keepEvent(event);
    const broadcast = (): void => {
      for (const watch of [...watches]) if (watch.matches(event)) watch.deliver(event);
    };
    try {
      if (kindClass(event.kind) === 'ephemeral') broadcast();
      else {
        const verdict = await here.add(event, JSON.stringify(event), broadcast);
        if (verdict === 'deleted' || verdict === 'expired') return { state: 'refused', message: `blocked: ${verdict}` };
      }
    } catch {
      return { state: 'unreachable', message: 'it went away' };
    }
    return store === here ? { state: 'stored', message: '' } : { state: 'unreachable', message: 'it went away' };
  };

  const relays = (): Relays => {
    const open = new Set<Subscription>();
    return {
      urls: [URL],
      publish: async (event) => [{ relay: URL, ...(await publish(event)) }],
      async fetch(filters): Promise<FetchResult> {
        const silent = { events: [], answered: [], silent: [URL] };
        if (store === null) return silent;
        const here = store;
        try {
          const events = new Map((await query(here, filters)).map((event) => [event.id, event]));
          if (store !== here) return silent;
          return { events: [...events.values()].sort(newestFirst), answered: [URL], silent: [] };
        } catch {
          return silent;
        }
      },
      subscribe(filters, onEvent) {
        const seen = new Set<string>();
        let isOpen = true;
        const watch: Watch = {
          filters,
          matches: matcher(filters),
          deliver(event) {
            if (seen.has(event.id)) return;
            seen.add(event.id);
            queueMicrotask(() => void (isOpen && onEvent(event)));
          },
        };
        watches.add(watch);
        if (store !== null) void stored(store, watch);
        const subscription = {
          close() {
            isOpen = false;
            watches.delete(watch);
            open.delete(subscription);
          },
        };
        open.add(subscription);
        return subscription;
      },
      close: async () => [...open].forEach((subscription) => subscription.close()),
    };
  };

  return {
    async serve(next) {
      store = next;
      if (next !== null) await Promise.all([...watches].map((watch) => stored(next, watch)));
    },
    relays,
    setFault: () => {
      throw new TypeError('not here');
    },
    onPublish: () => {
      throw new TypeError('not here');
    },
    setDown: () => {
      throw new Error('take its store away');
    },
    events: () => {
      throw new Error('read its log');
    },
  };
}
