import { decode, neventEncode, npubEncode, nsecEncode } from 'nostr-tools/nip19';
import { NmktError } from '../errors.js';
import { fromHex, type Bytes, type EventId, type Pubkey } from '../hash.js';
import { isValidSecret } from '../schnorr.js';

/** What people type for events, people and keys: hex, or NIP-19 with or without the `nostr:` of NIP-21. */

/** A regular event by id, or an addressable one by (kind, author, `d`). Relay hints and author are claims, not facts. */
export type EventReference =
  | { readonly type: 'id'; readonly id: EventId; readonly relays: readonly string[]; readonly author?: Pubkey }
  | {
      readonly type: 'address';
      readonly kind: number;
      readonly author: Pubkey;
      readonly identifier: string;
      readonly relays: readonly string[];
    };

/** @throws NmktError `bad-key` */
export function parseEventReference(text: string): EventReference {
  const expected = 'an event id: 64 hex characters, note1…, nevent1… or naddr1…';
  const bare = strip(text);
  if (isHex64(bare)) return { type: 'id', id: bare.toLowerCase() as EventId, relays: [] };
  const entity = decodeEntity(bare, expected);
  if (entity.type === 'note') return { type: 'id', id: entity.data as EventId, relays: [] };
  if (entity.type === 'nevent') {
    const { id, relays, author } = entity.data;
    return { type: 'id', id: id as EventId, relays: usableHints(relays), ...(author && { author: author as Pubkey }) };
  }
  if (entity.type === 'naddr') {
    const { kind, pubkey, identifier, relays } = entity.data;
    return { type: 'address', kind, author: pubkey as Pubkey, identifier, relays: usableHints(relays) };
  }
  throw malformed(expected, describe(entity.type));
}

/** @throws NmktError `bad-key` */
export function parsePubkey(text: string): Pubkey {
  const expected = 'a person: npub1…, nprofile1… or 64 hex characters';
  const bare = strip(text);
  if (isHex64(bare)) return bare.toLowerCase() as Pubkey;
  const entity = decodeEntity(bare, expected);
  if (entity.type === 'npub') return entity.data as Pubkey;
  if (entity.type === 'nprofile') return entity.data.pubkey as Pubkey;
  throw malformed(expected, describe(entity.type));
}

/**
 * 32 bytes. The text itself never gets into the error.
 * @param origin  the flag, variable or file the text came from
 * @throws NmktError `bad-key`
 */
export function parseSecretKey(text: string, origin: string): Bytes {
  const expected = `a private key (${origin}): nsec1… or 64 hex characters`;
  const bare = strip(text);
  if (isHex64(bare)) return checkedSecret(fromHex(bare), expected);
  const entity = decodeEntity(bare, expected);
  if (entity.type === 'nsec') return checkedSecret(entity.data, expected);
  throw malformed(expected, describe(entity.type));
}

export function formatPubkey(pubkey: Pubkey): string {
  return npubEncode(pubkey);
}

export function formatSecretKey(secret: Bytes): string {
  return nsecEncode(secret);
}

/** nevent with relay hints (three at most: each costs the reader some forty characters). */
export function formatEventId(id: EventId, relays: readonly string[] = [], author?: Pubkey): string {
  return neventEncode({ id, relays: relays.slice(0, 3), ...(author && { author }) });
}

function strip(text: string): string {
  return text.trim().replace(/^nostr:/i, '');
}

function isHex64(text: string): boolean {
  return /^[0-9a-f]{64}$/i.test(text);
}

/** NIP-19 recommends at most 5000 characters. */
function decodeEntity(text: string, expected: string): ReturnType<typeof decode> {
  if (text.length > 5000) throw malformed(expected, `${text.length} characters`);
  try {
    // Bech32 is one case or the other, never mixed (BIP-173).
    const entity = decode(text === text.toUpperCase() ? text.toLowerCase() : text);
    // The library takes an npub, note or nsec of any length.
    if (!has32Bytes(entity)) throw new RangeError('not 32 bytes');
    return entity;
  } catch {
    const prefix = /^(n[a-z]+)1/i.exec(text)?.[1];
    throw malformed(expected, prefix ? `${prefix}1… with a wrong checksum or length` : `${text.length} characters`);
  }
}

function has32Bytes({ type, data }: ReturnType<typeof decode>): boolean {
  if (type === 'nsec') return data.length === 32;
  if (type === 'npub' || type === 'note') return isHex64(data);
  if (type === 'nevent') return isHex64(data.id) && (data.author === undefined || isHex64(data.author));
  return isHex64(data.pubkey);
}

function checkedSecret(secret: Bytes, expected: string): Bytes {
  if (isValidSecret(secret)) return secret;
  throw malformed(expected, '32 bytes that are no private key of secp256k1');
}

/** Hints come from strangers: a few, and only URLs of relays. */
function usableHints(relays: readonly string[] | undefined): readonly string[] {
  return (relays ?? []).filter((url) => url.length <= 256 && /^wss?:\/\/[^\s/]+/.test(url)).slice(0, 8);
}

/** Names the kind of thing only: it may be a private key in the wrong place. */
function describe(type: string): string {
  return type === 'nsec' ? 'a private key (nsec1…)' : `${type}1…`;
}

function malformed(expected: string, got: string): NmktError {
  const [what = ''] = expected.split(':');
  return new NmktError('bad-key', `that is not ${what}`, { remedy: 'copy the whole identifier again', expected, got });
}
