import type { EventId, Pubkey } from '../hash.js';
import type { JobEvent } from '../protocol/events.js';

/** Two events of one author with the same seq: both signatures together prove it. */
export interface Fork {
  readonly author: Pubkey;
  readonly seq: number;
  readonly ids: readonly EventId[];
}

/** One author's events of a job, seq 0, 1, 2 ... as far as they can be followed. */
export interface Chain {
  readonly author: Pubkey;
  readonly events: readonly JobEvent[];
  readonly fork: Fork | null;
  /** An event exists whose predecessor is not at hand: fetch it. */
  readonly gapBefore: EventId | null;
  /** `prev` names another event than the one before. */
  readonly broken: EventId | null;
}

/**
 * Chains of all authors. The order of arrival, duplicates and `created_at` change nothing.
 * A chain ends before its first fork, gap or broken link: later events do not count.
 *
 * @returns  in order of the authors' keys
 */
export function buildChains(events: Iterable<JobEvent>): ReadonlyMap<Pubkey, Chain> {
  const byAuthor = new Map<Pubkey, Map<number, Map<EventId, JobEvent>>>();
  for (const event of events) {
    const slots = byAuthor.get(event.author) ?? new Map<number, Map<EventId, JobEvent>>();
    byAuthor.set(event.author, slots);
    const slot = slots.get(event.seq) ?? new Map<EventId, JobEvent>();
    slots.set(event.seq, slot);
    slot.set(event.id, event);
  }
  const sorted = [...byAuthor].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(sorted.map(([author, slots]) => [author, followChain(author, slots)]));
}

function followChain(author: Pubkey, slots: ReadonlyMap<number, ReadonlyMap<EventId, JobEvent>>): Chain {
  const events: JobEvent[] = [];
  const end = (rest: Partial<Chain>): Chain => ({ author, events, fork: null, gapBefore: null, broken: null, ...rest });
  for (let seq = 0; ; seq++) {
    const slot = slots.get(seq);
    if (slot === undefined) {
      const later = [...slots.keys()].filter((other) => other > seq).sort((a, b) => a - b)[0];
      const first = later === undefined ? undefined : [...slots.get(later)!.keys()].sort()[0];
      return end({ gapBefore: first ?? null });
    }
    if (slot.size > 1) return end({ fork: { author, seq, ids: [...slot.keys()].sort() } });
    const event = [...slot.values()][0]!;
    if (seq > 0 && event.prev !== events[seq - 1]!.id) return end({ broken: event.id });
    events.push(event);
  }
}
