import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { NmktError } from '../errors.js';
import { hex } from '../hash.js';
import { codeOf, type Disk, type DiskFile } from './disk.js';

/**
 * After a crash the file holds either all of its old bytes or all of the new ones; once this resolves, the new ones.
 * Missing folders are made.
 *
 * @param mode  of a new file; default 0600
 * @throws NmktError `disk-full`, `disk-failed`; the old file is then still there
 */
export async function replaceFile(disk: Disk, path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${path}.${process.pid}.${hex(randomBytes(6))}.tmp`;
  try {
    // A folder is as open as its file.
    await makeFolder(disk, dirname(path), 0o700 | (mode & 0o066) | ((mode & 0o044) >> 2));
    const file = await disk.open(temporary, 'create', mode);
    try {
      await writeAll(file, typeof data === 'string' ? Buffer.from(data, 'utf8') : data, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(temporary, path);
    await disk.syncFolder(dirname(path));
  } catch (error) {
    // What stopped the write may stop this too; the first reason is the one to tell.
    await disk.remove(temporary).catch(() => undefined);
    throw explainDisk(error, path);
  }
}

export async function writeAll(file: DiskFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done), position + done);
}

/** The same of several parts that lie in different places. */
export async function writeAllTogether(file: DiskFile, parts: readonly Uint8Array[], position: number): Promise<void> {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  const done = await file.writeTogether(parts, position);
  if (done < bytes) await writeAll(file, Buffer.concat(parts).subarray(done), position + done);
}

/** Folders whose names are known to be durable, by disk: a folder is looked after once per process. */
const settled = new WeakMap<Disk, Set<string>>();

/**
 * Makes a folder, and the names of all folders on the way to it durable: also of those that are there already, since
 * who made them may have been killed before the sync.
 */
export async function makeFolder(disk: Disk, folder: string, mode?: number): Promise<void> {
  const known = settled.get(disk) ?? new Set<string>();
  settled.set(disk, known);
  await disk.makeFolder(folder, mode);
  if (known.has(folder)) return;
  for (let here = folder; dirname(here) !== here; here = dirname(here)) {
    try {
      await disk.syncFolder(dirname(here));
    } catch (error) {
      // A folder above ours that we may not open is none that we made something in.
      if (!['EACCES', 'EPERM', 'EINVAL', 'ENOTSUP', 'EROFS'].includes(codeOf(error) ?? '')) throw error;
    }
  }
  known.add(folder);
}

/**
 * Makes all names below a folder durable: what a killed process renamed is there for the next one to read and act on, but
 * a power cut could still take it away.
 */
export async function settleFolders(disk: Disk, folder: string): Promise<void> {
  for (const name of await disk.list(folder)) {
    await settleFolders(disk, join(folder, name)).catch((error: unknown) => {
      // A file, or one that went meanwhile.
      if (!['ENOTDIR', 'ENOENT'].includes(codeOf(error) ?? '')) throw error;
    });
  }
  await disk.syncFolder(folder);
}

/** `undefined` when the file is not there. */
export async function readIfThere(disk: Disk, path: string): Promise<Buffer | undefined> {
  try {
    return await disk.readFile(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** What a disk says when it cannot take a write: as our own error, with what to do; other errors as they are. */
export function explainDisk(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new NmktError('disk-full', `no space left to write ${path}`, {
      remedy: 'free some space, then run the same command again',
      expected: 'room for what has to be kept',
      got: code,
      cause: error,
    });
  if (code === 'EIO' || code === 'EROFS')
    return new NmktError('disk-failed', `the disk does not take ${path}`, {
      remedy: 'look at the disk and its mount, then run the same command again',
      expected: 'a disk that keeps what is written',
      got: code,
      cause: error,
    });
  return error;
}
