import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { NmktError } from '../errors.js';

/** Small JSON files of a sandbox, mode 0600: after kill -9 each holds all of its old content or all of its new one. */
export interface SandboxFolder {
  /** Absolute. */
  readonly dir: string;
  /** `undefined` when the file is not there. @throws NmktError `bad-settings` when it is not JSON */
  read(name: string): Promise<unknown>;
  write(name: string, value: unknown): Promise<void>;
}

/** Makes nothing before the first write. One process at a time; the relay's lock in the folder sees to that. */
export function openSandboxFolder(folder: string): SandboxFolder {
  const dir = resolve(folder);
  return {
    dir,
    async read(name) {
      const text = await readIfThere(join(dir, name));
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
    async write(name, value) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await writeDurably(join(dir, name), `${JSON.stringify(value, null, 2)}\n`);
      await syncFolder(dir);
    },
  };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  const temporary = `${file}.tmp`;
  // One left by a crash may have other permissions than those asked for here.
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

/** Makes the new name durable; Windows cannot open folders. */
async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(dir, 'r');
  await handle.sync().finally(() => handle.close());
}
