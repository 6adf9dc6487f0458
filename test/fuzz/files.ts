import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'nmkt-test-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

/** A file, mode 0600, in a folder that goes with the process. @returns its path */
export function fileOf(name: string, content?: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  if (content !== undefined) writeFileSync(path, content, { mode: 0o600 });
  return path;
}
