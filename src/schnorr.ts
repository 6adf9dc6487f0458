import { fromHex, hex, sha256, utf8, type Bytes, type EventId, type Pubkey } from './hash.js';
import type { EventTemplate, NostrEvent } from './ports.js';
import { provider } from './secp/provider.js';

/**
 * BIP-340 by the fastest implementation that is here (secp/provider.ts).
 * Signing is deterministic (auxiliary randomness of zeros, as BIP-340 allows), so a repeated signature is the same bytes.
 */

const NO_RANDOMNESS = new Uint8Array(32);

/** @param secret 32 bytes in [1, n) */
export function publicKey(secret: Bytes): Pubkey {
  return hex(provider().publicKey(secret)) as Pubkey;
}

export function isValidSecret(secret: Bytes): boolean {
  return secret.length === 32 && provider().isValidSecret(secret);
}

/** @param hash 32 bytes @param secret 32 bytes in [1, n) */
export function signHash(hash: Bytes, secret: Bytes): string {
  if (hash.length !== 32 || secret.length !== 32) throw new RangeError('a hash and a secret key have 32 bytes each');
  return hex(provider().sign(hash, secret, NO_RANDOMNESS));
}

/** Any malformed input is `false`, never an exception. */
export function verifyHash(hash: Bytes, signature: string, pubkey: string): boolean {
  // Checked here for all: native code would read past the end of anything shorter.
  if (hash.length !== 32 || signature.length !== 128 || pubkey.length !== 64) return false;
  const { verify } = provider();
  try {
    return verify(hash, fromHex(pubkey), fromHex(signature));
  } catch {
    return false;
  }
}

/** NIP-01 serialisation: JSON of [0, pubkey, created_at, kind, tags, content] without white space. */
export function serialiseEvent(event: EventTemplate & { readonly pubkey: string }): string {
  return JSON.stringify([0, event.pubkey, event.created_at, event.kind, event.tags, event.content]);
}

export function eventHash(event: EventTemplate & { readonly pubkey: string }): Bytes {
  return sha256(utf8(serialiseEvent(event)));
}

/** Id and signature of the events that were signed in this process, by the object itself: what a relay sends is another one. */
const signedHere = new WeakMap<NostrEvent, string>();

/** @param pubkey  of the secret, where it is known */
export function signEvent(template: EventTemplate, secret: Bytes, pubkey = publicKey(secret)): NostrEvent {
  const { kind, created_at, content } = template;
  const tags = template.tags.map((tag) => [...tag]);
  const hash = eventHash({ kind, created_at, content, tags, pubkey });
  const id = hex(hash) as EventId;
  const event = { id, pubkey, created_at, kind, tags, content, sig: signHash(hash, secret) };
  signedHere.set(event, id + event.sig);
  return event;
}

/** The id is the hash of the content. */
export function hasValidId(event: NostrEvent): boolean {
  return hex(eventHash(event)) === event.id;
}

export function hasValidSignature(event: NostrEvent): boolean {
  const hash = eventHash(event);
  if (hex(hash) !== event.id) return false;
  return signedHere.get(event) === event.id + event.sig || verifyHash(hash, event.sig, event.pubkey);
}
