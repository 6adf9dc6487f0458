import type { Filter, NostrEvent } from '../ports.js';

/** NIP-01: which events a filter selects, what a kind number means for storage, and the order of results. */

export type KindClass = 'regular' | 'replaceable' | 'ephemeral' | 'addressable';

/** What a filter looks at; relays keep this much of an event in memory. */
export type EventHead = Pick<NostrEvent, 'id' | 'pubkey' | 'created_at' | 'kind' | 'tags'>;

export function kindClass(kind: number): KindClass {
  if (kind === 0 || kind === 3 || (kind >= 10_000 && kind < 20_000)) return 'replaceable';
  if (kind >= 20_000 && kind < 30_000) return 'ephemeral';
  if (kind >= 30_000 && kind < 40_000) return 'addressable';
  return 'regular';
}

/** First value of the first tag with this name. */
export function tagValue(event: Pick<NostrEvent, 'tags'>, name: string): string | undefined {
  return event.tags.find((tag) => tag[0] === name)?.[1];
}

/** `kind:pubkey:d` of replaceable (d empty) and addressable events; others have none. */
export function addressOf(event: EventHead): string | undefined {
  switch (kindClass(event.kind)) {
    case 'replaceable':
      return `${event.kind}:${event.pubkey}:`;
    case 'addressable':
      return `${event.kind}:${event.pubkey}:${tagValue(event, 'd') ?? ''}`;
    default:
      return undefined;
  }
}

/** Sorts newest first; equal seconds by lowest id, which is also who stays at an address. */
export function newestFirst(a: EventHead, b: EventHead): number {
  return b.created_at - a.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

type Matcher = (event: EventHead) => boolean;

/** Compiles filters once (lists become sets); an event matches when any filter does. `limit` is not looked at. */
export function matcher(filters: readonly Filter[]): Matcher {
  const each = filters.map(compile);
  return (event) => each.some((matches) => matches(event));
}

function compile(filter: Filter): Matcher {
  const { ids, authors, kinds, since = -Infinity, until = Infinity } = filter;
  const idSet = ids && new Set<string>(ids);
  const authorSet = authors && new Set<string>(authors);
  const kindSet = kinds && new Set(kinds);
  const tagSets = tagQueries(filter).map(([name, values]) => [name, new Set(values)] as const);
  return (event) =>
    (!idSet || idSet.has(event.id)) &&
    (!authorSet || authorSet.has(event.pubkey)) &&
    (!kindSet || kindSet.has(event.kind)) &&
    event.created_at >= since &&
    event.created_at <= until &&
    tagSets.every(([name, wanted]) =>
      event.tags.some((tag) => tag[0] === name && tag[1] !== undefined && wanted.has(tag[1])),
    );
}

/** The `#x` parts of a filter as (letter, values); a condition is there even when its list is empty (matches nothing). */
export function tagQueries(filter: Filter): readonly (readonly [string, readonly string[]])[] {
  const queries: [string, readonly string[]][] = [];
  for (const key of Object.keys(filter)) {
    if (!key.startsWith('#')) continue;
    const values = filter[key as `#${string}`];
    if (values) queries.push([key.slice(1), values]);
  }
  return queries;
}
