import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Builds dist once when a source is newer: tests of commands run the real binary. */
export default function setup(): void {
  const built = 'dist/.tsbuildinfo';
  if (existsSync(built) && existsSync('dist/cli.js') && newest('src') < statSync(built).mtimeMs) return;
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { encoding: 'utf8' });
  // tsc writes the code of a tree with type errors too; `npm run typecheck` is what refuses them.
  if (status !== 0) process.stderr.write(`tsc:\n${stdout}`);
}

function newest(folder: string): number {
  return Math.max(
    ...readdirSync(folder, { withFileTypes: true }).map((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? newest(path) : statSync(path).mtimeMs;
    }),
    0,
  );
}
