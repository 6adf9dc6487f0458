import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NmktError } from '../errors.js';
import { byCodeUnit } from './schema-column.js';

/** What lies in a folder, in the order of its names by UTF-16 code unit: the same on every machine. */
export interface Folder {
  readonly folders: readonly string[];
  readonly files: readonly string[];
}

/** Names that begin with a point are left out. @throws NmktError `bad-dataset` for a link, which may lead to what nobody meant to publish */
export async function listFolder(path: string): Promise<Folder> {
  const entries = (await readdir(path, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'));
  const link = entries.find((entry) => entry.isSymbolicLink());
  if (link !== undefined)
    throw new NmktError('bad-dataset', `${join(path, link.name)} is a link`, {
      remedy: 'put the file itself there, or remove the link',
      expected: 'files and folders',
      got: 'a symbolic link',
    });
  const names = (which: 'isFile' | 'isDirectory') =>
    entries
      .filter((entry) => entry[which]())
      .map(({ name }) => name)
      .sort(byCodeUnit);
  return { folders: names('isDirectory'), files: names('isFile') };
}
