import { readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NmktError } from '../errors.js';

/** Locks of this process. */
const held = new Set<string>();

/**
 * One process per folder: two appenders would not know each other's offsets. A lock of a dead process is taken over.
 *
 * @returns  the way to unlock
 * @throws   NmktError `home-locked` naming the process
 */
export async function lockFolder(dir: string): Promise<() => Promise<void>> {
  const path = join(dir, 'lock');
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx', mode: 0o600 });
      held.add(path);
      return async () => {
        held.delete(path);
        await unlink(path);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (isRunning(holder, path) || attempt > 0) {
      throw new NmktError('home-locked', `process ${holder} keeps its events in this folder`, {
        remedy: 'stop that relay, or give this one another --dir',
        expected: 'a folder no running relay uses',
        got: path,
      });
    }
    await unlink(path).catch(() => {});
  }
}

function isRunning(pid: number, path: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  // Our own number in a lock we do not hold: a killed process of a restarted container had the same one.
  if (pid === process.pid) return held.has(path);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
