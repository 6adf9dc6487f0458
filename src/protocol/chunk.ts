import type { EventTemplate, NostrEvent } from '../ports.js';
import { badEvent } from './envelope.js';
import { KINDS } from './kinds.js';

/** nonce 12 + 48,000 bytes of padded plaintext + tag 16. */
export const SEALED_CHUNK_BYTES = 48_028;
const BASE64_CHARS = Math.ceil(SEALED_CHUNK_BYTES / 3) * 4;
const CANONICAL = /^[A-Za-z0-9+/]+={0,2}$/;

/** Kind 4621: content base64, one expiration tag, nothing that tells whose it is. */
export function buildChunk(sealed: Uint8Array, createdAt: number, expirationSec: number): EventTemplate {
  return {
    ...chunkHead(createdAt, expirationSec),
    content: Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength).toString('base64'),
  };
}

/** All but the content. */
export function chunkHead(createdAt: number, expirationSec: number): Omit<EventTemplate, 'content'> {
  return { kind: KINDS.chunk, created_at: createdAt, tags: [['expiration', String(expirationSec)]] };
}

/** @returns the 48,028 sealed bytes; @throws NmktError `bad-event` before decoding when the length or alphabet is off */
export function parseChunk(event: NostrEvent): Uint8Array {
  if (event.kind !== KINDS.chunk) throw badEvent(event, `kind ${KINDS.chunk}`, `kind ${event.kind}`);
  if (event.content.length !== BASE64_CHARS || !CANONICAL.test(event.content))
    throw badEvent(event, `${BASE64_CHARS} characters of base64`, `${event.content.length} characters`);
  const bytes = new Uint8Array(Buffer.from(event.content, 'base64'));
  if (bytes.length !== SEALED_CHUNK_BYTES) throw badEvent(event, `${SEALED_CHUNK_BYTES} bytes`, `${bytes.length}`);
  // 48,028 bytes leave four unused bits in the last character: one content has one spelling.
  if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') !== event.content)
    throw badEvent(event, 'canonical base64', 'stray low bits');
  return bytes;
}
