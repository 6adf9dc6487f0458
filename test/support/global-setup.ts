import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const KERNELS = join('src', 'kernels', 'asm');

/** Builds dist once when a source is newer: tests of commands run the real binary. */
export default function setup(): void {
  buildCode();
  buildKernels();
}

function buildCode(): void {
  const built = 'dist/.tsbuildinfo';
  if (existsSync(built) && existsSync('dist/cli.js') && newest('src', KERNELS) < statSync(built).mtimeMs) return;
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { encoding: 'utf8' });
  // tsc writes the code of a tree with type errors too; `npm run typecheck` is what refuses them.
  if (status !== 0) process.stderr.write(`tsc:\n${stdout}`);
}

/** AssemblyScript: another compiler, so another file to look at. */
function buildKernels(): void {
  const built = 'dist/kernels/kernels.wasm';
  if (existsSync(built) && newest(KERNELS) < statSync(built).mtimeMs) return;
  const asc = join('node_modules', 'assemblyscript', 'bin', 'asc.js');
  if (!existsSync(asc)) {
    process.stderr.write('the compiler of src/kernels is not installed: npm ci\n');
    return;
  }
  const { status, stderr } = spawnSync(process.execPath, [asc, '--config', join(KERNELS, 'asconfig.json')], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`asc:\n${stderr}`);
}

function newest(folder: string, besides?: string): number {
  return Math.max(
    ...readdirSync(folder, { withFileTypes: true }).map((entry) => {
      const path = join(folder, entry.name);
      if (path === besides) return 0;
      return entry.isDirectory() ? newest(path, besides) : statSync(path).mtimeMs;
    }),
    0,
  );
}
