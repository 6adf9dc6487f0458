import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { finished, runNmkt, startNmkt, temporaryFolder } from '../support/run-nmkt.js';

interface DemoDocument {
  readonly accuracy: number;
  readonly rounds: number;
  readonly trainers: readonly { readonly pubkey: string; readonly rounds: number; readonly paidMsat: number }[];
  readonly paidMsat: number;
  readonly invoices: number;
  readonly audit: string;
  readonly modelDir: string;
  readonly wallSeconds: number;
  readonly chance: number;
  readonly initialAccuracy: number;
  readonly soloAccuracy: number;
}

/** Command lines of all processes that name this folder. */
function processesOf(folder: string): string[] {
  const all = execFileSync('ps', ['-A', '-ww', '-o', 'args='], { encoding: 'utf8' });
  return all.split('\n').filter((line) => line.includes(folder));
}

/** Resolves when stderr has said this. */
async function said(child: ReturnType<typeof startNmkt>, text: string): Promise<void> {
  let heard = '';
  return new Promise((resolve, reject) => {
    child.once('close', (status) => reject(new Error(`ended with ${status} before "${text}":\n${heard}`)));
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      heard += part;
      if (heard.includes(text)) resolve();
    });
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

describe('nmkt demo', () => {
  it('trains, pays, audits and explains itself, and leaves a model and nothing else', async () => {
    const folder = temporaryFolder();
    const temporary = join(folder, 'tmp');
    const here = join(folder, 'here');
    mkdirSync(temporary);
    mkdirSync(here);
    const env = { TMPDIR: temporary, HOME: folder };
    const { status, stdout, stderr } = await runNmkt(['demo', '--json'], { cwd: here, env });
    expect([status, stderr]).toEqual([0, expect.stringContaining('round 3 of 3: accuracy')]);
    expect(stdout.endsWith('}\n') && stdout.indexOf('\n') === stdout.length - 1).toBe(true);
    const document = JSON.parse(stdout) as DemoDocument;
    expect(Object.keys(document)).toEqual([
      ...['accuracy', 'rounds', 'trainers', 'paidMsat', 'invoices', 'audit', 'modelDir', 'wallSeconds'],
      ...['chance', 'initialAccuracy', 'soloAccuracy'],
    ]);
    expect(document).toMatchObject({ rounds: 3, audit: 'PASS', chance: 0.1, modelDir: join(here, 'nmkt-demo-model') });
    expect(document.accuracy).toBeGreaterThanOrEqual(0.95);
    expect(document.initialAccuracy).toBeLessThan(0.35);
    expect(document.soloAccuracy).toBeGreaterThan(0.8);
    expect(document.soloAccuracy).toBeLessThan(document.accuracy);
    expect(document.wallSeconds).toBeGreaterThan(0);

    const { trainers } = document;
    expect(new Set(trainers.map(({ pubkey }) => pubkey)).size).toBe(3);
    for (const { pubkey, rounds, paidMsat } of trainers) {
      expect(pubkey).toMatch(/^[0-9a-f]{64}$/);
      expect(paidMsat).toBe(rounds * 300_000);
    }
    expect(document.paidMsat).toBe(sum(trainers.map(({ paidMsat }) => paidMsat)));
    expect(document.invoices).toBe(sum(trainers.map(({ rounds }) => rounds)));
    expect(document.invoices).toBeGreaterThanOrEqual(6);

    expect(readdirSync(temporary)).toEqual([]);
    expect(readdirSync(here)).toEqual(['nmkt-demo-model']);
    expect(processesOf(folder)).toEqual([]);

    // The next command that stderr named.
    const next = /^next: nmkt (.+)$/m.exec(stderr)![1]!.split(' ');
    expect(next.slice(0, 2)).toEqual(['predict', 'nmkt-demo-model']);
    const predicted = await runNmkt([...next, '--json'], { cwd: here, env });
    expect(predicted.status).toBe(0);
    const labels = readFileSync(join(here, 'nmkt-demo-model', 'new-labels-idx1-ubyte')).subarray(8);
    const rows = predicted.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { prediction: string });
    expect(rows.filter(({ prediction }, row) => prediction === `${labels[row]!}`).length).toBeGreaterThanOrEqual(8);
  });

  it('with validators they score, are paid, and stand in the document', async () => {
    const folder = temporaryFolder();
    const call = ['demo', '--trainers', '2', '--validators', '2', '--rounds', '1', '--model', 'logreg', '--json'];
    const { status, stdout, stderr } = await runNmkt(call, { cwd: folder, env: { HOME: folder } });
    expect(status, stderr).toBe(0);
    const document = JSON.parse(stdout) as DemoDocument & { readonly validators: DemoDocument['trainers'] };
    expect(document).toMatchObject({ audit: 'PASS', paidMsat: 640_000, invoices: 4 });
    expect(document.validators.map(({ rounds, paidMsat }) => [rounds, paidMsat])).toEqual([
      [1, 20_000],
      [1, 20_000],
    ]);
  });

  it('interrupted, leaves no process; run again with the same folder, goes on with the same job', async () => {
    const folder = temporaryFolder();
    const args = ['demo', '--dir', join(folder, 'kept'), '--trainers', '2', '--rounds', '2', '--model', 'logreg'];
    const child = startNmkt(args, { cwd: folder });
    const end = finished(child);
    await said(child, 'round 1: committed');
    expect(processesOf(folder).length).toBeGreaterThanOrEqual(4);
    child.kill('SIGINT');
    const { status, stdout, stderr } = await end;
    expect([status, stdout]).toEqual([130, '']);
    expect(stderr).toContain('code: interrupted');
    expect(processesOf(folder)).toEqual([]);

    const again = await runNmkt([...args, '--quiet'], { cwd: folder });
    expect([again.status, again.stderr]).toEqual([0, '']);
    expect(again.stdout).toContain('Audit: PASS');
    expect(again.stdout).toMatch(/together +1200/);
    expect(readdirSync(join(folder, 'kept', 'customer', 'jobs'))).toHaveLength(1);
    expect(readdirSync(folder)).toEqual(['kept']);
  });

  it('killed without a chance to clean up, takes its processes with it', async () => {
    const folder = temporaryFolder();
    const child = startNmkt(['demo', '--dir', join(folder, 'kept')], { cwd: folder });
    const end = finished(child);
    await said(child, 'bid 300 sat');
    child.kill('SIGKILL');
    await end;
    await vi.waitFor(() => expect(processesOf(folder)).toEqual([]), { timeout: 20_000, interval: 100 });
  });

  it('ends with the error of whoever failed, and leaves no process', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'rows.csv'), 'a,b\n1,x\n');
    const args = ['demo', '--dir', 'kept', '--data', 'rows.csv', '--label', 'colour', '--json'];
    const { status, stdout } = await runNmkt(args, { cwd: folder });
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    expect([status, error.code]).toEqual([2, 'label-missing']);
    expect(error.message).toMatch(/^customer: /);
    expect(processesOf(folder)).toEqual([]);
  });

  it('refuses what it cannot do before it starts anything', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'nmkt-demo-model'));
    writeFileSync(join(folder, 'nmkt-demo-model', 'thesis.txt'), 'mine');
    const refusals: [string[], Record<string, string>, string][] = [
      [['--trainers', '0'], {}, '--trainers'],
      [['--model', 'zzz'], {}, 'logreg, mlp, cnn, gpt'],
      [['--label', 'quality'], {}, '--data PATH'],
      [[], { NMKT_NETWORK: 'bitcoin' }, 'play money only'],
      [[], {}, 'holds no model'],
    ];
    for (const [flags, env, words] of refusals) {
      const { status, stdout, stderr } = await runNmkt(['demo', ...flags], { cwd: folder, env });
      expect([status, stdout, stderr]).toEqual([2, '', expect.stringContaining(words)]);
    }
    expect(readdirSync(folder)).toEqual(['nmkt-demo-model']);
  });
});
