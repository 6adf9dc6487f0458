import type { ChunkFile } from '../blob/transfer.js';
import type { EventId } from '../hash.js';

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

/** Of one job: opened for as long as a shard is fetched, removed with the job's end. */
export interface ChunkFiles {
  open(shard: number): Promise<OpenFile>;
  remove(): Promise<void>;
}

const CHUNK_FILE = /^shard-\d+\.sealed$/;

export function chunkFiles(files: HomeFiles, job: EventId): ChunkFiles {
  const folder = `jobs/${job}`;
  return {
    open: (shard) => files.edit(`${folder}/shard-${shard}.sealed`),
    async remove() {
      for (const name of await files.list(folder)) if (CHUNK_FILE.test(name)) await files.remove(`${folder}/${name}`);
    },
  };
}
