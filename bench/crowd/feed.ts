import type { EventId } from '../../src/hash.js';
import type { Filter, NostrEvent, Relays } from '../../src/ports.js';
import { jobFilters } from '../../src/roles/job-book.js';

/**
 * The events of a job, read once for many trainers of one process; each publishes, and reads its grants, by its own connection. Five hundred
 * processes on machines of their own would each read everything: here that work would be measured instead of the customer's.
 */
export interface Feed {
  /** The same relays, with the job's events from the feed. */
  for(own: Relays): Relays;
}

export async function openFeed(job: EventId, reader: Relays): Promise<Feed> {
  const wanted = JSON.stringify(jobFilters(job));
  const isFed = (filters: readonly Filter[]): boolean => JSON.stringify(filters) === wanted;
  const events = new Map<string, NostrEvent>();
  const listeners = new Set<(event: NostrEvent) => void>();
  const add = (event: NostrEvent): void => {
    if (events.has(event.id)) return;
    events.set(event.id, event);
    for (const listener of listeners) listener(event);
  };
  (await reader.fetch(jobFilters(job))).events.forEach(add);
  reader.subscribe(jobFilters(job), add);
  return {
    for: (own) => ({
      urls: own.urls,
      async publish(event, ...rest) {
        const outcomes = await own.publish(event, ...rest);
        if (outcomes.some(({ state }) => state === 'stored')) add(event);
        return outcomes;
      },
      async fetch(filters, ...rest) {
        if (!isFed(filters)) return own.fetch(filters, ...rest);
        return { events: [...events.values()], answered: [...own.urls], silent: [] };
      },
      subscribe(filters, onEvent) {
        if (!isFed(filters)) return own.subscribe(filters, onEvent);
        listeners.add(onEvent);
        return { close: () => void listeners.delete(onEvent) };
      },
      close: () => own.close(),
    }),
  };
}
