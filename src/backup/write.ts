import { createReadStream } from 'node:fs';
import { link, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { explainDisk } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';
import { hex, sha256, u32be, utf8, type Bytes } from '../hash.js';
import type { RandomBytes } from '../ports.js';
import { MAGIC } from './header.js';
import { CHUNK_BYTES, sealChunk } from './seal.js';

/** One file of the backup, read when its turn comes. */
export interface BackupPart {
  readonly name: string;
  readonly size: number;
  read(): AsyncIterable<Bytes>;
}

export function partOfBytes(name: string, bytes: Bytes): BackupPart {
  return {
    name,
    size: bytes.length,
    async *read() {
      yield bytes;
    },
  };
}

/** Of a journal (`.jsonl`) its whole lines only: what follows was torn off by a crash, and the next append cuts it off too. */
export async function partOfFile(name: string, path: string): Promise<BackupPart> {
  const size = name.endsWith('.jsonl') ? await wholeLinesBytes(path) : (await stat(path)).size;
  return {
    name,
    size,
    async *read() {
      if (size === 0) return;
      yield* createReadStream(path, { end: size - 1, highWaterMark: CHUNK_BYTES }) as AsyncIterable<Bytes>;
    },
  };
}

async function wholeLinesBytes(path: string): Promise<number> {
  const handle = await open(path, 'r');
  try {
    const block = Buffer.alloc(CHUNK_BYTES);
    for (let end = (await handle.stat()).size; end > 0;) {
      const start = Math.max(0, end - block.length);
      const { bytesRead } = await handle.read(block, 0, end - start, start);
      const newline = block.subarray(0, bytesRead).lastIndexOf(10);
      if (newline >= 0) return start + newline + 1;
      end = start;
    }
    return 0;
  } finally {
    await handle.close();
  }
}

export interface WriteBackup {
  readonly header: Bytes;
  readonly contentKey: Bytes;
  readonly parts: readonly BackupPart[];
  readonly isForced: boolean;
  readonly random: RandomBytes;
  readonly signal: AbortSignal;
  onProgress?(doneBytes: number): void;
}

/**
 * The whole backup or nothing: a temporary file beside it, fsync, then its name; mode 0600. Memory is bounded by a few chunks.
 *
 * Layout: magic, u32 length and bytes of the header, then sealed chunks of 65,536 bytes of plaintext, the last one shorter. The
 * plaintext is, for each part, u32 length and bytes of `{"name","size"}` and then `size` bytes; a length of 0 ends it.
 *
 * @returns bytes written
 * @throws NmktError `bad-usage` when the file is there and not `isForced`; `disk-full`
 */
export async function writeBackup(path: string, options: WriteBackup): Promise<number> {
  const temporary = `${path}.${process.pid}.${hex(options.random(6))}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    let bytes: number;
    try {
      bytes = await writeAll(handle, options);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (options.isForced) await rename(temporary, path);
    else await link(temporary, path);
    await nodeDisk.syncFolder(dirname(path));
    return bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw alreadyThere(path, error);
    throw explainDisk(error, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

export function alreadyThere(path: string, cause?: unknown): NmktError {
  return new NmktError('bad-usage', `${path} is there already`, {
    expected: 'a new file',
    got: 'one that would be overwritten',
    remedy: 'name another file, or add --force',
    cause,
  });
}

async function writeAll(handle: FileHandle, options: WriteBackup): Promise<number> {
  const { header, contentKey, parts, signal } = options;
  const head = Buffer.concat([utf8(MAGIC), u32be(header.length), header]);
  await handle.writeFile(head);
  let written = head.length;
  let index = 0;
  let waiting = Buffer.alloc(0);
  const aad = sha256(head);
  const seal = async (plain: Bytes, isLast: boolean): Promise<void> => {
    const sealed = sealChunk(contentKey, aad, index++, isLast, plain);
    await handle.writeFile(sealed);
    written += sealed.length;
  };
  const push = async (bytes: Bytes): Promise<void> => {
    signal.throwIfAborted();
    waiting = Buffer.concat([waiting, bytes]);
    // One byte stays back, so that the last chunk is known to be the last.
    while (waiting.length > CHUNK_BYTES) {
      await seal(waiting.subarray(0, CHUNK_BYTES), false);
      waiting = waiting.subarray(CHUNK_BYTES);
    }
    options.onProgress?.(written);
  };
  for (const part of parts) {
    const about = utf8(JSON.stringify({ name: part.name, size: part.size }));
    await push(Buffer.concat([u32be(about.length), about]));
    let size = 0;
    for await (const bytes of part.read()) {
      size += bytes.length;
      await push(bytes);
    }
    if (size !== part.size) throw changed(part, size);
  }
  await push(u32be(0));
  await seal(waiting, true);
  return written;
}

function changed({ name, size }: BackupPart, got: number): NmktError {
  return new NmktError('home-locked', `${name} changed while it was read`, {
    expected: `${size} bytes`,
    got: `${got} bytes`,
    remedy: 'stop what writes to this home, then run it again',
  });
}
