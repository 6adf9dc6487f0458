import { contentChars } from '../large-event.js';
import type { Filter, NostrEvent } from '../ports.js';
import { parseSignedEvent } from './event-shape.js';
import { matcher } from './filter.js';
import type { RelayLink } from './link.js';
import { watchSilence } from './silence.js';

/** Everything one relay has for a filter, over as many requests as its limits ask for. */

export interface PagingOptions {
  readonly timeoutMs: number;
  /** Checks an event and takes it; false when it is not authentic. */
  readonly accept: (event: NostrEvent, isPlain: boolean) => boolean;
  /** Pages of chunks: few at once. */
  readonly isBulk?: boolean;
}

/** Relays refuse longer lists or silently cut the answer. */
export const MAX_IDS = 256;
/** No relay is known to cap answers below this; a shorter page is the last one. */
const SMALLEST_CAP = 50;
/** A relay can invent events without end; honest answers to one filter stay far below, and one page below that. */
const MAX_EVENTS = 100_000;
const MAX_CONTENT_CHARS = 1 << 30;
const MAX_PAGE_EVENTS = 20_000;
const MAX_PAGE_CHARS = 1 << 29;

/** @returns true when the relay finished answering all filters */
export async function fetchAll(link: RelayLink, filters: readonly Filter[], options: PagingOptions): Promise<boolean> {
  const answers = await Promise.all(
    splitIds(filters).map((filter) =>
      filter.ids ? fetchIds(link, filter, filter.ids, options) : fetchPages(link, filter, options),
    ),
  );
  return answers.every((isComplete) => isComplete);
}

/** Lists of ids in pieces of MAX_IDS. */
export function splitIds(filters: readonly Filter[]): Filter[] {
  return filters.flatMap((filter) => {
    const { ids } = filter;
    if (!ids || ids.length <= MAX_IDS) return [filter];
    const count = Math.ceil(ids.length / MAX_IDS);
    return Array.from({ length: count }, (_, i) => ({ ...filter, ids: ids.slice(i * MAX_IDS, (i + 1) * MAX_IDS) }));
  });
}

/** Asks again for what is missing until an answer brings nothing: a relay may cap below the number of ids. */
async function fetchIds(
  link: RelayLink,
  filter: Filter,
  ids: readonly string[],
  options: PagingOptions,
): Promise<boolean> {
  const missing = new Set(ids);
  while (missing.size > 0) {
    const { events, isComplete } = await fetchPage(link, { ...filter, ids: [...missing] }, options);
    if (!isComplete) return false;
    for (const { id } of events) missing.delete(id);
    if (events.length === 0 || ids.length - missing.size >= (filter.limit ?? Infinity)) return true;
  }
  return true;
}

/**
 * Pages back by `until`. Equal seconds span pages, so the oldest second is asked for again; a page with nothing new
 * steps over it. (NIP-01 has no way to see more events of one second than the relay's cap.)
 */
async function fetchPages(link: RelayLink, filter: Filter, options: PagingOptions): Promise<boolean> {
  const seen = new Set<string>();
  let chars = 0;
  for (let until = filter.until; seen.size < MAX_EVENTS && chars < MAX_CONTENT_CHARS;) {
    const page = await fetchPage(link, until === undefined ? filter : { ...filter, until }, options);
    if (!page.isComplete) return false;
    const { events } = page;
    const fresh = events.filter(({ id }) => !seen.has(id));
    for (const { id } of fresh) seen.add(id);
    chars += page.chars;
    if (events.length < SMALLEST_CAP || seen.size >= (filter.limit ?? Infinity)) return true;
    const oldest = events.reduce((least, { created_at }) => Math.min(least, created_at), Infinity);
    until = fresh.length > 0 ? oldest : oldest - 1;
    if (until < (filter.since ?? 0)) return true;
  }
  return false;
}

interface Page {
  readonly events: readonly NostrEvent[];
  /** Of their contents. */
  readonly chars: number;
  /** The relay said EOSE. */
  readonly isComplete: boolean;
}

function fetchPage(link: RelayLink, filter: Filter, options: PagingOptions): Promise<Page> {
  const slots = options.isBulk === true ? link.bulkSlots : link.slots;
  return slots.run(() => requestPage(link, filter, options));
}

function requestPage(link: RelayLink, filter: Filter, { timeoutMs, accept }: PagingOptions): Promise<Page> {
  const matches = matcher([filter]);
  const events = new Map<string, NostrEvent>();
  let chars = 0;
  return new Promise((resolve) => {
    const finish = (isComplete: boolean) => {
      watch.stop();
      request.close();
      resolve({ events: [...events.values()], chars, isComplete });
    };
    const watch = watchSilence(link, link.patienceMs(timeoutMs), () => {
      link.noteSilence();
      finish(false);
    });
    const request = link.request([filter], {
      isLive: false,
      onEvent: (event, isPlain) => {
        const length = contentChars(event); // whoever takes it may give its content back
        if (!matches(event) || !accept(event, isPlain)) return;
        watch.touch();
        events.set(event.id, event);
        chars += length;
        if (events.size > MAX_PAGE_EVENTS || chars > MAX_PAGE_CHARS) finish(false);
      },
      onEose: () => finish(true),
      onEnd: () => finish(false),
    });
  });
}

/** The event, when its shape is right. */
export function readEvent(value: unknown): NostrEvent | undefined {
  try {
    return parseSignedEvent(value);
  } catch {
    return undefined;
  }
}
