import { NmktError } from '../errors.js';
import { hex, sha256Hex, type Bytes, type EventId, type Sha256 } from '../hash.js';
import type { NostrEvent } from '../ports.js';
import {
  CHUNK_BYTES,
  SEAL_OVERHEAD,
  fromBase64,
  openChunk,
  padToMultiple,
  sealChunk,
  toBase64,
  unpad,
  type ChunkPlace,
} from './chunk.js';
import { blobKeys } from './keys.js';
import { leafHash, merkleRoot } from './merkle.js';
import { pack, unpack } from './pack.js';
import { INLINE_BYTES, RECORD_BYTES, admit, type BlobPointer } from './pointer.js';
import { blobSealer } from './sealer.js';

export { parseBlobPointer, type BlobPointer } from './pointer.js';

/** Inline plaintext is padded to a multiple of this, so that the length tells little. */
const INLINE_BLOCK_BYTES = 1024;

export interface SealOptions {
  /** 32 bytes; whoever holds it can open the blob. */
  readonly key: Bytes;
  /** Signs the chunk events; apart from any identity, and never derived from `key`. */
  readonly uploadSecret: Bytes;
  /** 32 bytes: the dataset's, or the hash of a label. */
  readonly context: Bytes;
  /** Shard number, or 0. */
  readonly part: number;
  /** Unix seconds in the past; chunk timestamps go down from here, one second each. */
  readonly baseTimeSec: number;
  /** Unix seconds; relays may forget the chunks then (NIP-40). */
  readonly expirationSec: number;
  /** `never`: full chunks even for small content, so that sizes tell nothing. */
  readonly inline: 'allow' | 'never';
}

export interface SealedBlob {
  readonly pointer: BlobPointer;
  /** Data chunks, then index chunks. Publish all of them before the pointer. */
  readonly events: readonly NostrEvent[];
  /** Base64 of the sealed bytes; then there are no events. */
  readonly inline?: string;
}

/**
 * Compresses, cuts, encrypts and signs. Equal arguments give equal bytes, ids and signatures (with one release of
 * brotli), so repeating an upload stores nothing twice.
 *
 * @throws NmktError `bad-key`; RangeError for a context, part or time that is none
 */
export function sealBlob(plain: Bytes, options: SealOptions): SealedBlob {
  const { key, context, part } = options;
  requireTimes(options);
  const keys = blobKeys(key);
  const packed = pack(plain);
  const about = { sha256: sha256Hex(plain), size: plain.length, packed: packed.length, commit: keys.commit };

  if (options.inline === 'allow' && packed.length <= INLINE_BYTES) {
    const sealed = sealChunk(padToMultiple(packed, INLINE_BLOCK_BYTES), keys.data, inlinePlace(context, part));
    const root = hex(leafHash(sealed)) as Sha256;
    return { pointer: { ...about, chunks: 0, root, ids: [] }, events: [], inline: toBase64(sealed) };
  }

  const sealer = blobSealer(packed.length, options);
  const { chunks, indices } = sealer;
  const data = Array.from({ length: chunks }, (_, at) =>
    sealer.sign(sealer.data(packed.subarray(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES), at)),
  );
  const index = Array.from({ length: indices }, (_, at) => sealer.sign(sealer.index(at)));
  return { pointer: { ...about, ...sealer.pointer() }, events: [...data, ...index] };
}

function requireTimes({ baseTimeSec, expirationSec }: SealOptions): void {
  if (Number.isSafeInteger(baseTimeSec) && Number.isSafeInteger(expirationSec) && expirationSec > baseTimeSec) return;
  throw new RangeError(`chunks dated ${baseTimeSec} cannot expire at ${expirationSec}`);
}

export interface IndexRecord {
  readonly id: EventId;
  readonly leaf: Bytes;
}

/**
 * @param padded  the opened index chunks, concatenated
 * @throws NmktError `bad-blob` for stray bytes or a repeated id, `hash-mismatch` when the leaves do not give the root
 */
export function decodeIndex(padded: Bytes, pointer: BlobPointer): readonly IndexRecord[] {
  const bytes = unpad(padded, pointer.chunks * RECORD_BYTES);
  const records = Array.from({ length: pointer.chunks }, (_, at) => {
    const record = bytes.subarray(at * RECORD_BYTES, (at + 1) * RECORD_BYTES);
    return { id: hex(record.subarray(0, 32)) as EventId, leaf: record.subarray(32) };
  });
  if (new Set(records.map(({ id }) => id)).size !== records.length) {
    throw new NmktError('bad-blob', 'the index of a blob names one chunk twice', {
      remedy: 'ask the sender to publish it again with a correct nmkt',
      expected: `${records.length} different event ids`,
      got: 'a repeated one',
    });
  }
  requireHash('Merkle root of the index', pointer.root, hex(merkleRoot(records.map(({ leaf }) => leaf))));
  return records;
}

function inlinePlace(context: Bytes, part: number): ChunkPlace {
  return { context, part, index: 0, count: 1, purpose: 'inline' };
}

/** @throws NmktError `wrong-key`, `too-large`, `hash-mismatch`, `bad-blob` */
export function openInline(
  pointer: BlobPointer,
  inline: string,
  key: Bytes,
  context: Bytes,
  part: number,
  maxBytes: number,
): Bytes {
  const keys = admit(pointer, key, maxBytes);
  if (pointer.chunks !== 0) {
    throw new NmktError('bad-blob', 'sealed bytes came with a pointer to chunks', {
      remedy: 'ask the sender to publish it again with a correct nmkt',
      expected: 'a pointer with 0 chunks',
      got: `${pointer.chunks}`,
    });
  }
  const paddedLength = Math.ceil(pointer.packed / INLINE_BLOCK_BYTES) * INLINE_BLOCK_BYTES;
  const sealed = fromBase64(inline, paddedLength + SEAL_OVERHEAD);
  requireHash('leaf of an inline blob', pointer.root, hex(leafHash(sealed)));
  return openPacked(openChunk(sealed, keys.data, inlinePlace(context, part)), pointer, maxBytes);
}

/**
 * Last step of every path: padding, decompression, hash.
 *
 * @param padded  opened chunks in order, with their zeros
 * @throws NmktError `bad-blob`, `hash-mismatch`
 */
export function openPacked(padded: Bytes, pointer: BlobPointer, maxBytes: number): Bytes {
  const plain = unpack(unpad(padded, pointer.packed), pointer.size, maxBytes);
  requireHash('content of a blob', pointer.sha256, sha256Hex(plain));
  return plain;
}

/** @throws NmktError `hash-mismatch` */
export function requireHash(what: string, expected: string, got: string): void {
  if (expected === got) return;
  throw new NmktError('hash-mismatch', `the ${what} does not match its hash`, {
    remedy: 'fetch it from another relay; if that gives the same, its sender published something else',
    expected: `sha256 ${expected}`,
    got,
  });
}
