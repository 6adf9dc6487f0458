import { NmktError } from '../errors.js';
import { hex, type Bytes, type EventId, type Sha256 } from '../hash.js';
import { CHUNK_BYTES } from './chunk.js';
import { blobKeys, type BlobKeys } from './keys.js';
import { rootOfLevel } from '../merkle.js';
import { requireWithin } from './pack.js';

/** Packed bytes up to which a blob may travel inside the event that announces it. */
export const INLINE_BYTES = 24_000;
/** An index record: event id (32) || leaf hash (32). */
export const RECORD_BYTES = 64;

/** Merkle root of the leaves in the records of all data chunks. */
export function rootOfRecords(records: Bytes): Sha256 {
  const leaves = new Uint8Array(records.length / 2);
  for (let at = 0; at < records.length; at += RECORD_BYTES)
    leaves.set(records.subarray(at + 32, at + RECORD_BYTES), at / 2);
  return hex(rootOfLevel(leaves)) as Sha256;
}
const MAX_SIZE = 2 ** 40;

/** Where a blob lies and what its bytes must be. Opens nothing without the key. */
export interface BlobPointer {
  /** Of the canonical uncompressed bytes. */
  readonly sha256: Sha256;
  /** Uncompressed bytes. */
  readonly size: number;
  /** Compressed bytes, before padding. */
  readonly packed: number;
  /** Data chunks; 0 when inline. */
  readonly chunks: number;
  /** Merkle root over the leaves of the data chunks; the leaf hash of the sealed bytes when inline. */
  readonly root: Sha256;
  /** Public commitment to the key. */
  readonly commit: Sha256;
  /** Index chunks in order; the chunk itself when there is one; none when inline. */
  readonly ids: readonly EventId[];
}

/** Chunks that hold the index of `chunks` data chunks; one data chunk needs none. */
export function indexChunks(chunks: number): number {
  return chunks <= 1 ? 0 : Math.ceil((chunks * RECORD_BYTES) / CHUNK_BYTES);
}

/**
 * Strict: every field in range and all of them consistent. Unknown fields are ignored, none are copied.
 *
 * @throws NmktError `bad-blob`
 */
export function parseBlobPointer(value: unknown): BlobPointer {
  if (typeof value !== 'object' || value === null) throw badPointer('an object', typeof value);
  const field = (name: keyof BlobPointer): unknown =>
    Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;

  const size = integer('size', field('size'), 0, MAX_SIZE);
  // Brotli expands by less than 0.1 %: more is padding, sent to waste the reader's bandwidth.
  const packed = integer('packed', field('packed'), 1, Math.floor(size * 1.1) + 1024);
  const needed = Math.ceil(packed / CHUNK_BYTES);
  const chunks = integer('chunks', field('chunks'), packed <= INLINE_BYTES ? 0 : needed, needed);
  return {
    sha256: hex64('sha256', field('sha256')) as Sha256,
    size,
    packed,
    chunks,
    root: hex64('root', field('root')) as Sha256,
    commit: hex64('commit', field('commit')) as Sha256,
    ids: eventIds(field('ids'), chunks === 1 ? 1 : indexChunks(chunks)),
  };
}

function integer(name: string, value: unknown, min: number, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  const got = typeof value === 'number' ? String(value) : typeof value;
  throw badPointer(`${name}: an integer from ${min} to ${max}`, got);
}

function hex64(name: string, value: unknown): string {
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value;
  throw badPointer(`${name}: 64 lowercase hex digits`, describe(value));
}

function eventIds(value: unknown, count: number): readonly EventId[] {
  if (!Array.isArray(value) || value.length !== count) {
    throw badPointer(`ids: ${count} event ids`, Array.isArray(value) ? `${value.length}` : typeof value);
  }
  const ids = value.map((id: unknown) => hex64('ids', id) as EventId);
  if (new Set(ids).size !== count) throw badPointer(`ids: ${count} different event ids`, 'the same one twice');
  return ids;
}

function describe(value: unknown): string {
  return typeof value === 'string' ? `"${value.slice(0, 64)}" (${value.length} characters)` : typeof value;
}

function badPointer(expected: string, got: string): NmktError {
  return new NmktError('bad-blob', 'a blob pointer is malformed', {
    remedy: 'ask its author to publish it again with a correct nmkt',
    expected,
    got,
  });
}

/**
 * Every check that needs no content: the key is the committed one, then the declared sizes.
 *
 * @throws NmktError `bad-blob`, `wrong-key`, `too-large`; nothing was allocated or fetched
 */
export function admit(pointer: BlobPointer, key: Bytes, maxBytes: number): BlobKeys {
  parseBlobPointer(pointer);
  const keys = blobKeys(key);
  if (keys.commit !== pointer.commit) {
    throw new NmktError('wrong-key', 'the key is not the one this blob was sealed with', {
      remedy: 'use the key granted for this very blob, or ask its owner for a new grant',
      expected: `key commitment ${pointer.commit}`,
      got: keys.commit,
    });
  }
  requireWithin(pointer.size, maxBytes); // bounds `packed` and `chunks` too: they are consistent with `size`
  return keys;
}
