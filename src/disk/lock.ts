import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { NmktError } from '../errors.js';
import { hex, sha256Hex } from '../hash.js';
import { codeOf, type Disk } from './disk.js';
import { explainDisk, makeFolder, readIfThere, settleFolders, writeAll } from './durable.js';
import { nodeDisk } from './node-disk.js';
import { processStart } from './process-identity.js';

export interface Lock {
  readonly wasLeft: boolean;
  readonly release: () => Promise<void>;
}

export interface LockOptions {
  readonly disk?: Disk;
  /** Who takes it, and when any process started: undefined when there is none with that pid. */
  readonly processes?: { readonly pid: number; startOf(pid: number): string | undefined };
  /** What the refusal says. */
  readonly words?: { readonly used: string; readonly remedy: string };
}

const HOME = {
  used: 'uses this home',
  remedy: 'wait for it to end, stop it, or give this run another folder with --home DIR',
};

/**
 * Makes a folder and takes the file `lock` in it. What a process that was killed here left behind is durable then, so that
 * it can be acted on.
 *
 * @returns how to give the lock back
 * @throws  NmktError `home-locked`, `disk-full`, `disk-failed`
 */
export async function lockFolder(folder: string, options: LockOptions = {}): Promise<() => Promise<void>> {
  const { disk = nodeDisk } = options;
  try {
    await makeFolder(disk, folder);
    const lock = await takeLock(join(folder, 'lock'), options);
    if (lock.wasLeft)
      await settleFolders(disk, folder).catch(async (error: unknown) => {
        await lock.release();
        throw error;
      });
    return () => lock.release();
  } catch (error) {
    throw explainDisk(error, folder);
  }
}

/**
 * An exclusive lock file that names its process by pid and start time, so one left by kill -9 is seen to be stale, also
 * when its pid belongs to another process by then.
 *
 * Taking over a stale lock X happens only under a second lock named after X's bytes, and X is read again there: two
 * processes that both saw X cannot both replace it. If the taker is killed, its second lock is stale in turn.
 *
 * Processes must see each other's pids: one folder shared by two containers is not protected.
 *
 * @param path  in a folder that is there
 * @returns how to give the lock back, and whether its last holder ended without doing so
 * @throws  NmktError `home-locked`
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<Lock> {
  const { disk = nodeDisk, processes = { pid: process.pid, startOf: processStart }, words = HOME } = options;
  const { pid } = processes;
  const mine = JSON.stringify({ pid, start: processes.startOf(pid), nonce: hex(randomBytes(16)) });

  const refuseIfAlive = (content: string | undefined, always = false): void => {
    const holder = parseHolder(content);
    const isAlive = holder !== undefined && processes.startOf(holder.pid) === holder.start;
    if (!isAlive && !always) return;
    throw new NmktError('home-locked', `another nmkt process${holder ? ` (pid ${holder.pid})` : ''} ${words.used}`, {
      remedy: words.remedy,
      expected: `no process holding ${path}`,
      got: holder ? `pid ${holder.pid}` : 'a process that took it just now',
    });
  };
  const replaceStale = async (temporary: string): Promise<void> => {
    const seen = await readText(disk, path);
    refuseIfAlive(seen);
    const { release } = await takeLock(`${path}.${sha256Hex(seen ?? '').slice(0, 16)}`, options);
    try {
      const now = await readText(disk, path);
      if (now === seen && seen !== undefined) await disk.rename(temporary, path);
      else if (!(await linkIfFree(disk, temporary, path))) refuseIfAlive(await readText(disk, path), true);
    } finally {
      await release();
    }
  };

  const temporary = `${path}.${pid}.${hex(randomBytes(6))}`;
  const file = await disk.open(temporary, 'create');
  let wasLeft = false;
  try {
    await writeAll(file, Buffer.from(mine), 0).finally(() => file.close());
    if (!(await linkIfFree(disk, temporary, path))) {
      await replaceStale(temporary);
      wasLeft = true;
    }
  } finally {
    // A lock that is taken is taken, also when its other name stays.
    await disk.remove(temporary).catch(() => undefined);
  }
  return {
    wasLeft,
    release: async () => {
      if ((await readText(disk, path)) === mine) await disk.remove(path);
    },
  };
}

async function linkIfFree(disk: Disk, temporary: string, path: string): Promise<boolean> {
  try {
    await disk.link(temporary, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Half-written or foreign bytes name nobody: stale. */
function parseHolder(content: string | undefined): { pid: number; start: string } | undefined {
  try {
    const value = JSON.parse(content ?? '') as { pid?: unknown; start?: unknown } | null;
    if (typeof value?.pid === 'number' && typeof value.start === 'string')
      return { pid: value.pid, start: value.start };
  } catch {
    // not JSON
  }
  return undefined;
}

async function readText(disk: Disk, path: string): Promise<string | undefined> {
  return (await readIfThere(disk, path))?.toString('utf8');
}
