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
import { leafHash } from '../merkle.js';
import { pack, unpack } from './pack.js';
import { INLINE_BYTES, RECORD_BYTES, admit, rootOfRecords, type BlobPointer } from './pointer.js';
import { blobSealer } from './sealer.js';

export { parseBlobPointer, type BlobPointer } from './pointer.js';

/** Inline plaintext is padded to a multiple of this, so that the length tells little. */
export const INLINE_BLOCK_BYTES = 1024;

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

/** A view of the index: as strings and arrays of their own, 100,000 of them take 50 MB. */
export class IndexRecord {
  readonly #bytes: Bytes;
  readonly #at: number;

  /** @param at  where event id (32) and leaf (32) lie in `bytes` */
  constructor(bytes: Bytes, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get id(): EventId {
    return hex(this.#bytes.subarray(this.#at, this.#at + 32)) as EventId;
  }

  get leaf(): Bytes {
    return this.#bytes.subarray(this.#at + 32, this.#at + RECORD_BYTES);
  }
}

/**
 * @param padded  the opened index chunks, concatenated
 * @throws NmktError `bad-blob` for stray bytes or a repeated id, `hash-mismatch` when the leaves do not give the root
 */
export function decodeIndex(padded: Bytes, pointer: BlobPointer): readonly IndexRecord[] {
  const bytes = Buffer.alloc(pointer.chunks * RECORD_BYTES);
  bytes.set(unpad(padded, bytes.length)); // what is missing is zero, and does not give the root
  if (hasRepeatedId(bytes, pointer.chunks)) {
    throw new NmktError('bad-blob', 'the index of a blob names one chunk twice', {
      remedy: 'ask the sender to publish it again with a correct nmkt',
      expected: `${pointer.chunks} different event ids`,
      got: 'a repeated one',
    });
  }
  requireHash('Merkle root of the index', pointer.root, rootOfRecords(bytes));
  return Array.from({ length: pointer.chunks }, (_, at) => new IndexRecord(bytes, at * RECORD_BYTES));
}

function hasRepeatedId(records: Buffer, count: number): boolean {
  const compare = (a: number, b: number): number =>
    records.compare(records, b * RECORD_BYTES, b * RECORD_BYTES + 32, a * RECORD_BYTES, a * RECORD_BYTES + 32);
  const order = Uint32Array.from({ length: count }, (_, at) => at).sort(compare);
  return order.some((at, rank) => rank > 0 && compare(order[rank - 1]!, at) === 0);
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
