import type { Filter } from '../ports.js';
import type { EventHead } from './filter.js';
import type { Verdict } from './event-index.js';

/** Where the embedded relay keeps events. */
export interface EventStore {
  has(id: string): boolean;
  /**
   * Resolves when the event is durable, to what became of it.
   *
   * @param json      canonical JSON of the event; a buffer is not changed afterwards
   * @param onStored  called in the same tick in which `find` starts to see the event
   * @throws          when the medium fails; the event is then not stored
   */
  add(event: EventHead, json: string | Buffer, onStored: () => void): Promise<Verdict>;
  /** Newest first, at most `limit` of those that are visible. */
  find(filter: Filter, limit: number, isVisible: (event: EventHead) => boolean): readonly StoredEvent[];
  close(): Promise<void>;
}

export interface StoredEvent {
  readonly head: EventHead;
  /** The event's JSON as UTF-8 between `prefix` and a closing bracket. */
  message(prefix: Buffer): Promise<Buffer>;
}

/** Unix seconds. */
export type NowSec = () => number;
