import { z } from 'zod';
import { sha256Hex as hashHex, type Bytes, type Sha256 } from '../hash.js';
import { leafHash, merkleProof, merkleRoot, rootAbove } from '../merkle.js';
import { NmktError } from '../errors.js';
import { parseJson } from './json.js';
import { blobPointer, type Pointer } from './pointer.js';
import { bytes32, int, pubkey } from './scalars.js';

const copies = int(1, 30).optional();

/** What finds a dataset's chunks: the upload key and each shard's pointer. Holds no data key. */
export const locator = z.object({
  upload: pubkey,
  shards: z.array(blobPointer).min(1).max(1_024),
  /** How many of the relays hold each chunk; absent: all do. */
  copies,
});
export type Locator = z.output<typeof locator>;

/** Of one shard of many: its pointer, and its place in the Merkle tree over all of them. Travels in grants only. */
export const shardLocator = z.object({ upload: pubkey, shard: blobPointer, copies, path: z.array(bytes32).max(16) });

/** A way to a shard's chunks. */
export interface Located {
  readonly upload: Locator['upload'];
  readonly pointer: Pointer;
  readonly copies?: number | undefined;
}

/** Up to so many shards a grant holds the whole locator; a larger one would not fit into a gift wrap. */
const MAX_WHOLE = 64;

export function encodeLocator(value: Locator): string {
  return JSON.stringify(z.encode(locator, value));
}

/** What a grant carries, by shard: the whole locator, or of many shards the one. */
export function shardLocators(encoded: string): (shard: number) => string {
  const whole = parsed(locator, encoded);
  if (whole.shards.length <= MAX_WHOLE) return () => encoded;
  const { upload, shards, copies: many } = whole;
  const leaves = leavesOf(whole);
  return (shard) => {
    const path = merkleProof(leaves, shard);
    const one = { upload, shard: shards[shard]!, ...(many !== undefined && { copies: many }), path: [...path] };
    return JSON.stringify(z.encode(shardLocator, one));
  };
}

/**
 * Blinded, so that nobody can confirm a guess of chunk ids: SHA-256("nmkt/1/locator" || blind32 || bytes), of more than 64 shards
 * SHA-256("nmkt/1/locator-tree" || blind32 || root).
 */
export function locatorHash(encoded: string, blind: Bytes): Sha256 {
  const whole = z.safeDecode(locator, parseJson(encoded) as z.input<typeof locator>);
  if (!whole.success || whole.data.shards.length <= MAX_WHOLE) return hashHex('nmkt/1/locator', blind, encoded);
  return hashHex('nmkt/1/locator-tree', blind, merkleRoot(leavesOf(whole.data)));
}

const leavesOf = ({ upload, shards, copies: many }: Locator): Bytes[] =>
  shards.map((pointer) => leafOf({ upload, pointer, copies: many }));

/** RFC 6962 leaf over the canonical JSON of what finds the shard. */
function leafOf({ upload, pointer, copies: many }: Located): Bytes {
  const one = { upload, shard: z.encode(blobPointer, pointer), ...(many !== undefined && { copies: many }) };
  return leafHash(Buffer.from(JSON.stringify(one)));
}

/** @throws NmktError `hash-mismatch` when it is not the one the snapshot promised, `bad-event` when malformed */
export function openLocator(encoded: string, blind: Bytes, promised: Sha256): Locator {
  requirePromised(locatorHash(encoded, blind), promised);
  return parsed(locator, encoded);
}

/**
 * The locator of a grant.
 *
 * @param count  shards of the dataset
 * @throws NmktError `hash-mismatch` when it is not in what the snapshot promised, `bad-event` when malformed
 */
export function openShardLocator(
  encoded: string,
  { blind, promised, shard, count }: { blind: Bytes; promised: Sha256; shard: number; count: number },
): Located {
  if (count <= MAX_WHOLE) {
    const { upload, shards, copies: many } = openLocator(encoded, blind, promised);
    const pointer = shards[shard];
    if (pointer === undefined || shards.length !== count) throw malformed(`${count} pointers`, `${shards.length}`);
    return { upload, pointer, copies: many };
  }
  const { upload, shard: pointer, copies: many, path } = parsed(shardLocator, encoded);
  const located = { upload, pointer, copies: many };
  const root = rootAbove(leafOf(located), shard, count, path);
  if (root === null) throw malformed(`the path of shard ${shard} of ${count}`, `${path.length} nodes`);
  requirePromised(hashHex('nmkt/1/locator-tree', blind, root), promised);
  return located;
}

function requirePromised(got: Sha256, promised: Sha256): void {
  if (got === promised) return;
  throw new NmktError('hash-mismatch', 'the locator in the grant is not the one the dataset snapshot promised', {
    expected: `sha256 ${promised}`,
    got,
    remedy: 'refuse the grant; the customer must send the right one',
  });
}

function parsed<T>(schema: z.ZodType<T>, encoded: string): T {
  const result = z.safeDecode(schema, parseJson(encoded));
  if (result.success) return result.data;
  throw malformed(result.error.issues[0]?.message ?? 'a locator', encoded.slice(0, 60));
}

function malformed(expected: string, got: string): NmktError {
  return new NmktError('bad-event', 'the locator in the grant is malformed', {
    expected,
    got,
    remedy: 'refuse the grant; the customer must send a valid one',
  });
}
