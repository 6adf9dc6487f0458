import { Refusal } from './admission.js';
import type { Usage } from './event-index.js';
import type { EventHead } from './filter.js';
import { isGiftWrap } from './account.js';
import { DELETION, VANISH } from './kinds.js';

/** Whose events the embedded relay takes, how many of them, and who may read. */

export interface Access {
  /** Keys that may write; undefined: every key. */
  readonly allowed: ReadonlySet<string> | undefined;
  /** Those keys alone may read, too. */
  readonly isPrivate: boolean;
  /** Of a key, and of what is addressed to it in gift wraps; Infinity: no quota. */
  readonly quota: Usage;
}

export const OPEN: Access = { allowed: undefined, isPrivate: false, quota: { bytes: Infinity, events: Infinity } };

/**
 * Whoever logged in with a key of the list may write for any other: datasets are signed by keys that are used once.
 * Nobody logs in with the one-time key of a gift wrap: it may come from anyone to a key of the list.
 *
 * @param authed  keys that logged in on this connection
 * @param frees   is it a request that takes out events of its author? Those are honoured whoever it is (NIP-62)
 * @throws Refusal
 */
export function checkWriter(event: EventHead, authed: ReadonlySet<string>, { allowed }: Access, frees: () => boolean) {
  if (allowed === undefined || allowed.has(event.pubkey) || isOneOf(authed, allowed)) return;
  if (isGiftWrap(event) && event.tags.some(([name, value = '']) => name === 'p' && allowed.has(value))) return;
  if ((event.kind === DELETION || event.kind === VANISH) && frees()) return;
  throw new Refusal(
    authed.size === 0
      ? 'auth-required: log in with a key that may write here'
      : 'restricted: neither this key nor the one that logged in may write here',
  );
}

/** @throws Refusal */
export function checkReader(authed: ReadonlySet<string>, { allowed, isPrivate }: Access): void {
  if (!isPrivate || allowed === undefined || isOneOf(authed, allowed)) return;
  throw new Refusal(
    authed.size === 0
      ? 'auth-required: log in with a key that may read here'
      : 'restricted: the key that logged in may not read here',
  );
}

/**
 * @param bytes  of the event
 * @param used   by what counts with it, a version that it replaces left out
 * @param frees  is it a request that takes out events of its author? Otherwise nobody could make room
 * @throws Refusal
 */
export function checkQuota(bytes: number, used: Usage, { quota }: Access, frees: () => boolean): void {
  const isOver = used.bytes + bytes > quota.bytes ? `${quota.bytes} bytes` : undefined;
  const over = isOver ?? (used.events + 1 > quota.events ? `${quota.events} events` : undefined);
  if (over !== undefined && !frees()) throw new Refusal(`blocked: quota of ${over} per key is used up`);
}

function isOneOf(keys: ReadonlySet<string>, allowed: ReadonlySet<string>): boolean {
  for (const key of keys) if (allowed.has(key)) return true;
  return false;
}
