import { hex, sha256, type Bytes } from '../hash.js';
import { contentBuffer, keptHash } from '../large-event.js';
import type { NostrEvent } from '../ports.js';
import { verifyHash } from '../schnorr.js';

/**
 * JSON and id of an event without the cost of JSON.stringify on a chunk's content (64 KB: 90 of 250 microseconds that
 * everything else takes). Gives the same bytes as serialiseEvent of schnorr.ts.
 */

/** Below this the plain way is as fast. */
export const LONG_CONTENT = 1_024;

/**
 * A JSON text without a backslash holds no escaped character; every string in it is then its own JSON between quotes.
 * (JSON.stringify escapes quotes, backslashes, control characters and lone surrogates; JSON has no other way to hold them.)
 */
export function isUnescaped(jsonText: string): boolean {
  return !jsonText.includes('\\');
}

/** @param isPlain  the event was read from a text that `isUnescaped` */
export function eventTexts(
  event: NostrEvent,
  isPlain: boolean,
): { readonly serialised: string; readonly json: string } {
  const { id, pubkey, created_at, kind, sig } = event;
  const tags = JSON.stringify(event.tags);
  const content = isPlain ? `"${event.content}"` : JSON.stringify(event.content);
  return {
    serialised: `[0,"${pubkey}",${created_at},${kind},${tags},${content}]`,
    json: `{"id":"${id}","pubkey":"${pubkey}","created_at":${created_at},"kind":${kind},"tags":${tags},"content":${content},"sig":"${sig}"}`,
  };
}

/** JSON of an event of our own making. */
export function eventJson(event: NostrEvent): string {
  return eventTexts(event, isLongBase64(event.content)).json;
}

/** @returns the hash of the event, or undefined when its id is another */
export function checkedHash(event: NostrEvent, isPlain: boolean): Bytes | undefined {
  const hash = keptHash(event) ?? sha256(eventTexts(event, isPlain).serialised);
  return hex(hash) === event.id ? hash : undefined;
}

export function isAuthentic(event: NostrEvent, isPlain: boolean): boolean {
  const hash = checkedHash(event, isPlain);
  return hash !== undefined && verifyHash(hash, event.sig, event.pubkey);
}

let scratch = Buffer.alloc(0);

/**
 * A text of base64 and no other character, which stands for itself in JSON. The decoder skips what is not base64, so a
 * full-length result proves the alphabet; a regular expression takes thrice as long.
 */
export function isLongBase64(content: string): boolean {
  const bytes = decodedLength(content);
  if (bytes === undefined) return false;
  if (scratch.length < bytes) scratch = Buffer.alloc(bytes);
  return scratch.write(content, 0, bytes, 'base64') === bytes;
}

/** What a long text is the one canonical base64 of (RFC 4648, 4): not of the URL's alphabet, and without stray low bits. */
export function decodeLongBase64(content: string): Buffer | undefined {
  const bytes = decodedLength(content);
  if (bytes === undefined || content.includes('-') || content.includes('_')) return undefined;
  const decoded = contentBuffer(bytes);
  if (decoded.write(content, 0, bytes, 'base64') !== bytes) return undefined;
  const lastGroup = bytes - (bytes % 3 || 3);
  return content.endsWith(decoded.toString('base64', lastGroup)) ? decoded : undefined;
}

function decodedLength(content: string): number | undefined {
  if (content.length < LONG_CONTENT || content.length % 4 !== 0) return undefined;
  const padding = content.endsWith('==') ? 2 : content.endsWith('=') ? 1 : 0;
  return (content.length / 4) * 3 - padding;
}
