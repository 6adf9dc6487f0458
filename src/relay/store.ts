import type { Filter } from '../ports.js';
import type { EventHead } from './filter.js';
import type { Usage, Verdict } from './event-index.js';

/** Where the embedded relay keeps events. */
export interface EventStore {
  has(id: string): boolean;
  /** What `add` would answer now: costs nothing. */
  judge(event: EventHead): Verdict;
  /** What is stored on the event's account, or is about to be; the version that it would replace is not counted. */
  usedBeside(event: EventHead): Usage;
  /** Is it a request (NIP-09, NIP-62) that would take out an event that is here? */
  frees(request: EventHead): boolean;
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
  /** To be called from time to time: what expired goes, and what is gone leaves the medium. Never throws. */
  tend(): Promise<void>;
  close(): Promise<void>;
}

export interface StoredEvent {
  readonly head: EventHead;
  /** The event's JSON as UTF-8 between `prefix` and a closing bracket; undefined when it was deleted meanwhile. */
  message(prefix: Buffer): Promise<Buffer | undefined>;
}

/** Unix seconds. */
export type NowSec = () => number;
