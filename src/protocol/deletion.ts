import type { EventId } from '../hash.js';
import type { EventTemplate } from '../ports.js';

/** Requests to relays to delete: they are asked, not forced. */

/** NIP-09 */
export const DELETION = 5;
/** NIP-62: everything of a key. */
export const VANISH = 62;

/** `["e","…"],` around an id, and everything in an event that is no such tag, its frame included. */
const TAG_BYTES = 73;
const OTHER_BYTES = 600;
/** 850 ids make an event of 62,700 bytes: below 65,535, the least that large relays take. */
const MOST_IDS = 850;
/** A relay that takes fewer tags than this is not allowed to multiply the events for the others. */
const FEWEST_IDS = 50;

/** What a relay says of itself (NIP-11); null: no limit. */
export interface DeletionLimits {
  readonly maxMessageBytes: number | null;
  readonly maxTags: number | null;
}

/** Ids in one deletion request that every one of the relays takes. */
export function idsPerDeletion(limits: readonly DeletionLimits[]): number {
  const most = limits.map(({ maxMessageBytes, maxTags }) =>
    Math.min(
      maxMessageBytes === null ? MOST_IDS : Math.floor((maxMessageBytes - OTHER_BYTES) / TAG_BYTES),
      maxTags === null ? MOST_IDS : maxTags - 1,
    ),
  );
  return Math.max(FEWEST_IDS, Math.min(MOST_IDS, ...most));
}

/** Kind 5 for events of one kind and key, `perEvent` ids each, in order. */
export function buildDeletions(
  ids: readonly EventId[],
  kind: number,
  perEvent: number,
  createdAt: number,
): EventTemplate[] {
  return Array.from({ length: Math.ceil(ids.length / perEvent) }, (_, at) => ({
    kind: DELETION,
    created_at: createdAt,
    tags: [...ids.slice(at * perEvent, (at + 1) * perEvent).map((id) => ['e', id]), ['k', String(kind)]],
    content: '',
  }));
}

/**
 * Kind 5 for some events by id, and for all versions at some addresses up to `createdAt`.
 *
 * @param addresses  `kind:pubkey:d`
 */
export function buildDeletion(
  events: readonly { readonly id: EventId; readonly kind: number }[],
  addresses: readonly string[],
  createdAt: number,
): EventTemplate {
  const kinds = [...events.map(({ kind }) => String(kind)), ...addresses.map((address) => address.split(':')[0]!)];
  return {
    kind: DELETION,
    created_at: createdAt,
    tags: [
      ...events.map(({ id }) => ['e', id]),
      ...addresses.map((address) => ['a', address]),
      ...[...new Set(kinds)].map((kind) => ['k', kind]),
    ],
    content: '',
  };
}

/**
 * Kind 62 to whichever relay gets it: the key signs one dataset's chunks and nothing else, so nothing of it should be anywhere.
 * Everything of the key up to `createdAt`, deletion requests included, so it is sent after those.
 */
export function buildVanish(createdAt: number): EventTemplate {
  return { kind: VANISH, created_at: createdAt, tags: [['relay', 'ALL_RELAYS']], content: '' };
}
