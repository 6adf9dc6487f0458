import { hex, sha256, type Bytes, type EventId, type Pubkey } from '../hash.js';
import { keepMessage } from '../large-event.js';
import type { NostrEvent } from '../ports.js';
import { chunkHead } from '../protocol/chunk.js';
import { signHash } from '../schnorr.js';
import type { SealedParts } from './chunk.js';

/** A chunk as the message that relays get, written once: hash, signature and sending all read it where it lies. */

export interface UnsignedChunk {
  /** The id as bytes. */
  readonly hash: Bytes;
  /** @param secret  of the key it was written for @returns the event; its message is kept with it */
  sign(secret: Bytes): NostrEvent;
}

const BEFORE_ID = '["EVENT",{"id":"';
const SIGNATURE_CHARS = 128;

/**
 * The event of buildChunk around `["EVENT",...]`, to the byte. Base64 needs no escapes in JSON, and nonce and body end at
 * whole groups of it: the parts are encoded one by one.
 */
export function chunkMessage(
  sealed: SealedParts,
  pubkey: Pubkey,
  createdAt: number,
  expirationSec: number,
): UnsignedChunk {
  const head = chunkHead(createdAt, expirationSec);
  const tags = JSON.stringify(head.tags);
  const between = `","pubkey":"${pubkey}","created_at":${createdAt},"kind":${head.kind},"tags":${tags},"content":"`;
  const contentAt = BEFORE_ID.length + 64 + between.length;
  const contentEnd = contentAt + sealed.reduce((sum, part) => sum + Math.ceil(part.length / 3) * 4, 0);
  const message = Buffer.allocUnsafeSlow(contentEnd + '","sig":"'.length + SIGNATURE_CHARS + '"}]'.length);
  message.write(BEFORE_ID, 'latin1');
  message.write(between, BEFORE_ID.length + 64, 'latin1');
  let at = contentAt;
  for (const part of sealed) at += message.write(part.toString('base64'), at, 'latin1');
  const content = message.subarray(contentAt, contentEnd);
  const hash = sha256(`[0,"${pubkey}",${createdAt},${head.kind},${tags},"`, content, '"]');
  const id = hex(hash) as EventId;
  message.write(id, BEFORE_ID.length, 'latin1');
  return {
    hash,
    sign(secret) {
      const sig = signHash(hash, secret);
      message.write(`","sig":"${sig}"}]`, contentEnd, 'latin1');
      const { kind, created_at, tags: tagList } = head;
      const event: NostrEvent = {
        ...{ id, pubkey, created_at, kind, tags: tagList },
        get content() {
          return content.toString('latin1');
        },
        sig,
      };
      keepMessage(event, message);
      return event;
    },
  };
}
