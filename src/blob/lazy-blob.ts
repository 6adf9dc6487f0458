import { hex, sha256, type Bytes, type EventId, type Sha256 } from '../hash.js';
import type { NostrEvent } from '../ports.js';
import { buildChunk } from '../protocol/chunk.js';
import { publicKey, signHash } from '../schnorr.js';
import { CHUNK_BYTES, chunkTimes, padToMultiple, sealChunk } from './chunk.js';
import { blobKeys } from './keys.js';
import { leafHash, merkleRoot } from './merkle.js';
import { RECORD_BYTES, indexChunks, type BlobPointer } from './pointer.js';
import type { ChunkSource } from './source.js';
import type { SealOptions } from './blob.js';

/** A packed blob that lies somewhere: chunks are read, sealed and signed when they are asked for. */
export interface PackedBlob {
  /** Of the bytes before compression. */
  readonly sha256: Sha256;
  readonly size: number;
  /** Bytes of the packed form. */
  readonly packed: number;
  /** The same bytes whenever they are asked for. */
  read(position: number, length: number): Bytes | Promise<Bytes>;
}

export interface LazyBlob {
  /** Data chunks, then index chunks. */
  readonly source: ChunkSource;
  /** Seals whatever was not asked for yet, to know its id. */
  readonly pointer: () => Promise<BlobPointer>;
}

/** The chunks of `sealBlob`, to the byte, without holding them: memory is 64 bytes per chunk. */
export function lazyBlob(blob: PackedBlob, options: Omit<SealOptions, 'inline'>): LazyBlob {
  const { key, context, part, baseTimeSec, expirationSec, uploadSecret } = options;
  const keys = blobKeys(key);
  const chunks = Math.ceil(blob.packed / CHUNK_BYTES);
  const indices = indexChunks(chunks);
  const times = chunkTimes(baseTimeSec, chunks + indices, keys.time);
  const pubkey = publicKey(uploadSecret);
  /** Event id (32) and leaf (32) of each data chunk that was sealed so far. */
  const records = new Uint8Array(chunks * RECORD_BYTES);
  const known = new Uint8Array(chunks);

  const sealData = async (index: number): Promise<Bytes> => {
    const position = index * CHUNK_BYTES;
    const plain = await blob.read(position, Math.min(CHUNK_BYTES, blob.packed - position));
    const place = { context, part, index, count: chunks, purpose: 'data' } as const;
    return sealChunk(padToMultiple(plain, CHUNK_BYTES), keys.data, place);
  };
  const sealIndex = (index: number): Bytes => {
    const slice = records.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    const place = { context, part, index, count: indices, purpose: 'index' } as const;
    return sealChunk(padToMultiple(slice, CHUNK_BYTES), keys.index, place);
  };
  /** The event without its signature. */
  const describe = (sealed: Bytes, at: number) => {
    const { kind, created_at, tags, content } = buildChunk(sealed, times[at]!, expirationSec);
    // Base64 needs no escapes in JSON, and escaping 64 KB costs as much as the signature.
    const hash = sha256(`[0,"${pubkey}",${created_at},${kind},${JSON.stringify(tags)},"`, content, '"]');
    return { hash, event: { id: hex(hash) as EventId, pubkey, created_at, kind, tags, content } };
  };
  const sign = ({ hash, event }: ReturnType<typeof describe>): NostrEvent => ({
    ...event,
    sig: signHash(hash, uploadSecret),
  });
  const describeData = async (index: number) => {
    const sealed = await sealData(index);
    const described = describe(sealed, index);
    records.set(described.hash, index * RECORD_BYTES);
    records.set(leafHash(sealed), index * RECORD_BYTES + 32);
    known[index] = 1;
    return described;
  };
  const completeRecords = async (): Promise<void> => {
    for (let index = known.indexOf(0); index !== -1; index = known.indexOf(0, index)) await describeData(index);
  };
  return {
    source: {
      count: chunks + indices,
      async event(index) {
        if (index < chunks) return sign(await describeData(index));
        await completeRecords();
        return sign(describe(sealIndex(index - chunks), index));
      },
    },
    async pointer() {
      await completeRecords();
      const leaves = Array.from({ length: chunks }, (_, at) =>
        records.slice(at * RECORD_BYTES + 32, (at + 1) * RECORD_BYTES),
      );
      const ids =
        chunks === 1
          ? [hex(records.subarray(0, 32)) as EventId]
          : Array.from({ length: indices }, (_, at) => describe(sealIndex(at), chunks + at).event.id);
      const { sha256: plainHash, size, packed } = blob;
      return {
        sha256: plainHash,
        size,
        packed,
        commit: keys.commit,
        chunks,
        root: hex(merkleRoot(leaves)) as Sha256,
        ids,
      };
    },
  };
}
