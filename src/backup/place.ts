import { lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder, replaceFile } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';
import { listHome } from './names.js';

/** Moves the files of an opened backup into a home, without losing what is newer there. */

/** How a file of the home stands to the one of the backup; `newer` and `older` are told of journals only. */
export type Standing = 'missing' | 'same' | 'newer' | 'older' | 'different';

export interface Comparison {
  readonly files: readonly { readonly name: string; readonly standing: Standing }[];
  /** Files of the home that the backup does not have. */
  readonly extra: readonly string[];
}

export async function compareHome(home: string, staged: string, names: readonly string[]): Promise<Comparison> {
  const files: Comparison['files'][number][] = [];
  for (const name of names) files.push({ name, standing: await standingOf(home, staged, name) });
  const known = new Set(names);
  const { kept, left } = await listHome(home);
  return { files, extra: [...kept, ...left].filter((name) => !known.has(name)) };
}

const isLeftToDo = ({ standing }: { readonly standing: Standing }) => standing === 'missing' || standing === 'older';

/** Nothing to do, or a home that is empty, or one that a restore of this backup left half done. */
export function mayPlace({ files, extra }: Comparison): boolean {
  if (files.some(({ standing }) => standing === 'different')) return false;
  return extra.length === 0 || !files.some(isLeftToDo);
}

/** @throws NmktError `home-not-empty` naming what differs */
export function requirePlaceable(comparison: Comparison, home: string): void {
  if (mayPlace(comparison)) return;
  const names = comparison.files.filter(({ standing }) => standing === 'different').map(({ name }) => name);
  const [shown, what] = names.length > 0 ? [names, 'differs'] : [comparison.extra, 'is not in the backup'];
  throw new NmktError('home-not-empty', `${home} holds other state than the backup`, {
    expected: 'an empty home, or the state of the backup or what came after it',
    got: `${shown.slice(0, 3).join(', ')}${shown.length > 3 ? ` and ${shown.length - 3} more` : ''}, which ${what}`,
    remedy: 'name an empty folder with --home DIR; --force replaces what differs and keeps it beside',
  });
}

/**
 * Each file whole, by a rename. Journals that go on where the backup ends stay. What is replaced lies in `home/aside` afterwards.
 * The key comes last: before that a home that was half restored cannot sign as its owner.
 *
 * @returns names that were replaced
 */
export async function placeFiles(
  home: string,
  staged: string,
  { files }: Comparison,
  aside: string,
): Promise<readonly string[]> {
  const due = files.filter((file) => isLeftToDo(file) || file.standing === 'different');
  const replaced: string[] = [];
  for (const { name, standing } of [...due].sort((a, b) => Number(a.name === 'key') - Number(b.name === 'key'))) {
    await requireRealFolders(home, name);
    const target = join(home, name);
    await makeFolder(nodeDisk, dirname(target));
    if (standing === 'different') {
      const kept = join(home, aside, name);
      await makeFolder(nodeDisk, dirname(kept));
      await rename(target, kept);
      await nodeDisk.syncFolder(dirname(kept));
      replaced.push(name);
    }
    await rename(join(staged, name), target);
    await nodeDisk.syncFolder(dirname(target));
  }
  return replaced;
}

/** A link in the home would lead a rename out of it. @throws NmktError `home-not-empty` */
async function requireRealFolders(home: string, name: string): Promise<void> {
  const parts = name.split('/').slice(0, -1);
  for (let depth = 1; depth <= parts.length; depth++) {
    const folder = join(home, ...parts.slice(0, depth));
    const stat = await lstatIfThere(folder);
    if (stat === undefined || stat.isDirectory()) continue;
    throw new NmktError('home-not-empty', `${folder} is no folder`, {
      expected: 'a folder, or nothing',
      got: stat.isSymbolicLink() ? 'a link' : 'a file',
      remedy: 'name an empty folder with --home DIR',
    });
  }
}

async function standingOf(home: string, staged: string, name: string): Promise<Standing> {
  await requireRealFolders(home, name);
  const path = join(home, name);
  const stat = await lstatIfThere(path);
  if (stat === undefined) return 'missing';
  if (!stat.isFile()) return 'different';
  const [mine, theirs] = [stat.size, (await lstat(join(staged, name))).size];
  if (mine !== theirs && !name.endsWith('.jsonl')) return 'different';
  if (!(await haveEqualStarts(path, join(staged, name), Math.min(mine, theirs)))) return 'different';
  return mine === theirs ? 'same' : mine > theirs ? 'newer' : 'older';
}

async function haveEqualStarts(one: string, other: string, length: number): Promise<boolean> {
  const [a, b] = [await open(one, 'r'), await open(other, 'r')];
  try {
    const [left, right] = [Buffer.alloc(65_536), Buffer.alloc(65_536)];
    for (let at = 0; at < length;) {
      const want = Math.min(left.length, length - at);
      const { bytesRead } = await a.read(left, 0, want, at);
      const { bytesRead: same } = await b.read(right, 0, bytesRead, at);
      if (bytesRead === 0 || same !== bytesRead) return false;
      if (!left.subarray(0, bytesRead).equals(right.subarray(0, bytesRead))) return false;
      at += bytesRead;
    }
    return true;
  } finally {
    await a.close();
    await b.close();
  }
}

async function lstatIfThere(path: string) {
  return lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
}

/** Where a restore unpacks: inside of the home, so that a rename is enough. Whatever an earlier one left there goes. */
export async function stagingFolder(home: string): Promise<string> {
  const folder = join(home, 'restoring');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  return folder;
}

/** Says to every later process of this home that another one may have gone on after the backup was made. */
export async function markRestored(home: string, restoredAt: number, backupCreatedAt: number): Promise<void> {
  await replaceFile(
    nodeDisk,
    join(home, 'restored.json'),
    `${JSON.stringify({ v: 1, restoredAt, backupCreatedAt })}\n`,
  );
}
