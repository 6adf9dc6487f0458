import type { Bytes, Sha256 } from '../hash.js';
import type { SealOptions } from './blob.js';
import { CHUNK_BYTES } from './chunk.js';
import type { BlobPointer } from './pointer.js';
import { withReadAhead } from './read-ahead.js';
import type { UnsignedChunk } from './chunk-message.js';
import { blobSealer } from './sealer.js';
import type { ChunkSource } from './source.js';

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
  const sealer = blobSealer(blob.packed, options);
  const { chunks, indices } = sealer;
  const read = withReadAhead((position, length) => blob.read(position, length), blob.packed);
  const sealData = async (index: number): Promise<UnsignedChunk> => {
    return sealer.data(await read(index * CHUNK_BYTES), index);
  };
  const sealRest = async (): Promise<void> => {
    for (let at = sealer.firstUnsealed(0); at !== -1; at = sealer.firstUnsealed(at)) await sealData(at);
  };
  return {
    source: {
      count: chunks + indices,
      place: (index) => ({ context: options.context, part: options.part, index }),
      async event(index) {
        if (index < chunks) return sealer.sign(await sealData(index));
        await sealRest();
        return sealer.sign(sealer.index(index - chunks));
      },
    },
    async pointer() {
      await sealRest();
      const { sha256, size, packed } = blob;
      return { sha256, size, packed, ...sealer.pointer() };
    },
  };
}
