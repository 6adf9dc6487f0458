import type { ChunkFile } from '../blob/transfer.js';
import type { Pointer } from '../protocol/pointer.js';

/** Durable files of the home, 0600; names are relative paths. */
export interface HomeFiles {
  write(name: string, data: string | Uint8Array): Promise<void>;
  read(name: string): Promise<Uint8Array | undefined>;
  /** Fewer bytes at the end of the file. */
  readPart(name: string, position: number, length: number): Promise<Uint8Array>;
  readJson<T>(name: string): Promise<T | undefined>;
  /** To read and write in place, made when it is missing; what is written is not durable. */
  edit(name: string): Promise<OpenFile>;
  remove(name: string): Promise<void>;
  /** Durable. Nothing when it is not there. */
  forget(name: string): Promise<void>;
  /** Names in a folder, sorted; none when it is absent. */
  list(folder: string): Promise<readonly string[]>;
  /** The path for messages. */
  describe(name: string): string;
}

export interface OpenFile extends ChunkFile {
  close(): Promise<void>;
}

/** Sealed chunks of one job's blobs, which may be fetched again: nothing here has to be durable. Removed with the job's end. */
export interface ChunkFiles {
  /** @param name  the same for blobs of which one follows the other: the new one's chunks replace the old one's */
  open(name: string): Promise<OpenFile>;
  remove(): Promise<void>;
}

const SEALED = '.sealed';

/** @param folder  of the home; under `jobs` lie the jobs that it has a part in, and no others */
export function chunkFiles(files: HomeFiles, folder: string): ChunkFiles {
  return {
    open: (name) => files.edit(`${folder}/${name}${SEALED}`),
    async remove() {
      for (const name of await files.list(folder)) if (name.endsWith(SEALED)) await files.remove(`${folder}/${name}`);
    },
  };
}

/** Opens the file for as long as the blob is fetched; none for what comes in the event or in one chunk. */
export async function withChunkFile<T>(
  chunks: ChunkFiles,
  name: string,
  pointer: Pointer,
  fetch: (file: ChunkFile | undefined) => Promise<T>,
): Promise<T> {
  if (pointer.chunks <= 1) return fetch(undefined);
  const file = await chunks.open(name);
  return fetch(file).finally(() => file.close());
}
