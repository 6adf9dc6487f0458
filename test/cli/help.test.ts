import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/commands/index.js';
import { runNmkt } from '../support/run-nmkt.js';

describe('nmkt --help', () => {
  it('opens with an example and names every command with its summary, on stdout', async () => {
    const { status, stdout, stderr } = await runNmkt(['--help']);
    expect(status).toBe(0);
    expect(stderr).toBe('');
    expect(stdout.split('\n')[0]).toMatch(/^\$ nmkt demo/);
    for (const { name } of commands) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    expect(stdout).not.toContain('undefined');
  });

  it('answers fast: half of ten runs within a second on a busy machine (the bench holds it to 150)', async () => {
    const times: number[] = [];
    for (let run = 0; run < 10; run += 1) {
      const start = performance.now();
      await runNmkt(['--help']);
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[5]!;
    console.log(`nmkt --help: median of 10 runs ${median.toFixed(0)} ms`);
    expect(median).toBeLessThan(1000);
  });

  it('is what nmkt alone says, on stderr and with status 2', async () => {
    const { status, stdout, stderr } = await runNmkt([]);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toBe((await runNmkt(['-h'])).stdout);
  });

  it('of a command opens with an example and lists the options of every command', async () => {
    for (const words of [
      ['whoami', '--help'],
      ['help', 'whoami'],
    ]) {
      const { status, stdout } = await runNmkt(words);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^\$ nmkt whoami/);
      for (const flag of ['--home', '--relay', '--settings', '--key-file', '--wallet-file', '--engine', '--network'])
        expect(stdout).toContain(`${flag} <`);
    }
  });

  it.each(commands)('of $name opens with an example and says what --json prints', async ({ name }) => {
    const { status, stdout } = await runNmkt([name, '--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^\\$ nmkt ${name}\\b`));
    expect(stdout).toMatch(/with --json/i);
    expect(stdout).not.toMatch(/undefined|\[object/);
  });

  it('of a command shows its own options first and text defaults without quotes', async () => {
    const { stdout } = await runNmkt(['sandbox', '--help']);
    expect(stdout).toContain('(default 4)');
    expect(stdout.indexOf('--trainers <')).toBeLessThan(stdout.indexOf('--home <'));
    expect((await runNmkt(['status', '--help'])).stdout).toMatch(/-h, --help +print this\n/);
  });

  it('--version prints the version of the package', async () => {
    const { status, stdout } = await runNmkt(['--version']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
