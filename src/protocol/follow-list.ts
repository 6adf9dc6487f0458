import type { Pubkey } from '../hash.js';
import type { NostrEvent } from '../ports.js';

/** Whom a key follows (kind 3). @see https://github.com/nostr-protocol/nips/blob/master/02.md */
export const FOLLOW_LIST = 3;
/** Further tags are not looked at. */
const MAX_FOLLOWED = 5_000;

/** Each key once; what is no key counts for nothing. */
export function followedKeys({ tags }: Pick<NostrEvent, 'tags'>): ReadonlySet<Pubkey> {
  const keys = tags.slice(0, MAX_FOLLOWED).flatMap(([name, key]) => (name === 'p' && key !== undefined ? [key] : []));
  return new Set(keys.filter((key): key is Pubkey => /^[0-9a-f]{64}$/.test(key)));
}
