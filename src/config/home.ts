import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { NmktError } from '../errors.js';
import { hex } from '../hash.js';
import { takeLock } from './home-lock.js';

/** One participant's folder: key, wallet, journals, dataset keys, caches; folders 0700, files 0600. */
export interface Home {
  readonly dir: string;
  /** Absolute path of something inside; parts may not climb out. */
  path(...parts: readonly string[]): string;
  /** Makes the folder. */
  ensure(): Promise<void>;
  /** Exclusive until `unlock` or the end of the process, kill -9 included. @throws NmktError `home-locked` naming the pid */
  lock(): Promise<void>;
  unlock(): Promise<void>;
  /** Atomic and durable: temporary file, fsync, rename, fsync of the folder. Missing folders are made. */
  writeFile(name: string, data: string | Uint8Array): Promise<void>;
  /** `undefined` when the file is not there. */
  readFile(name: string): Promise<Uint8Array | undefined>;
  /** `undefined` when the file is not there. @throws NmktError `bad-settings` when it is not JSON */
  readJson(name: string): Promise<unknown>;
}

/**
 * The user's data folder: XDG base directory on Linux and BSD, Application Support on macOS, Local AppData on Windows.
 * @param env  `NMKT_HOME` wins
 */
export function defaultHomeDir(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  if (env['NMKT_HOME']) return resolve(env['NMKT_HOME']);
  const user = env['HOME'] ?? env['USERPROFILE'] ?? homedir();
  if (platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(user, 'AppData', 'Local'), 'nmkt');
  if (platform === 'darwin') return join(user, 'Library', 'Application Support', 'nmkt');
  const xdg = env['XDG_DATA_HOME'];
  // The specification tells programs to ignore a relative path here.
  return join(xdg && isAbsolute(xdg) ? xdg : join(user, '.local', 'share'), 'nmkt');
}

/** Touches no disk. */
export function openHome(folder: string): Home {
  const dir = resolve(folder);
  let release: (() => Promise<void>) | undefined;

  const path = (...parts: readonly string[]): string => {
    const inside = resolve(dir, ...parts);
    const way = relative(dir, inside);
    if (way.split(sep)[0] === '..' || isAbsolute(way))
      throw new RangeError(`${parts.join('/')} is outside of the home`);
    return inside;
  };
  const ensure = async (): Promise<void> => {
    await mkdir(dir, { recursive: true, mode: 0o700 }).catch((error: unknown) => refuseFolder(dir, error));
  };
  const read = async (name: string): Promise<Uint8Array | undefined> => {
    try {
      return new Uint8Array(await readFile(path(name)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };

  return {
    dir,
    path,
    ensure,
    async lock() {
      if (release) return;
      await ensure();
      release = await takeLock(path('lock'));
    },
    async unlock() {
      await release?.();
      release = undefined;
    },
    async writeFile(name, data) {
      await ensure();
      await writeDurably(path(name), data);
    },
    readFile: read,
    async readJson(name) {
      const bytes = await read(name);
      if (bytes === undefined) return undefined;
      try {
        return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
      } catch (cause) {
        throw new NmktError('bad-settings', `${path(name)} is not JSON`, {
          remedy: 'restore the file from a backup, or move it away',
          expected: 'JSON',
          got: `${bytes.length} bytes that do not parse`,
          cause,
        });
      }
    },
  };
}

/** After a crash the file holds either all of the old bytes or all of the new ones. Mode 0600. */
export async function writeDurably(file: string, data: string | Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.${hex(randomBytes(6))}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(dirname(file));
  } catch (error) {
    await rm(temporary, { force: true });
    throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? diskFull(file, error) : error;
  }
}

/** Makes a rename or a new name durable; Windows cannot open folders, and needs no such step. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function diskFull(file: string, cause: unknown): NmktError {
  return new NmktError('disk-full', `no space left to write ${file}`, {
    remedy: 'free some space, then run the same command again',
    expected: 'room for the file',
    got: 'ENOSPC',
    cause,
  });
}

function refuseFolder(dir: string, cause: unknown): never {
  throw new NmktError('bad-settings', `the home folder ${dir} cannot be made`, {
    remedy: 'name another one with --home DIR or NMKT_HOME',
    expected: 'a folder that can be written',
    got: (cause as NodeJS.ErrnoException).code ?? String(cause),
    cause,
  });
}
