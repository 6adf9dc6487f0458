import { rm } from 'node:fs/promises';
import type { Home } from '../config/home.js';
import { formatSecretKey } from '../config/identifiers.js';
import { parseKeyText } from '../config/key-text.js';
import type { Settings, Sourced } from '../config/settings.js';
import { utf8, type Bytes, type Pubkey } from '../hash.js';
import type { RandomBytes, Signer } from '../ports.js';
import { makeHeader } from './header.js';
import { listHome } from './names.js';
import { compareHome, markRestored, placeFiles, requirePlaceable, stagingFolder } from './place.js';
import type { Backup } from './read.js';
import { partOfBytes, partOfFile, writeBackup, type BackupPart } from './write.js';

/** A home into a file and back. Both need the home's lock. */

export interface BackUpHome {
  readonly home: Home;
  readonly settings: Settings;
  readonly signer: Signer;
  readonly password: string | undefined;
  readonly hasKey: boolean;
  readonly isForced: boolean;
  readonly createdAt: number;
  readonly random: RandomBytes;
  readonly signal: AbortSignal;
  onProgress?(doneBytes: number): void;
}

export interface BackedUp {
  readonly names: readonly string[];
  readonly bytes: number;
  /** Files and links of the home that are in no backup. */
  readonly left: readonly string[];
}

/** @throws NmktError `bad-usage` when the file is there, `disk-full`, `home-locked` when the home changes meanwhile */
export async function backUpHome(path: string, options: BackUpHome): Promise<BackedUp> {
  const { home, signer, password, createdAt, random, hasKey } = options;
  const { kept, left } = await listHome(home.dir);
  const own = ownParts(options.settings, hasKey);
  const others = kept.filter((name) => name !== 'key' && !own.some((part) => part.name === name));
  const parts = [...own, ...(await Promise.all(others.map((name) => partOfFile(name, home.path(name)))))];
  const contentKey = random(32);
  const header = await makeHeader(contentKey, { signer, createdAt, password, random });
  const bytes = await writeBackup(path, { ...options, header, contentKey, parts });
  return { names: parts.map(({ name }) => name), bytes, left };
}

/** Key and settings in force, wherever they came from: a restored home needs no flags and no environment. */
function ownParts({ key, relays, wallet, network, engine }: Settings, hasKey: boolean): BackupPart[] {
  const inForce = {
    ...(relays.value.length > 0 && { relays: relays.value }),
    ...(wallet && { wallet: wallet.value }),
    ...(network.origin !== 'default' && { network: network.value }),
    ...(engine.origin !== 'default' && { engine: engine.value }),
  };
  const text = hasKey && key ? keyFile(key) : undefined;
  return [
    ...(text === undefined ? [] : [partOfBytes('key', utf8(text))]),
    ...(Object.keys(inForce).length === 0
      ? []
      : [partOfBytes('settings.json', utf8(`${JSON.stringify(inForce, undefined, 2)}\n`))]),
  ];
}

/** A plain key as nsec; one under a password, or in a bunker, stays what it is. */
function keyFile({ value, origin }: Sourced<string>): string {
  const key = parseKeyText(value, origin);
  return `${key.form === 'plain' ? formatSecretKey(key.secret) : value.trim()}\n`;
}

export interface Restored {
  readonly pubkey: Pubkey;
  readonly createdAt: number;
  readonly names: readonly string[];
  /** Of them, what the home did not have like this before. */
  readonly placed: number;
  readonly replaced: readonly string[];
  /** Where replaced files lie now, relative to the home. */
  readonly aside: string;
}

/**
 * Unpacks beside, checks all, then places. Run twice it does nothing the second time; stopped at any point it is finished by
 * another run.
 *
 * @throws NmktError `home-not-empty`, `bad-backup`, `disk-full`
 */
export async function restoreHome(
  backup: Backup,
  contentKey: Bytes,
  options: {
    readonly home: Home;
    readonly isForced: boolean;
    readonly nowSec: number;
    readonly signal: AbortSignal;
  },
): Promise<Restored> {
  const { home, isForced, nowSec, signal } = options;
  const staged = await stagingFolder(home.dir);
  try {
    const names = await backup.extract(contentKey, staged, signal);
    const comparison = await compareHome(home.dir, staged, names);
    if (!isForced) requirePlaceable(comparison, home.dir);
    const placed = comparison.files.filter(({ standing }) => standing !== 'same' && standing !== 'newer').length;
    const { pubkey, createdAt } = backup.header;
    // Before anything that could be signed with or paid from.
    if (placed > 0) await markRestored(home.dir, nowSec, createdAt);
    const aside = `replaced/${nowSec}`;
    const replaced = await placeFiles(home.dir, staged, comparison, aside);
    return { pubkey, createdAt, names, placed, replaced, aside };
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
}
