import { open } from 'node:fs/promises';
import { NmktError } from '../errors.js';

const maxBytes = 65_536;

export interface TextFile {
  readonly text: string;
  /** Group or others may read or write it. */
  readonly isOpenToOthers: boolean;
}

/**
 * A small text file and whether it is private, both from one open handle.
 * @throws NmktError `bad-settings` when it is not there, not a file (a pipe is fine) or above 64 KiB
 */
export async function readTextFile(path: string, namedBy: string): Promise<TextFile> {
  const refuse = (got: string, cause?: unknown): NmktError =>
    new NmktError('bad-settings', `${namedBy}: ${path} is not usable`, {
      remedy: `name a readable file with ${namedBy}`,
      expected: 'a readable file of at most 64 KiB',
      got,
      cause,
    });
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw refuse((error as NodeJS.ErrnoException).code ?? 'an unreadable file', error);
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile() && !stat.isFIFO()) throw refuse('something that is not a file');
    if (stat.size > maxBytes) throw refuse(`${stat.size} bytes`);
    const text = await handle.readFile('utf8');
    if (text.length > maxBytes) throw refuse(`more than ${maxBytes} bytes`);
    // Windows has no such bits; its data folder is private to the user.
    return { text, isOpenToOthers: process.platform !== 'win32' && (stat.mode & 0o077) !== 0 };
  } finally {
    await handle.close();
  }
}

/** @throws NmktError `unsafe-secret-file` */
export function requirePrivate(file: TextFile, path: string): void {
  if (!file.isOpenToOthers) return;
  throw new NmktError('unsafe-secret-file', `${path} holds a secret and others can read it`, {
    remedy: `chmod 600 ${path}`,
    expected: 'mode 0600',
    got: 'a file open to group or others',
  });
}

/** The one trimmed value of a file of mode 0600. */
export async function readSecretFile(path: string, namedBy: string): Promise<string> {
  const file = await readTextFile(path, namedBy);
  requirePrivate(file, path);
  return file.text.trim();
}
