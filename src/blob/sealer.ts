import { hex, type Bytes, type EventId } from '../hash.js';
import type { NostrEvent } from '../ports.js';
import { publicKey } from '../schnorr.js';
import type { SealOptions } from './blob.js';
import { chunkMessage, type UnsignedChunk } from './chunk-message.js';
import { CHUNK_BYTES, chunkTimes, padToMultiple, sealParts, type SealedParts } from './chunk.js';
import { blobKeys } from './keys.js';
import { leafHash } from '../merkle.js';
import { RECORD_BYTES, indexChunks, rootOfRecords, type BlobPointer } from './pointer.js';

/** Makes the chunk events of one blob, one at a time and in any order, and remembers 64 bytes of each: its id and leaf. */
export interface BlobSealer {
  /** Data chunks. */
  readonly chunks: number;
  /** Chunks that list the data chunks. */
  readonly indices: number;
  /** @param plain  at most CHUNK_BYTES of the packed form @returns the event, to be signed when it is sent */
  data(plain: Bytes, index: number): UnsignedChunk;
  /** Once all data chunks were sealed. */
  index(index: number): UnsignedChunk;
  sign(unsigned: UnsignedChunk): NostrEvent;
  /** The first data chunk at or after `from` that was not sealed; -1: all were. */
  firstUnsealed(from: number): number;
  /** Once all data chunks were sealed. */
  pointer(): Pick<BlobPointer, 'commit' | 'chunks' | 'root' | 'ids'>;
}

/** @param packed  bytes of the packed form */
export function blobSealer(packed: number, options: Omit<SealOptions, 'inline'>): BlobSealer {
  const { key, context, part, baseTimeSec, expirationSec, uploadSecret } = options;
  const keys = blobKeys(key);
  const chunks = Math.ceil(packed / CHUNK_BYTES);
  const indices = indexChunks(chunks);
  const times = chunkTimes(baseTimeSec, chunks + indices, keys.time);
  const pubkey = publicKey(uploadSecret);
  /** Event id (32) and leaf (32), in chunk order. */
  const records = new Uint8Array(chunks * RECORD_BYTES);
  const known = new Uint8Array(chunks);

  const seal = (plain: Bytes, purpose: 'data' | 'index', index: number, count: number): SealedParts =>
    sealParts(padToMultiple(plain, CHUNK_BYTES), keys[purpose], { context, part, index, count, purpose });
  const describe = (sealed: SealedParts, at: number): UnsignedChunk =>
    chunkMessage(sealed, pubkey, times[at]!, expirationSec);
  const index = (at: number): UnsignedChunk => {
    const slice = records.subarray(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES);
    return describe(seal(slice, 'index', at, indices), chunks + at);
  };
  return {
    chunks,
    indices,
    data(plain, at) {
      const sealed = seal(plain, 'data', at, chunks);
      const described = describe(sealed, at);
      records.set(described.hash, at * RECORD_BYTES);
      records.set(leafHash(...sealed), at * RECORD_BYTES + 32);
      known[at] = 1;
      return described;
    },
    index,
    sign: (unsigned) => unsigned.sign(uploadSecret),
    firstUnsealed: (from) => known.indexOf(0, from),
    pointer() {
      const ids = chunks === 1 ? [records.subarray(0, 32)] : Array.from({ length: indices }, (_, at) => index(at).hash);
      return {
        ...{ commit: keys.commit, chunks, root: rootOfRecords(records) },
        ids: ids.map((id) => hex(id) as EventId),
      };
    },
  };
}
