import { hex, type Bytes, type EventId } from '../hash.js';
import { leafHash, rootOfLevel } from '../merkle.js';
import type { Relays } from '../ports.js';
import { NmktError } from '../errors.js';
import { openPacked, requireHash } from './blob.js';
import { CHUNK_BYTES, SEALED_BYTES, openChunk, type ChunkPlace } from './chunk.js';
import { fetchWanted, routeOf, sealedOf, type DownloadOptions } from './download.js';
import { admit, type BlobPointer } from './pointer.js';

/** A blob that is fetched before anybody here has its key: what is there then needs no relay later. */

const placeAt = (
  { context, part }: Pick<DownloadOptions, 'context' | 'part'>,
  index: number,
  count: number,
): ChunkPlace => {
  return { context, part, index, count, purpose: 'data' };
};

/**
 * @param ids  of all data chunks, in order
 * @returns    their sealed bytes, one after the other
 * @throws NmktError `bad-blob`, `hash-mismatch` where they are not what the pointer's root is over; MissingChunks
 */
export async function fetchSealedChunks(
  relays: Relays,
  pointer: BlobPointer,
  ids: readonly EventId[],
  options: Pick<DownloadOptions, 'context' | 'part' | 'signal'>,
): Promise<Bytes> {
  const out = new Uint8Array(ids.length * SEALED_BYTES);
  const wanted = ids.map((id) => ({ id }));
  await fetchWanted(
    routeOf(relays, { stealAfterMs: undefined, copies: undefined, signal: undefined, ...options }),
    wanted,
    [...ids.keys()],
    'data',
    {
      check: (event, index) => sealedOf(event, undefined, placeAt(options, index, ids.length)),
      keep: (sealed, index) => out.set(sealed, index * SEALED_BYTES),
    },
  );
  requireRoot(out, pointer);
  return out;
}

/**
 * @param sealed  as `fetchSealedChunks` gave it
 * @throws NmktError `wrong-key`, `too-large`, `hash-mismatch`, `bad-blob`
 */
export function openSealedChunks(
  sealed: Bytes,
  pointer: BlobPointer,
  options: Pick<DownloadOptions, 'key' | 'context' | 'part' | 'maxBytes'>,
): Bytes {
  const keys = admit(pointer, options.key, options.maxBytes);
  requireRoot(sealed, pointer);
  const padded = new Uint8Array(pointer.chunks * CHUNK_BYTES);
  for (let at = 0; at < pointer.chunks; at++)
    padded.set(openChunk(chunkAt(sealed, at), keys.data, placeAt(options, at, pointer.chunks)), at * CHUNK_BYTES);
  return openPacked(padded, pointer, options.maxBytes);
}

const chunkAt = (sealed: Bytes, at: number): Bytes => sealed.subarray(at * SEALED_BYTES, (at + 1) * SEALED_BYTES);

function requireRoot(sealed: Bytes, { chunks, root }: BlobPointer): void {
  if (sealed.length !== chunks * SEALED_BYTES)
    throw new NmktError('bad-blob', 'a blob came in another number of chunks than it has', {
      expected: `${chunks} chunks of ${SEALED_BYTES} bytes`,
      got: `${sealed.length} bytes`,
      remedy: 'ask the sender to publish it again with a correct nmkt',
    });
  const leaves = new Uint8Array(32 * chunks);
  for (let at = 0; at < chunks; at++) leaves.set(leafHash(chunkAt(sealed, at)), 32 * at);
  requireHash('Merkle root of a blob', root, hex(rootOfLevel(leaves)));
}
