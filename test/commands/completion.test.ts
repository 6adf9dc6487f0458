import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { commands } from '../../src/commands/index.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';

const has = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0;

async function scriptOf(shell: string): Promise<string> {
  const { status, stdout, stderr } = await runNmkt(['completion', shell]);
  expect(status, stderr).toBe(0);
  return stdout;
}

it('bash completes commands, options, choices and paths', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'script');
  writeFileSync(file, await scriptOf('bash'));
  mkdirSync(join(folder, 'place'));
  const complete = (...words: string[]) => {
    const run = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _nmkt; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = execFileSync('bash', ['-c', run, 'bash', file, 'nmkt', ...words], { cwd: folder, encoding: 'utf8' });
    return out.split('\n').filter((word) => word !== '');
  };
  expect(complete('').sort()).toEqual([...commands.map(({ name }) => name), '--help', '--version'].sort());
  expect(complete('stat')).toEqual(['status']);
  expect(complete('doctor', '--no-p')).toEqual(['--no-probe']);
  expect(complete('bid', '--pri')).toEqual(['--price']);
  expect(complete('init', '--role', 't')).toEqual(['trainer']);
  expect(complete('bid', '--network', 'sig')).toEqual(['signet']);
  expect(complete('whoami', '--engine', '').sort()).toEqual(['auto', 'cpu', 'node', 'wasm', 'webgpu']);
  expect(complete('--json', 'whoami', '--home', 'pl')).toEqual(['place']);
  expect(complete('completion', 'z')).toEqual(['zsh']);
  expect(complete('bid', '--price', '')).toEqual([]);
});

it.skipIf(!has('zsh'))('zsh takes the script (SKIP where zsh is absent)', async () => {
  const file = join(temporaryFolder(), 'script');
  writeFileSync(file, await scriptOf('zsh'));
  const run = 'autoload -U compinit && compinit -u -D; source "$1"; print -r -- $_comps[nmkt]';
  expect(execFileSync('zsh', ['-fc', run, 'zsh', file], { encoding: 'utf8' })).toContain('_nmkt');
});

it.skipIf(!has('fish'))('fish completes with the script (SKIP where fish is absent)', async () => {
  const file = join(temporaryFolder(), 'script');
  writeFileSync(file, await scriptOf('fish'));
  const ask = (text: string) =>
    execFileSync('fish', ['-N', '-c', `source ${file}; complete -C ${JSON.stringify(text)}`], { encoding: 'utf8' });
  expect(ask('nmkt stat')).toMatch(/^status\b/m);
  expect(ask('nmkt doctor --no-p')).toMatch(/^--no-probe\b/m);
});
