import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { codeOf, type Disk } from '../disk/disk.js';
import { explainDisk, makeFolder, readIfThere, replaceFile, writeAll } from '../disk/durable.js';
import { lockFolder, type LockOptions } from '../disk/lock.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';

/** Left there by a killed process, files are removed by the next one that has the lock. */
const SCRATCH = 'scratch';

/** One participant's folder: key, wallet, journals, dataset keys, caches; folders 0700, files 0600. */
export interface Home {
  readonly dir: string;
  /** Absolute path of something inside; parts may not climb out. */
  path(...parts: readonly string[]): string;
  /** Makes the folder. */
  ensure(): Promise<void>;
  /** Exclusive until `unlock` or the end of the process, kill -9 included; empties `scratch`. @throws NmktError `home-locked` naming the pid */
  lock(): Promise<void>;
  unlock(): Promise<void>;
  /** Atomic and durable: temporary file, fsync, rename, fsync of the folder. Missing folders are made. */
  writeFile(name: string, data: string | Uint8Array): Promise<void>;
  /** Durable: a second name for a file of this home, unless that name is taken. */
  linkFile(name: string, as: string): Promise<boolean>;
  removeFile(name: string): Promise<void>;
  /** Durable: after a power cut it is not there again. Nothing when it is not there. */
  forgetFile(name: string): Promise<void>;
  /** `undefined` when the file is not there. */
  readFile(name: string): Promise<Uint8Array | undefined>;
  /** Fewer bytes at the end of the file. @throws NmktError `disk-failed` when it is not there */
  readPart(name: string, position: number, length: number): Promise<Uint8Array>;
  /** To read and write in place, 0600, made when it is missing; what is written is not durable. */
  editFile(name: string): Promise<HomeFile>;
  /** Files for as long as this process has the lock, not durable; in no backup when they end in `.tmp`. */
  readonly scratch: {
    edit(name: string): Promise<HomeFile>;
    remove(name: string): Promise<void>;
  };
  /** Names in a folder, sorted; none when it is absent. */
  list(folder: string): Promise<readonly string[]>;
  /** `undefined` when the file is not there. @throws NmktError `bad-settings` when it is not JSON */
  readJson(name: string): Promise<unknown>;
}

export interface HomeFile {
  /** Fewer bytes at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** @throws NmktError `disk-full`, `disk-failed` */
  write(bytes: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * The user's data folder: XDG base directory on Linux and BSD, Application Support on macOS, Local AppData on Windows.
 * @param env  `NMKT_HOME` wins
 */
export function defaultHomeDir(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  return env['NMKT_HOME'] ? resolve(env['NMKT_HOME']) : dataFolder(env, platform, 'nmkt');
}

/** Where optional engines lie and what probes of them said: shared by all homes of the user. @param env  `NMKT_ENGINE_DIR` wins */
export function engineDir(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  return env['NMKT_ENGINE_DIR'] ? resolve(env['NMKT_ENGINE_DIR']) : dataFolder(env, platform, 'nmkt-engines');
}

function dataFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, name: string): string {
  const user = env['HOME'] ?? env['USERPROFILE'] ?? homedir();
  if (platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(user, 'AppData', 'Local'), name);
  if (platform === 'darwin') return join(user, 'Library', 'Application Support', name);
  const xdg = env['XDG_DATA_HOME'];
  // The specification tells programs to ignore a relative path here.
  return join(xdg && isAbsolute(xdg) ? xdg : join(user, '.local', 'share'), name);
}

/** Touches no disk. @param processes  see lock.ts */
export function openHome(
  folder: string,
  disk: Disk = nodeDisk,
  processes?: NonNullable<LockOptions['processes']>,
): Home {
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
    await makeFolder(disk, dir).catch((error: unknown) => refuseFolder(dir, error, 'made'));
  };
  /** What is wrong with the folder itself is no bug of ours. */
  const usable = <T>(work: Promise<T>): Promise<T> => work.catch((error: unknown) => refuseFolder(dir, error, 'used'));
  const read = async (name: string): Promise<Uint8Array | undefined> => {
    const bytes = await usable(readIfThere(disk, path(name)));
    return bytes && new Uint8Array(bytes);
  };
  const list = async (folder: string): Promise<readonly string[]> => {
    try {
      return (await usable(disk.list(path(folder)))).sort();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  };

  const editFile = async (name: string): Promise<HomeFile> => {
    await ensure();
    await usable(makeFolder(disk, dirname(path(name))));
    const explained = <T>(work: Promise<T>): Promise<T> =>
      work.catch((error: unknown) => {
        throw explainDisk(error, path(name));
      });
    const file = await explained(disk.open(path(name), 'edit'));
    return {
      read: (position, length) => explained(file.read(position, length)),
      write: (bytes, position) => explained(writeAll(file, bytes, position)),
      close: () => file.close(),
    };
  };

  return {
    dir,
    path,
    ensure,
    async lock() {
      if (release) return;
      await ensure();
      release = await usable(lockFolder(dir, { disk, ...(processes && { processes }) }));
      for (const name of await list(SCRATCH)) await disk.remove(path(SCRATCH, name));
    },
    async unlock() {
      await release?.();
      release = undefined;
    },
    async writeFile(name, data) {
      await ensure();
      await usable(replaceFile(disk, path(name), data));
    },
    async linkFile(name, as) {
      try {
        await disk.link(path(name), path(as));
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw explainDisk(error, path(as));
        return false;
      } finally {
        // Also of a name that is taken: who made it may not have come to that.
        await disk.syncFolder(dirname(path(as)));
      }
      return true;
    },
    removeFile: (name) => disk.remove(path(name)),
    async forgetFile(name) {
      try {
        await disk.remove(path(name));
        // Also of a name that is gone: who removed it may have been killed before the sync.
        await disk.syncFolder(dirname(path(name)));
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw explainDisk(error, path(name));
      }
    },
    readFile: read,
    async readPart(name, position, length) {
      try {
        const file = await disk.open(path(name), 'read');
        return await file.read(position, length).finally(() => file.close());
      } catch (error) {
        throw explainDisk(error, path(name));
      }
    },
    editFile,
    scratch: {
      edit: (name) => editFile(`${SCRATCH}/${name}`),
      remove: (name) => disk.remove(path(SCRATCH, name)),
    },
    list,
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

const UNUSABLE = ['ENOTDIR', 'EACCES', 'EPERM', 'EISDIR', 'ELOOP', 'ENAMETOOLONG'];

function refuseFolder(dir: string, cause: unknown, deed: 'made' | 'used'): never {
  // Another folder may lie on another disk, but to free this one is the better advice.
  if (['ENOSPC', 'EDQUOT', 'EIO'].includes(codeOf(cause) ?? '')) throw explainDisk(cause, dir);
  if (deed === 'used' && !UNUSABLE.includes(codeOf(cause) ?? '')) throw cause;
  throw new NmktError('bad-settings', `the home folder ${dir} cannot be ${deed}`, {
    remedy: 'name another one with --home DIR or NMKT_HOME',
    expected: 'a folder that can be read and written',
    got: codeOf(cause) ?? String(cause),
    cause,
  });
}
