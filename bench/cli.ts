import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import type { BenchResult } from './run.js';

const binary = fileURLToPath(new URL('../bin/nmkt.js', import.meta.url));
const runs = 21;
const targetMs = 150;

/** Start-up of the built binary (dist), each time a fresh process; `node` alone is the floor. */
export async function bench(): Promise<BenchResult> {
  const floor = medianMs(['-e', '0']);
  const help = medianMs([binary, '--help']);
  const whoami = medianMs([binary, 'whoami', '--json']);
  return {
    rows: [
      { command: 'node -e 0', medianMs: floor },
      { command: 'nmkt --help', medianMs: help },
      { command: 'nmkt whoami --json', medianMs: whoami },
    ],
    targets: [
      {
        name: 'nmkt --help, median',
        target: `below ${targetMs} ms`,
        got: `${help.toFixed(0)} ms`,
        ok: help < targetMs,
      },
    ],
  };
}

function medianMs(args: readonly string[]): number {
  const times = Array.from({ length: runs }, () => {
    const start = performance.now();
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}: ${stderr}`);
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[(runs - 1) / 2]!;
}
