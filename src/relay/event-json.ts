import type { NostrEvent } from '../ports.js';
import { serialiseEvent } from '../schnorr.js';

/**
 * The canonical JSON of an event next to the serialisation its id is the hash of. Both hold the same long content;
 * it is escaped once and cut out of the first for the second (a chunk's content is 64 KB).
 */
export function eventJson(event: NostrEvent): { readonly serialised: string; readonly json: string } {
  const serialised = serialiseEvent(event);
  const tags = JSON.stringify(event.tags);
  const middle = `"pubkey":"${event.pubkey}","created_at":${event.created_at},"kind":${event.kind},"tags":${tags}`;
  const contentAt = `[0,"${event.pubkey}",${event.created_at},${event.kind},${tags},`.length;
  const content = serialised.slice(contentAt, -1);
  return { serialised, json: `{"id":"${event.id}",${middle},"content":${content},"sig":"${event.sig}"}` };
}
