import { spawn, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { binary, finished, isolatedEnv, temporaryFolder } from '../support/run-nmkt.js';

/** util-linux's script(1) gives a program a terminal; macOS and BSD take other arguments. */
const hasTerminal = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

async function onTerminal(words: string, env: Readonly<Record<string, string>>): Promise<string> {
  const folder = temporaryFolder();
  const child = spawn('script', ['-qec', `'${process.execPath}' '${binary}' ${words}`, '/dev/null'], {
    cwd: folder,
    env: isolatedEnv(folder, env),
  });
  return (await finished(child)).stdout;
}

describe.runIf(hasTerminal)('on a terminal', () => {
  const red = '\x1b[31merror:\x1b[39m';

  it('an error is red', async () => {
    expect(await onTerminal('nonsense', { TERM: 'xterm' })).toContain(red);
  });

  it('NO_COLOR, TERM=dumb, --no-color and --quiet turn colour off', async () => {
    for (const [words, env] of [
      ['nonsense', { TERM: 'xterm', NO_COLOR: '1' }],
      ['nonsense', { TERM: 'dumb' }],
      ['nonsense --no-color', { TERM: 'xterm' }],
      ['nonsense --quiet', { TERM: 'xterm' }],
    ] as const)
      expect(await onTerminal(words, env)).not.toContain('\x1b');
  });
});
