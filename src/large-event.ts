import type { Bytes } from './hash.js';
import type { NostrEvent } from './ports.js';

/**
 * What is known of an event as bytes and need not be made again. A string of 64 KB lies in the heap, where the collector
 * copies it twice before it lets it be: of an upload's events held for a second, that took a fifth of the time.
 */
const messages = new WeakMap<NostrEvent, Buffer>();
const contents = new WeakMap<NostrEvent, Buffer>();
const hashes = new WeakMap<NostrEvent, Bytes>();

/** @param message  `["EVENT",<the event>]` as it goes to relays; neither may change any more */
export function keepMessage(event: NostrEvent, message: Buffer): void {
  messages.set(event, message);
}

export function keptMessage(event: NostrEvent): Buffer | undefined {
  return messages.get(event);
}

/**
 * An event whose content is made from bytes when somebody asks for it.
 *
 * @param bytes  of which the content is the canonical base64
 * @param hash   of the NIP-01 serialisation, whatever the id says
 */
export function withBinaryContent(head: Omit<NostrEvent, 'content'>, bytes: Buffer, hash: Bytes): NostrEvent {
  const { id, pubkey, created_at, kind, tags, sig } = head;
  const event: NostrEvent = {
    ...{ id, pubkey, created_at, kind, tags },
    get content() {
      return bytes.toString('base64');
    },
    sig,
  };
  contents.set(event, bytes);
  hashes.set(event, hash);
  return event;
}

/** The bytes of which the content is the canonical base64, when they are known. */
export function binaryContent(event: NostrEvent): Buffer | undefined {
  return contents.get(event);
}

/** The hash of the NIP-01 serialisation, when it is known. */
export function keptHash(event: NostrEvent): Bytes | undefined {
  return hashes.get(event);
}

export function contentChars(event: NostrEvent): number {
  const bytes = contents.get(event);
  return bytes === undefined ? event.content.length : Math.ceil(bytes.length / 3) * 4;
}
