import { stat } from 'node:fs/promises';
import { NmktError } from '../errors.js';

/** Before hours of training, not after them. @throws NmktError `bad-usage` where a file has the name */
export async function requireFolder(dir: string): Promise<void> {
  const there = await stat(dir).catch(() => undefined);
  if (there === undefined || there.isDirectory()) return;
  throw new NmktError('bad-usage', `${dir} is a file`, {
    expected: 'a new folder, or one of an earlier run',
    got: 'a file',
    remedy: 'name a folder after --out',
  });
}
