import type { EventHead } from './filter.js';
import { EPHEMERAL_GIFT_WRAP, GIFT_WRAP } from './kinds.js';

/**
 * On whose account an event is kept: its author's. A gift wrap's author is a key that is used once; it counts for the
 * recipient, apart from what that key wrote itself, so that nobody can take that key's room away.
 */
export function accountOf(event: EventHead): string {
  const recipient = isGiftWrap(event) ? event.tags.find(([name]) => name === 'p')?.[1] : undefined;
  return recipient === undefined ? event.pubkey : `to ${recipient}`;
}

export function isGiftWrap({ kind }: Pick<EventHead, 'kind'>): boolean {
  return kind === GIFT_WRAP || kind === EPHEMERAL_GIFT_WRAP;
}
