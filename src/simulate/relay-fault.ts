import type { Filter, NostrEvent } from '../ports.js';

/** What a relay does with a published event. */
export interface Taking {
  readonly keep: boolean;
  /** `drop` closes the connection instead of an answer. */
  readonly say: 'ok' | 'nothing' | 'drop';
  readonly delayMs?: number;
}

/** What a relay answers to a request for stored events. */
export interface Answering {
  /** As it puts them on the wire: they need not be events, match, or be signed. */
  readonly events: readonly unknown[];
  /** `eose-first`: before the events. `half`: closes the connection in the middle of a message. */
  readonly end: 'eose' | 'eose-first' | 'nothing' | 'closed' | 'drop' | 'half';
  readonly delayMs?: number;
}

/** How a relay misbehaves; the same behind the Relays port and as a server. */
export interface RelayFault {
  take(event: NostrEvent): Taking;
  /** @param found  what an honest relay would answer  @param stored  everything it has */
  answer(filters: readonly Filter[], found: readonly NostrEvent[], stored: readonly NostrEvent[]): Answering;
  /** Does a subscription hear what others publish from now on? */
  readonly passesOn: boolean;
}
