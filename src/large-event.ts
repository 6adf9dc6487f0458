import type { Bytes } from './hash.js';
import type { NostrEvent } from './ports.js';

/**
 * What is known of an event as bytes and need not be made again. A string of 64 KB lies in the heap, where the collector
 * copies it twice before it lets it be: of an upload's events held for a second, that took a fifth of the time.
 */
interface Known {
  /** `["EVENT",<the event>]`. */
  readonly message?: Buffer;
  /** Of which the content is the canonical base64; none when it was given back. */
  content?: Buffer | undefined;
  /** Of the NIP-01 serialisation. */
  readonly hash?: Bytes;
}
const known = new WeakMap<NostrEvent, Known>();

/** @param message  `["EVENT",<the event>]` as it goes to relays; neither may change any more */
export function keepMessage(event: NostrEvent, message: Buffer): void {
  known.set(event, { message });
}

export function keptMessage(event: NostrEvent): Buffer | undefined {
  return known.get(event)?.message;
}

/**
 * An event whose content is made from bytes when somebody asks for it.
 *
 * @param content  of which the content is the canonical base64
 * @param hash     of the NIP-01 serialisation, whatever the id says
 */
export function withBinaryContent(head: Omit<NostrEvent, 'content'>, content: Buffer, hash: Bytes): NostrEvent {
  const { id, pubkey, created_at, kind, tags, sig } = head;
  const what: Known = { content, hash };
  const event: NostrEvent = {
    ...{ id, pubkey, created_at, kind, tags },
    get content() {
      if (what.content === undefined) throw new Error(`the content of event ${id} was given back`);
      return what.content.toString('base64');
    },
    sig,
  };
  known.set(event, what);
  return event;
}

/** The bytes of which the content is the canonical base64, when they are known. */
export function binaryContent(event: NostrEvent): Buffer | undefined {
  return known.get(event)?.content;
}

/** The hash of the NIP-01 serialisation, when it is known. */
export function keptHash(event: NostrEvent): Bytes | undefined {
  return known.get(event)?.hash;
}

export function contentChars(event: NostrEvent): number {
  const bytes = binaryContent(event);
  return bytes === undefined ? event.content.length : Math.ceil(bytes.length / 3) * 4;
}

/** Buffers for contents that come by the thousand and are used once. */
const free: Buffer[] = [];
const MAX_FREE = 128;

/** @returns `bytes` of anything */
export function contentBuffer(bytes: number): Buffer {
  return free.at(-1)?.length === bytes ? free.pop()! : Buffer.allocUnsafeSlow(bytes);
}

/** Nobody reads the content of this event any more. */
export function giveContentBack(event: NostrEvent): void {
  const what = known.get(event);
  if (what?.content === undefined) return;
  if (free.length < MAX_FREE) free.push(what.content);
  what.content = undefined;
}
