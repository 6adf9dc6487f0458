import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Which files of a home a backup takes, and the only names that a restore ever writes. */

const SEGMENT = /^[a-z0-9][a-z0-9_-]{0,159}(\.[a-z0-9]{1,16})?$/;
/** Names that Windows gives to devices, whatever their extension. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/;
/** Half-written files, and chunks that relays have as well. */
const MADE_AGAIN = /\.(tmp|sealed)$/;
/** What belongs to a process, to the embedded relay, or to restores themselves, and what is only remembered of relays. */
const NOT_KEPT = /^(lock|lock\..*|relay|relay-knowledge\.json|relay-scores\.json|restored\.json|restoring|replaced)$/;

/**
 * Relative, separated by `/`, at most three deep, lowercase and without anything that a shell or a file system treats
 * specially: no `..`, no absolute path, no drive, no temporary file.
 */
export function isBackupName(name: string): boolean {
  const parts = name.split('/');
  return (
    parts.length <= 3 &&
    parts.every((part) => SEGMENT.test(part) && !DEVICE.test(part) && !MADE_AGAIN.test(part)) &&
    !NOT_KEPT.test(parts[0]!)
  );
}

export interface HomeListing {
  /** Names that a backup takes, sorted. */
  readonly kept: readonly string[];
  /** Other files and every link, sorted; without what belongs to processes, relays and restores. */
  readonly left: readonly string[];
}

/** What lies in a home. A folder that is not there is empty. */
export async function listHome(dir: string): Promise<HomeListing> {
  const kept: string[] = [];
  const left: string[] = [];
  const visit = async (folder: string): Promise<void> => {
    const names = await readdir(join(dir, folder)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    for (const base of names.sort()) {
      const name = folder === '' ? base : `${folder}/${base}`;
      if (folder === '' && NOT_KEPT.test(base)) continue;
      const stat = await lstat(join(dir, name));
      if (stat.isDirectory()) await visit(name);
      else if (stat.isFile() && isBackupName(name)) kept.push(name);
      else if (!MADE_AGAIN.test(base)) left.push(name);
    }
  };
  await visit('');
  return { kept, left };
}
