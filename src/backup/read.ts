import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { explainDisk } from '../disk/durable.js';
import { NmktError } from '../errors.js';
import { sha256, type Bytes } from '../hash.js';
import type { Signer } from '../ports.js';
import {
  badBackup,
  MAGIC,
  MAX_HEADER_BYTES,
  parseHeader,
  unlockWithKey,
  unlockWithPassword,
  type BackupHeader,
} from './header.js';
import { isBackupName } from './names.js';
import { CHUNK_BYTES, openChunk, TAG_BYTES } from './seal.js';

const MAX_PARTS = 1_000_000;
const MAX_ABOUT_BYTES = 1_024;
const about = z.strictObject({
  name: z.string().max(600).refine(isBackupName),
  size: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
});

export interface Backup {
  readonly header: BackupHeader;
  /** @returns the content key. @throws NmktError `wrong-key` */
  unlockWithKey(signer: Signer): Promise<Bytes>;
  /** @returns the content key. @throws NmktError `wrong-key` */
  unlockWithPassword(password: string): Promise<Bytes>;
  readonly sizeBytes: number;
  /**
   * Writes its files below a folder that is empty and ours, mode 0600, and only returns when the whole file proved authentic: from
   * a damaged one something may be left there.
   *
   * @returns names, in the order of the file
   * @throws NmktError `bad-backup`, `disk-full`
   */
  extract(contentKey: Bytes, folder: string, signal: AbortSignal): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Believes nothing that the file says: sizes are held against the file's own before anything is allocated. */
export async function openBackup(path: string): Promise<Backup> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw new NmktError('bad-usage', `${path} cannot be read`, {
      expected: 'a file that nmkt backup wrote',
      got: cause.code ?? String(cause),
      remedy: 'name another file',
      cause,
    });
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw badBackup('it is not a file', 'a regular file', 'something else');
    const start = Buffer.byteLength(MAGIC) + 4;
    const first = await readAt(handle, 0, start);
    if (first.length < start || first.subarray(0, -4).toString('latin1') !== MAGIC)
      throw badBackup('it is none', JSON.stringify(MAGIC.trim()), `${stat.size} bytes of something else`);
    const length = first.readUInt32BE(start - 4);
    if (length > MAX_HEADER_BYTES || start + length > stat.size)
      throw badBackup('its header is too long', `at most ${MAX_HEADER_BYTES} bytes`, `${length} bytes`);
    const bytes = await readAt(handle, start, length);
    const header = parseHeader(bytes);
    const aad = sha256(first, bytes);
    return {
      header,
      sizeBytes: stat.size,
      unlockWithKey: (signer) => unlockWithKey(header, signer),
      unlockWithPassword: (password) => unlockWithPassword(header, password),
      extract: (contentKey, folder, signal) =>
        extract(openChunks(handle, { contentKey, aad, at: start + length, end: stat.size }), folder, signal),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const out = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(out, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return out.subarray(0, done);
}

interface Sealed {
  readonly contentKey: Bytes;
  readonly aad: Bytes;
  readonly at: number;
  readonly end: number;
}

/** The plaintext, opened chunk by chunk. */
interface Plain {
  /** Exactly `length` bytes. @throws NmktError `bad-backup` */
  take(length: number): Promise<Buffer>;
  /** Up to `length` bytes, at least one. */
  some(length: number): Promise<Buffer>;
  /** More than this cannot be left. */
  readonly leftBytes: number;
}

function openChunks(handle: FileHandle, { contentKey, aad, at, end }: Sealed): Plain {
  let next = at;
  let index = 0;
  let ready: Buffer = Buffer.alloc(0);
  const more = async (): Promise<void> => {
    if (next >= end) throw badBackup('it is cut short', 'an end mark', `the end of the file after ${end} bytes`);
    const sealed = await readAt(handle, next, Math.min(CHUNK_BYTES + TAG_BYTES, end - next));
    next += sealed.length;
    const isLast = next >= end;
    const plain = openChunk(contentKey, aad, index, isLast, sealed);
    if (plain === undefined)
      throw badBackup('it is damaged or cut short', `chunk ${index} as it was sealed`, 'bytes that do not open');
    index++;
    ready = ready.length === 0 ? plain : Buffer.concat([ready, plain]);
  };
  const some = async (length: number): Promise<Buffer> => {
    while (ready.length === 0) await more();
    const part = ready.subarray(0, length);
    ready = ready.subarray(part.length);
    return part;
  };
  return {
    some,
    async take(length) {
      const parts: Buffer[] = [];
      for (let left = length; left > 0;) {
        const part = await some(left);
        parts.push(part);
        left -= part.length;
      }
      return Buffer.concat(parts);
    },
    get leftBytes() {
      return ready.length + Math.max(0, end - next);
    },
  };
}

async function extract(plain: Plain, folder: string, signal: AbortSignal): Promise<readonly string[]> {
  const names = new Set<string>();
  for (;;) {
    signal.throwIfAborted();
    const length = (await plain.take(4)).readUInt32BE(0);
    if (length === 0) break;
    if (length > MAX_ABOUT_BYTES) throw badBackup('a name is too long', `${MAX_ABOUT_BYTES} bytes`, `${length}`);
    const { name, size } = parseAbout(await plain.take(length));
    if (names.has(name)) throw badBackup('a name occurs twice', 'each name once', name);
    if (names.size >= MAX_PARTS) throw badBackup('it holds too many files', `${MAX_PARTS} files`, 'more');
    if (size > plain.leftBytes) throw badBackup('a size is too large', `at most ${plain.leftBytes} bytes`, `${size}`);
    names.add(name);
    await writePart(plain, join(folder, name), size, signal);
  }
  if (plain.leftBytes > 0) throw badBackup('something follows its end', 'the end of the file', 'more bytes');
  return [...names];
}

function parseAbout(bytes: Buffer): z.infer<typeof about> {
  try {
    return about.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw badBackup('it names a file that is none of a home', 'a name such as payouts.jsonl', 'another', cause);
  }
}

async function writePart(plain: Plain, path: string, size: number, signal: AbortSignal): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const handle = await open(path, 'wx', 0o600);
    try {
      for (let left = size; left > 0;) {
        signal.throwIfAborted();
        const part = await plain.some(left);
        await handle.writeFile(part);
        left -= part.length;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A name that is a folder of another one.
    if (code === 'ENOTDIR' || code === 'EEXIST' || code === 'EISDIR')
      throw badBackup('two of its names exclude each other', 'files', path, error);
    throw explainDisk(error, path);
  }
}
