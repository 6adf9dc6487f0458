import { NmktError } from '../errors.js';
import { hex, type Bytes } from '../hash.js';
import type { Relays } from '../ports.js';
import { openPacked, requireHash, type IndexRecord } from './blob.js';
import { CHUNK_BYTES, SEALED_BYTES, openChunk, unpad } from './chunk.js';
import { beginDownload, fetchWanted, sealedOf, type DownloadOptions } from './download.js';
import { requireRunning } from './interrupt.js';
import { leafHash } from '../merkle.js';
import { unpackParts } from './pack.js';
import type { BlobPointer } from './pointer.js';

/** Packed bytes from which on the packed form is not put together in memory. */
const LARGE_BYTES = 16 * 1024 * 1024;

/**
 * Where the sealed chunks of one blob lie between runs, chunk i at i x 48,028 bytes. It holds what relays have as well, and needs no
 * sync and no list of what is there: a chunk counts when its hash is the leaf that the index promises, whatever a crash left.
 */
export interface ChunkFile {
  /** Fewer bytes at the end of the file. */
  read(position: number, length: number): Promise<Bytes>;
  /** @throws NmktError `disk-full`, `disk-failed` */
  write(bytes: Bytes, position: number): Promise<void>;
}

/**
 * As downloadBlob, but what the file has is not fetched, and what is fetched goes there. Needs memory for the result and for
 * chunks on their way, not for the packed form of what is large.
 *
 * @throws NmktError as downloadBlob; `disk-full`, `disk-failed` when the file does not keep what it was given
 */
export async function downloadByFile(
  relays: Relays,
  pointer: BlobPointer,
  options: DownloadOptions,
  file: ChunkFile,
): Promise<Bytes> {
  const begun = await beginDownload(relays, pointer, options);
  if (begun instanceof Uint8Array) return begun;
  const { route, records, keys, place } = begun;
  const { maxBytes, onProgress, signal } = options;
  const lacking = await missingIn(file, records, signal);
  let done = records.length - lacking.length;
  if (done > 0) onProgress?.(done, records.length);
  await fetchWanted(route, records, lacking, 'data', {
    check: (event, index) => sealedOf(event, records[index]!.leaf, place(index)),
    async keep(sealed, index) {
      await file.write(sealed, index * SEALED_BYTES);
      onProgress?.(++done, records.length);
    },
  });

  const chunks = async function* (): AsyncGenerator<Bytes> {
    for (const [index, { leaf }] of records.entries()) {
      requireRunning(signal);
      const sealed = await file.read(index * SEALED_BYTES, SEALED_BYTES);
      if (!isRight(sealed, leaf)) throw forgotten(index, records.length);
      yield openChunk(sealed, keys, place(index));
    }
  };
  return pointer.packed < LARGE_BYTES
    ? openAtOnce(chunks(), pointer, maxBytes)
    : openInParts(chunks(), pointer, maxBytes);
}

/** Quicker for what is small: no thread, and no turn of the event loop. */
async function openAtOnce(chunks: AsyncIterable<Bytes>, pointer: BlobPointer, maxBytes: number): Promise<Bytes> {
  const padded = new Uint8Array(pointer.chunks * CHUNK_BYTES);
  let at = 0;
  for await (const plain of chunks) {
    padded.set(plain, at);
    at += plain.length;
  }
  return openPacked(padded, pointer, maxBytes);
}

async function openInParts(chunks: AsyncIterable<Bytes>, pointer: BlobPointer, maxBytes: number): Promise<Bytes> {
  const unpadded = async function* (): AsyncGenerator<Bytes> {
    let left = pointer.packed;
    for await (const plain of chunks) {
      yield unpad(plain, Math.min(CHUNK_BYTES, left));
      left -= CHUNK_BYTES;
    }
  };
  const { bytes, sha256 } = await unpackParts(unpadded(), pointer.packed, pointer.size, maxBytes);
  requireHash('content of a blob', pointer.sha256, sha256);
  return bytes;
}

async function missingIn(
  file: ChunkFile,
  records: readonly IndexRecord[],
  signal: AbortSignal | undefined,
): Promise<readonly number[]> {
  const missing: number[] = [];
  for (const [index, { leaf }] of records.entries()) {
    requireRunning(signal);
    if (!isRight(await file.read(index * SEALED_BYTES, SEALED_BYTES), leaf)) missing.push(index);
  }
  return missing;
}

const isRight = (sealed: Bytes, leaf: Bytes): boolean =>
  sealed.length === SEALED_BYTES && hex(leafHash(sealed)) === hex(leaf);

/** Not the sender's fault: the chunk was right when it was written. */
function forgotten(index: number, count: number): NmktError {
  return new NmktError('disk-failed', `chunk ${index + 1} of ${count} is not on the disk as it was written`, {
    remedy: 'look at the disk, then run the same command again: what is wrong there is fetched again',
    expected: 'the bytes that were written',
    got: 'others',
  });
}
