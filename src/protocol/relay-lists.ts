import type { EventTemplate, NostrEvent } from '../ports.js';

/**
 * Where a key reads and writes (kind 10002) and where it wants to be written to (kind 10050): lists of others that we keep for a
 * trainer and read of one.
 *
 * @see https://github.com/nostr-protocol/nips/blob/master/65.md
 * @see https://github.com/nostr-protocol/nips/blob/master/17.md
 */
export const RELAY_LIST = 10_002;
export const INBOX_RELAYS = 10_050;

/** Relays of one list that are written to or read from; the NIPs ask for two to four. */
export const MAX_LISTED = 8;
/** Further tags are not looked at. */
const MAX_TAGS = 256;
/** NIP-89: a list with it is nmkt's to change, any other is its owner's. */
const CLIENT = ['client', 'nmkt'] as const;

const tagOf = (kind: number): string => (kind === RELAY_LIST ? 'r' : 'relay');

/** @param relays  at most MAX_LISTED of them are named */
export function buildRelayList(kind: number, relays: readonly string[], createdAt: number): EventTemplate {
  const tags = relays.slice(0, MAX_LISTED).map((relay) => [tagOf(kind), relay]);
  return { kind, created_at: createdAt, tags: [...tags, [...CLIENT]], content: '' };
}

export function isKeptByUs({ tags }: Pick<NostrEvent, 'tags'>): boolean {
  return tags.some(([name, value]) => name === CLIENT[0] && value === CLIENT[1]);
}

/**
 * The first relays of a list that may be connected to, each once.
 *
 * @param allowed  the URL in one spelling, or undefined where nobody should connect to it
 */
export function listedRelays(
  event: Pick<NostrEvent, 'kind' | 'tags'>,
  allowed: (url: string) => string | undefined,
): readonly string[] {
  const found = new Set<string>();
  for (const [name, value] of event.tags.slice(0, MAX_TAGS)) {
    const url = name === tagOf(event.kind) && value !== undefined ? allowed(value) : undefined;
    if (url !== undefined) found.add(url);
    if (found.size === MAX_LISTED) break;
  }
  return [...found];
}

/** The one that counts: the newest, at equal times the one with the lowest id (NIP-01). */
export function newestList(events: readonly NostrEvent[], kind: number, author: string): NostrEvent | undefined {
  return events
    .filter((event) => event.kind === kind && event.pubkey === author)
    .sort((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1))[0];
}
