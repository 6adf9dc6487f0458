import type { NostrEvent } from '../ports.js';
import { hasValidSignature } from '../schnorr.js';
import type { Access } from './access.js';
import { tagValue, type EventHead } from './filter.js';
import { CLIENT_AUTH, VANISH } from './kinds.js';
import type { NowSec } from './store.js';

/** What the embedded relay takes, apart from shape, id and signature. */

export interface RelayLimits {
  /** UTF-8 bytes of an event's canonical JSON. */
  readonly maxEventBytes: number;
  readonly maxTags: number;
  /** Characters of the value of a single-letter (indexed) tag, in events and filters. */
  readonly maxTagValueChars: number;
  readonly maxSubscriptions: number;
  readonly maxSubscriptionIdChars: number;
  readonly maxFilters: number;
  readonly maxFilterValues: number;
  /** Events per filter; also what a filter without a limit gets. */
  readonly maxLimit: number;
  /** Seconds that `created_at` may be ahead. */
  readonly maxFutureSec: number;
  /** Messages of one connection in a second. */
  readonly maxMessagesPerSec: number;
  /** NIP-77: open at once on a connection, and events in each. */
  readonly maxSyncs: number;
  readonly maxSyncEvents: number;
}

/** Answered with a message for people and, by its prefix (NIP-01), for machines. */
export class Refusal extends Error {}

/** Whose rules they are. */
export interface House {
  readonly limits: RelayLimits;
  readonly access: Access;
  readonly nowSec: NowSec;
  /** Is this URL (in NIP-42 and NIP-62 events) one of ours? */
  readonly isOwnUrl: (url: string) => boolean;
}

/** NIP-42: a login is fresh within ten minutes. */
const LOGIN_WINDOW_SEC = 600;

/** @param bytes  of the canonical JSON @throws Refusal */
export function checkLimits(event: EventHead, bytes: number, limits: RelayLimits): void {
  const { maxEventBytes, maxTags, maxTagValueChars } = limits;
  if (bytes > maxEventBytes) throw new Refusal(`invalid: event of ${bytes} bytes, the limit is ${maxEventBytes}`);
  if (event.tags.length > maxTags) throw new Refusal(`invalid: more than ${maxTags} tags`);
  if (event.tags.some(([name, value]) => name?.length === 1 && (value?.length ?? 0) > maxTagValueChars)) {
    throw new Refusal(`invalid: a tag value is longer than ${maxTagValueChars} characters`);
  }
}

/** @param authed  keys that logged in on this connection @throws Refusal */
export function checkPolicy(event: EventHead, authed: ReadonlySet<string>, house: House): void {
  const aheadSec = event.created_at - house.nowSec();
  if (aheadSec > house.limits.maxFutureSec) throw new Refusal(`invalid: created_at is ${aheadSec} s ahead`);
  if (event.kind === CLIENT_AUTH) throw new Refusal('invalid: send kind 22242 with AUTH');
  if (event.tags.some(([name]) => name === '-') && !authed.has(event.pubkey)) {
    throw new Refusal('auth-required: only its author may publish a protected event');
  }
  if (event.kind === VANISH) {
    const relays = event.tags.filter(([name]) => name === 'relay').map(([, url]) => url ?? '');
    const isForUs = relays.some((url) => url === 'ALL_RELAYS' || house.isOwnUrl(url));
    if (!isForUs) throw new Refusal('invalid: the request to vanish names another relay');
  }
}

/** NIP-42. @throws Refusal */
export function checkLogin(event: NostrEvent, challenge: string, house: House): void {
  if (event.kind !== CLIENT_AUTH) throw new Refusal(`invalid: AUTH wants kind ${CLIENT_AUTH}`);
  if (tagValue(event, 'challenge') !== challenge) throw new Refusal('invalid: another challenge');
  // Otherwise a relay in the middle could pass our challenge on to its own visitors.
  if (!house.isOwnUrl(tagValue(event, 'relay') ?? '')) throw new Refusal('invalid: signed for another relay');
  if (Math.abs(event.created_at - house.nowSec()) > LOGIN_WINDOW_SEC) throw new Refusal('invalid: not fresh');
  if (!hasValidSignature(event)) throw new Refusal('invalid: id or signature');
}
