import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { finished, runNmkt, startNmkt, temporaryFolder } from '../support/run-nmkt.js';

/** A market in memory, through the real binary. */

const CALL = ['simulate', 'job.json', '--training', 'stub', '--trainers', '6', '--attack', 'zero:0.34', '--json'];

function folder(job: unknown = { rounds: 2 }): string {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'job.json'), JSON.stringify(job));
  return cwd;
}

it('gives the same bytes and the same model in two processes, and others for another seed', async () => {
  const cwd = folder();
  const simulated = async (out: string, ...more: string[]) => {
    const { status, stdout, stderr } = await runNmkt([...CALL, '--out', out, ...more], { cwd });
    expect(status, stderr).toBe(0);
    const { dir: _, wallSeconds: __, ...document } = JSON.parse(stdout) as Record<string, unknown>;
    const files = ['rounds.csv', 'rounds.svg'].map((name) => readFileSync(join(cwd, out, name), 'utf8'));
    return { document, files };
  };
  const first = await simulated('one');
  expect(await simulated('two')).toEqual(first);
  const other = await simulated('three', '--seed', '7');
  expect(other.document['weights']).not.toBe(first.document['weights']);

  // 2 of 6 send no change, in equal bytes: 4 updates of 300 sat are paid in each of two rounds.
  expect(first.document['attackers']).toEqual({ zero: 2 });
  expect(first.document['classes']).toEqual([
    { class: 'honest', trainers: 4, seated: 4, accepted: 8, rejected: {}, barred: 0, paidSats: 2_400 },
    { class: 'zero', trainers: 2, seated: 2, accepted: 0, rejected: { copy: 4 }, barred: 0, paidSats: 0 },
  ]);
  const rows = first.files[0]!.trim().split('\n');
  expect(rows).toHaveLength(3);
  expect(rows[1]).toMatch(/^1,0\.\d+,\d\.\d+,4,2,\d+,\d+,\d+,1200,1200,0,0\.\d+$/);
  expect(first.files[1]).toMatch(/^<svg .*<\/svg>\n$/s);
});

it('ends with status 2 for a job file with an unknown field, and writes nothing', async () => {
  const cwd = folder({ rounds: 2, colour: 'red' });
  const { status, stdout } = await runNmkt(CALL, { cwd });
  expect(status).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'bad-job', got: 'colour' } });
});

it('trains for real where it is not told otherwise', async () => {
  const cwd = folder({ model: 'mlp', hidden: [16], rounds: 1, trainers: 3, epochs: 1 });
  const { status, stdout, stderr } = await runNmkt(['simulate', 'job.json', '--json'], { cwd });
  expect(status, stderr).toBe(0);
  const document = JSON.parse(stdout) as { accuracy: number; engine: string; model: string };
  expect(document).toMatchObject({ training: 'real', model: 'mlp', trainers: 3, dir: 'nmkt-simulation' });
  expect(document.engine).toMatch(/^wasm/);
  expect(document.accuracy).toBeGreaterThan(0.2);
});

it('stops at Ctrl-C with status 130', async () => {
  const cwd = folder({ rounds: 1_000 });
  const child = startNmkt(['simulate', 'job.json', '--training', 'stub', '--trainers', '4'], { cwd });
  const ended = finished(child);
  await new Promise<void>((done) => {
    child.stderr!.on('data', (text: Buffer | string) => String(text).includes('round 2 of') && done());
  });
  child.kill('SIGINT');
  const { status, stderr } = await ended;
  expect(status, stderr).toBe(130);
  expect(stderr).toContain('code: interrupted');
});

it('measures text by its perplexity, and guesses by the most frequent token as publish-dataset does', async () => {
  const cwd = folder({ rounds: 1 });
  writeFileSync(join(cwd, 'words.txt'), 'aab'.repeat(400));
  const data = ['--tokenizer', 'char', '--context', '4'];
  const call = ['simulate', 'job.json', '--training', 'stub', '--trainers', '3', '--data', 'words.txt', ...data];
  const { status, stdout, stderr } = await runNmkt([...call, '--json'], { cwd });
  expect(status, stderr).toBe(0);
  const document = JSON.parse(stdout) as { loss: number; perplexity: number; chance: number };
  expect(document.perplexity).toBeCloseTo(Math.exp(document.loss), 9);
  // Two of three tokens are an a.
  expect(document.chance).toBeCloseTo(2 / 3, 2);
  const plan = await runNmkt(['publish-dataset', 'words.txt', ...data, '--dry-run', '--json'], { cwd });
  expect((JSON.parse(plan.stdout) as { chance: number }).chance).toBe(document.chance);
  expect(readFileSync(join(cwd, 'nmkt-simulation', 'rounds.svg'), 'utf8')).toContain('>loss<');
  const text = await runNmkt(call, { cwd });
  expect(text.stdout).toMatch(/^round +perplexity +accepted/);
  expect(text.stdout).toContain(`set B: perplexity ${document.perplexity.toFixed(2)}, accuracy `);
});
