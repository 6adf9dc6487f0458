import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RUN_VARIABLE } from './secrets/outputs.js';
import { leaksOfRun } from './secrets/run.js';

/**
 * No output, log, state file or event of the whole run may show a secret: tests and what they start leave them in one
 * folder, and when all have ended it is searched. The run fails with the place and the kind of what was found.
 */
export default function setup(): () => void {
  const dir = mkdtempSync(join(tmpdir(), 'nmkt-run-'));
  process.env[RUN_VARIABLE] = dir;
  return () => {
    const start = performance.now();
    const { secrets, outputBytes, leaks } = leaksOfRun(dir);
    if (process.env['NMKT_TEST_KEEP'] === undefined) rmSync(dir, { recursive: true });
    const took = `${((performance.now() - start) / 1000).toFixed(1)} s`;
    const what = `${secrets} secrets in ${(outputBytes / 2 ** 20).toFixed(1)} MiB of outputs and events, ${took}`;
    if (leaks.length === 0) return console.log(`secrets: none shown (${what})`);
    for (const { secret, form, where } of leaks) console.error(`secrets: ${secret} as ${form} in ${where}`);
    process.exitCode = 1;
    throw new Error(`secrets: ${leaks.length} shown (${what})`);
  };
}
