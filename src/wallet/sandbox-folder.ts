import { join, resolve } from 'node:path';
import type { Disk } from '../disk/disk.js';
import { readIfThere, replaceFile } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';

/** Small JSON files of a sandbox, mode 0600: after kill -9 each holds all of its old content or all of its new one. */
export interface SandboxFolder {
  /** Absolute. */
  readonly dir: string;
  /** `undefined` when the file is not there. @throws NmktError `bad-settings` when it is not JSON */
  read(name: string): Promise<unknown>;
  write(name: string, value: unknown): Promise<void>;
}

/** Makes nothing before the first write. One process at a time: hold the folder's lock. */
export function openSandboxFolder(folder: string, disk: Disk = nodeDisk): SandboxFolder {
  const dir = resolve(folder);
  return {
    dir,
    async read(name) {
      const text = (await readIfThere(disk, join(dir, name)))?.toString('utf8');
      if (text === undefined) return undefined;
      try {
        return JSON.parse(text) as unknown;
      } catch (cause) {
        throw new NmktError('bad-settings', `${join(dir, name)} is not JSON`, {
          remedy: 'restore it from a backup, or start another sandbox in an empty folder',
          expected: 'JSON',
          got: `${text.length} characters that do not parse`,
          cause,
        });
      }
    },
    write: (name, value) => replaceFile(disk, join(dir, name), `${JSON.stringify(value, null, 2)}\n`),
  };
}
