import { setTimeout } from 'node:timers/promises';
import { isNmktError } from '../errors.js';
import { keptMessage } from '../large-event.js';
import type { Clock, FetchResult, Filter, Network, NostrEvent, PublishOutcome, Relays, Signer } from '../ports.js';
import type { Subscription, TransferOptions } from '../ports.js';
import { checkedHash, eventJson, isAuthentic } from './event-json.js';
import { matcher, newestFirst } from './filter.js';
import { RelayLink } from './link.js';
import { fetchAll, splitIds } from './paging.js';
import { checkForeignUrl, normaliseRelayUrl } from './relay-url.js';
import type { Outcome } from './sent.js';
import { MAX_FRAME_BYTES } from './socket.js';

export { checkRelayUrl } from './relay-url.js';

export interface PoolOptions {
  /** Answers NIP-42 challenges; relays then know who connects. */
  readonly signer?: Signer;
  readonly clock?: Clock;
  /** Decides which URLs beyond `urls` (recipients' inbox relays) may be connected to; default `bitcoin`, the strictest. */
  readonly network?: Network;
  /** Silence after which a relay counts as unreachable; default 10,000. */
  readonly timeoutMs?: number;
  /** Id to the signature that verified: pools of one process may share what they checked. */
  readonly verified?: Map<string, string>;
}

/** Events whose signature was checked before are not checked again. */
const MAX_VERIFIED = 20_000;
/** Ids a subscription remembers in order to deliver each event once. */
const MAX_SEEN = 100_000;
/** Connections to one relay, and the round trip from which on more than one is of use. */
const MAX_SOCKETS = 4;
const FAR_MS = 10;
/** Chunks in flight on one connection before another is opened. */
const BULK_PER_SOCKET = 32;
/** Relays that others named, with a connection at a time. */
const MAX_FOREIGN = 64;
/** Fewer stored events than this and no relay has cut its answer. */
const SMALLEST_CAP = 50;

/**
 * Relays over WebSockets, one connection each, made on first use.
 *
 * @param urls  already checked (checkRelayUrl): they are the user's own settings
 */
export function connectRelays(urls: readonly string[], options: PoolOptions = {}): Relays {
  return new RelayPool(urls, options);
}

class RelayPool implements Relays {
  readonly urls: readonly string[];
  readonly #options: PoolOptions;
  readonly #timeoutMs: number;
  /** By URL. */
  readonly #links = new Map<string, RelayLink>();
  /**
   * The connections that share the load of transfers. Chunks are signed by keys of their own: here nobody logs in unless the relay
   * demands it, so that it does not learn for nothing whose they are.
   */
  readonly #bulkLinks = new Map<string, readonly RelayLink[]>();
  readonly #subscriptions = new Set<Subscription>();
  /** Id to the signature that verified. */
  readonly #verified: Map<string, string>;
  #isClosed = false;

  constructor(urls: readonly string[], options: PoolOptions) {
    this.urls = [...new Set(urls.map(normaliseRelayUrl))];
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#verified = options.verified ?? new Map<string, string>();
  }

  async publish(
    event: NostrEvent,
    relays = this.urls,
    { isBulk = false }: TransferOptions = {},
  ): Promise<readonly PublishOutcome[]> {
    const frame = keptMessage(event) ?? `["EVENT",${eventJson(event)}]`;
    return Promise.all(
      relays.map(async (relay) => ({ relay, ...(await this.#publishTo(relay, event.id, frame, isBulk)) })),
    );
  }

  async #publishTo(relay: string, id: string, frame: Buffer | string, isBulk: boolean): Promise<Outcome> {
    if (frame.length > MAX_FRAME_BYTES) {
      return { state: 'refused', message: `invalid: ${frame.length} characters, the limit is ${MAX_FRAME_BYTES}` };
    }
    try {
      const link = isBulk ? this.#bulkLink(relay, ({ publishing }) => publishing / BULK_PER_SOCKET) : this.#link(relay);
      return await link.publish(id, frame, isBulk);
    } catch (error) {
      if (isNmktError(error)) return { state: 'refused', message: error.message };
      throw error;
    }
  }

  async fetch(
    filters: readonly Filter[],
    options: {
      readonly timeoutMs?: number;
      readonly trustIds?: boolean;
      readonly relays?: readonly string[];
      readonly onEvent?: (event: NostrEvent) => void;
    } & TransferOptions = {},
  ): Promise<FetchResult> {
    const { timeoutMs = this.#timeoutMs, trustIds = false, relays = this.urls, isBulk = false } = options;
    const seen = new Set<string>();
    const events: NostrEvent[] = [];
    const take = options.onEvent ?? ((event: NostrEvent) => void events.push(event));
    let failure: Error | undefined;
    const accept = (event: NostrEvent, isPlain: boolean) => {
      if (seen.has(event.id)) return true;
      if (!(trustIds ? checkedHash(event, isPlain) : this.#isAuthentic(event, isPlain))) return false;
      seen.add(event.id);
      try {
        take(event);
      } catch (error) {
        failure ??= error instanceof Error ? error : new Error(String(error));
      }
      return true;
    };
    const finished = await Promise.all(
      relays.map(async (relay) => {
        const link = this.#linkOrNone(relay, isBulk);
        return link !== undefined && fetchAll(link, filters, { timeoutMs, accept, isBulk });
      }),
    );
    if (failure !== undefined) throw failure;
    return {
      events: applyLimits(filters, events),
      answered: relays.filter((_, i) => finished[i]),
      silent: relays.filter((_, i) => !finished[i]),
    };
  }

  subscribe(filters: readonly Filter[], onEvent: (event: NostrEvent) => void): Subscription {
    const seen = new Set<string>();
    const matches = matcher(filters);
    let isOpen = true;
    const accept = (event: NostrEvent, isPlain: boolean) => {
      if (!isOpen) return false;
      if (seen.has(event.id)) return true;
      if (!this.#isAuthentic(event, isPlain)) return false;
      remember(seen, event.id);
      onEvent(event);
      return true;
    };
    const requests = this.urls.map((url) => {
      const link = this.#link(url);
      let stored = 0;
      return link.request(splitIds(filters), {
        isLive: true,
        onEvent: (event, isPlain) => {
          if (matches(event) && accept(event, isPlain)) stored++;
        },
        onEose: () => {
          // The relay may have cut its answer: get the rest in pages.
          if (stored >= SMALLEST_CAP) void fetchAll(link, filters, { timeoutMs: this.#timeoutMs, accept });
          stored = 0;
        },
        onEnd: () => {},
      });
    });
    const subscription = {
      close: () => {
        isOpen = false;
        for (const request of requests) request.close();
        this.#subscriptions.delete(subscription);
      },
    };
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const subscription of [...this.#subscriptions]) subscription.close();
    await Promise.all([...this.#links.values(), ...[...this.#bulkLinks.values()].flat()].map((link) => link.close()));
  }

  /** @throws NmktError `bad-settings` for a URL that may not be connected to */
  #urlOf(relay: string): string {
    const isOwn = this.urls.includes(relay);
    return isOwn ? relay : checkForeignUrl(relay, this.#options.network ?? 'bitcoin', this.urls);
  }

  /** @throws what `#urlOf` throws */
  #link(relay: string): RelayLink {
    const url = this.#urlOf(relay);
    const known = this.#links.get(url);
    if (known !== undefined) return known;
    if (!this.urls.includes(url)) this.#makeRoom();
    const link = this.#open(url, false);
    this.#links.set(url, link);
    return link;
  }

  /** Strangers name relays: the one that was named first makes room for the next. */
  #makeRoom(): void {
    const foreign = [...this.#links].filter(([url]) => !this.urls.includes(url));
    const [url, link] = foreign[0] ?? [];
    if (foreign.length < MAX_FOREIGN || url === undefined) return;
    this.#links.delete(url);
    void link?.close();
  }

  #open(url: string, logsInOnDemand: boolean): RelayLink {
    const { signer, clock = systemClock } = this.#options;
    const link = new RelayLink(url, { signer, logsInOnDemand, clock, timeoutMs: this.#timeoutMs });
    // A closed link answers at once that nobody is there.
    if (this.#isClosed) void link.close();
    return link;
  }

  /**
   * The connection with the least to do; one more when all are full and far away, where the window of one TCP connection,
   * not the processor, is the limit. @param load  1 is full
   */
  #bulkLink(relay: string, load: (link: RelayLink) => number): RelayLink {
    const url = this.#urlOf(relay);
    const links = this.#bulkLinks.get(url) ?? [];
    const least = links.reduce<RelayLink | undefined>((a, b) => (a && load(a) <= load(b) ? a : b), undefined);
    const rttMs = links[0]?.rttMs ?? Infinity;
    const isFar = rttMs !== Infinity && rttMs >= FAR_MS;
    if (least !== undefined && !(load(least) >= 1 && isFar && links.length < MAX_SOCKETS)) return least;
    const link = this.#open(url, true);
    this.#bulkLinks.set(url, [...links, link]);
    return link;
  }

  #linkOrNone(relay: string, isBulk = false): RelayLink | undefined {
    const bulkLoad = ({ bulkSlots }: RelayLink) => (bulkSlots.isFull ? 1 : 0) + bulkSlots.waiting;
    try {
      return isBulk ? this.#bulkLink(relay, bulkLoad) : this.#link(relay);
    } catch (error) {
      if (isNmktError(error)) return undefined;
      throw error;
    }
  }

  #isAuthentic(event: NostrEvent, isPlain: boolean): boolean {
    if (this.#verified.get(event.id) === event.sig) return checkedHash(event, isPlain) !== undefined;
    if (!isAuthentic(event, isPlain)) return false;
    if (this.#verified.size >= MAX_VERIFIED) this.#verified.clear();
    this.#verified.set(event.id, event.sig);
    return true;
  }
}

/** Several relays together answer more than a filter's `limit`: keep the newest of each filter. Newest first. */
function applyLimits(filters: readonly Filter[], events: NostrEvent[]): NostrEvent[] {
  const sorted = events.sort(newestFirst);
  if (filters.every(({ limit }) => limit === undefined)) return sorted;
  const kept = new Set(filters.flatMap((filter) => sorted.filter(matcher([filter])).slice(0, filter.limit)));
  return sorted.filter((event) => kept.has(event));
}

/** Forgets the oldest half when full. */
function remember(seen: Set<string>, id: string): void {
  if (seen.size >= MAX_SEEN) {
    for (const old of [...seen].slice(0, MAX_SEEN / 2)) seen.delete(old);
  }
  seen.add(id);
}

const systemClock: Clock = {
  nowSec: () => Math.floor(Date.now() / 1000),
  nowMs: () => Date.now(),
  wait: (ms, signal) => setTimeout(ms, undefined, { signal }).catch(() => undefined),
};
