import type { NostrEvent } from '../ports.js';
import type { Place } from './placement.js';

/** Chunk events by number, made when they are asked for: an upload of any size holds a few of them. */
export interface ChunkSource {
  readonly count: number;
  /** The same event whenever it is asked for. */
  event(index: number): NostrEvent | Promise<NostrEvent>;
  /** Absent: every relay holds every chunk. */
  place?(index: number): Place | undefined;
}

export function sourceOf(events: readonly NostrEvent[]): ChunkSource {
  return { count: events.length, event: (index) => events[index]! };
}

/** Several blobs one after the other. */
export function joinSources(sources: readonly ChunkSource[]): ChunkSource {
  const starts: number[] = [];
  let count = 0;
  for (const source of sources) {
    starts.push(count);
    count += source.count;
  }
  const sourceAt = (index: number): number => {
    let at = starts.findLastIndex((start) => start <= index);
    while (sources[at]!.count === 0) at--; // an empty one starts where the next does
    return at;
  };
  return {
    count,
    event(index) {
      const at = sourceAt(index);
      return sources[at]!.event(index - starts[at]!);
    },
    place(index) {
      const at = sourceAt(index);
      return sources[at]!.place?.(index - starts[at]!);
    },
  };
}

/** Relays that keep step share what is sealed once; one that lags has its chunks sealed again. @param kept  events */
export function keepRecent(source: ChunkSource, kept: number): ChunkSource {
  const recent = new Map<number, NostrEvent | Promise<NostrEvent>>();
  return {
    count: source.count,
    event(index) {
      const known = recent.get(index);
      if (known !== undefined) return known;
      const event = source.event(index);
      recent.set(index, event);
      if (recent.size > kept) recent.delete(recent.keys().next().value!);
      return event;
    },
  };
}
