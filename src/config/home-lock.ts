import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { NmktError } from '../errors.js';
import { hex, sha256Hex } from '../hash.js';
import { processStart } from './process-identity.js';

/**
 * An exclusive lock file that names its process by pid and start time, so one left by kill -9 is seen to be stale.
 *
 * Taking over a stale lock X happens only under a second lock named after X's bytes, and X is read again there: two
 * processes that both saw X cannot both replace it. If the taker is killed, its second lock is stale in turn.
 *
 * Processes must see each other's pids: one home shared by two containers is not protected.
 *
 * @returns a function that gives the lock back
 * @throws  NmktError `home-locked`
 */
export async function takeLock(path: string): Promise<() => Promise<void>> {
  const mine = JSON.stringify({ pid: process.pid, start: processStart(process.pid), nonce: hex(randomBytes(16)) });
  const temporary = `${path}.${process.pid}.${hex(randomBytes(6))}`;
  await writeFile(temporary, mine, { mode: 0o600, flag: 'wx' });
  try {
    if (!(await linkIfFree(temporary, path))) await replaceStale(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  return async () => {
    if ((await readIfThere(path)) === mine) await rm(path, { force: true });
  };
}

async function linkIfFree(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function replaceStale(temporary: string, path: string): Promise<void> {
  const seen = await readIfThere(path);
  refuseIfAlive(seen, path);
  const release = await takeLock(`${path}.${sha256Hex(seen ?? '').slice(0, 16)}`);
  try {
    const now = await readIfThere(path);
    if (now === seen && seen !== undefined) await rename(temporary, path);
    else if (!(await linkIfFree(temporary, path))) refuseIfAlive(await readIfThere(path), path, true);
  } finally {
    await release();
  }
}

function refuseIfAlive(content: string | undefined, path: string, always = false): void {
  const holder = parseHolder(content);
  const alive = holder !== undefined && processStart(holder.pid) === holder.start;
  if (!alive && !always) return;
  throw new NmktError('home-locked', `another nmkt process${holder ? ` (pid ${holder.pid})` : ''} uses this home`, {
    remedy: 'wait for it to end, stop it, or give this run another folder with --home DIR',
    expected: `no process holding ${path}`,
    got: holder ? `pid ${holder.pid}` : 'a process that took it just now',
  });
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

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
