import { z } from 'zod';
import { sha256Hex as hashHex, type Bytes, type Sha256 } from '../hash.js';
import { NmktError } from '../errors.js';
import { parseJson } from './json.js';
import { blobPointer } from './pointer.js';
import { int, pubkey } from './scalars.js';

/** What finds a dataset's chunks: the upload key and each shard's pointer. Travels in grants only; holds no data key. */
export const locator = z.object({
  upload: pubkey,
  shards: z.array(blobPointer).min(1).max(1_024),
  /** How many of the relays hold each chunk; absent: all do. */
  copies: int(1, 30).optional(),
});
export type Locator = z.output<typeof locator>;

export function encodeLocator(value: Locator): string {
  return JSON.stringify(z.encode(locator, value));
}

/** Blinded, so that nobody can confirm a guess of chunk ids: SHA-256("nmkt/1/locator" || blind32 || bytes). */
export function locatorHash(encoded: string, blind: Bytes): Sha256 {
  return hashHex('nmkt/1/locator', blind, encoded);
}

/** @throws NmktError `hash-mismatch` when it is not the one the snapshot promised, `bad-event` when malformed */
export function openLocator(encoded: string, blind: Bytes, promised: Sha256): Locator {
  const got = locatorHash(encoded, blind);
  if (got !== promised)
    throw new NmktError('hash-mismatch', 'the locator in the grant is not the one the dataset snapshot promised', {
      expected: `sha256 ${promised}`,
      got,
      remedy: 'refuse the grant; the customer must send the right one',
    });
  const parsed = z.safeDecode(locator, parseJson(encoded) as z.input<typeof locator>);
  if (parsed.success) return parsed.data;
  throw new NmktError('bad-event', 'the locator in the grant is malformed', {
    expected: parsed.error.issues[0]?.message ?? 'a locator',
    got: encoded.slice(0, 60),
    remedy: 'refuse the grant; the customer must send a valid one',
  });
}
