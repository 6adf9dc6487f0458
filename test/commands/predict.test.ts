import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DataSchema, ModelSpec, ParamSet } from '../../src/learning/types.js';
import { writeModelFiles } from '../../src/training/model-files.js';
import { binary, finished, isolatedEnv, runNmkt, temporaryFolder } from '../support/run-nmkt.js';

const numeric = (name: string) =>
  ({ name, kind: 'numeric', mean: '1.000000000', stdDev: '2.000000000', fill: '1.000000000' }) as const;
const table = (extra: Partial<DataSchema>): DataSchema => ({
  ...{ task: 'classification', shape: [2], inputs: 2, dtype: 'F32', scale: 1, outputs: 2, label: 'kind' },
  ...{ classes: ['cat', 'dog'], columns: [numeric('a'), numeric('b')], ...extra },
});
const logreg: ModelSpec = { model: 'logreg', task: 'classification', inputs: 2, outputs: 2, hidden: [] };

function params(spec: ModelSpec, kernel: readonly number[], bias: readonly number[]): ParamSet {
  return [
    { name: 'dense_0/bias', shape: [spec.outputs], data: Float32Array.from(bias) },
    { name: 'dense_0/kernel', shape: [spec.inputs, spec.outputs], data: Float32Array.from(kernel) },
  ];
}

/** P(cat) = 3/4 where both columns are at their mean; the first column adds ln 3 per standard deviation to cat. */
async function animals(folder: string, schema: unknown = table({})): Promise<string> {
  const dir = join(folder, 'model');
  const ln3 = Math.log(3);
  await writeModelFiles(dir, logreg, params(logreg, [ln3, 0, 0, 0], [ln3, 0]), { job: 'ab'.repeat(32), schema });
  return dir;
}

function file(folder: string, name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** IDX: two zero bytes, type u8, number of dimensions, sizes, data. */
function idx(shape: readonly number[], data: readonly number[]): Uint8Array {
  const sizes = shape.flatMap((size) => [0, 0, size >> 8, size & 255]);
  return Uint8Array.from([0, 0, 8, shape.length, ...sizes, ...data]);
}

/** The rung that starts fastest. */
const predict = (dir: string, data: string, ...flags: string[]) =>
  runNmkt(['predict', dir, data, '--engine', 'cpu', ...flags]);

const rows = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** The rung that was asked for. */
const engine = expect.stringMatching(/^cpu\//) as string;

describe('nmkt predict', () => {
  it('prints one object per row with the class and the probability of each class', async () => {
    const folder = temporaryFolder();
    const data = file(folder, 'new.csv', 'b,a\n5,1\n5,-3\n5,3\n');
    const { status, stdout, stderr } = await predict(await animals(folder), data, '--json');
    expect([status, stderr]).toEqual([0, '']);
    // a = 1, -3, 3 is 0, -2, 1 standard deviations: odds 3, 1/3, 9.
    expect(rows(stdout)).toEqual([
      { row: 0, prediction: 'cat', probabilities: { cat: 0.75, dog: 0.25 }, engine },
      { row: 1, prediction: 'dog', probabilities: { cat: 0.25, dog: 0.75 }, engine },
      { row: 2, prediction: 'cat', probabilities: { cat: 0.9, dog: 0.1 }, engine },
    ]);
  });

  it('prints a line per row for people, at most --limit, and accuracy on stderr where there are labels', async () => {
    const folder = temporaryFolder();
    const data = file(folder, 'test.csv', 'a,b,kind\n1,5,cat\n-3,5,cat\n3,5,dog\n');
    const { status, stdout, stderr } = await predict(await animals(folder), data, '--limit', '2');
    expect(status).toBe(0);
    expect(stdout).toBe('0  cat  0.7500\n1  dog  0.7500\n');
    expect(stderr).toMatch(/^accuracy 0\.5, loss \d\.\d+ on 2 labelled rows, by cpu\/\S+\n$/);
  });

  it('scales bytes of images as training did, and names classes as the labels were', async () => {
    const folder = temporaryFolder();
    const images = file(folder, 'test-images-idx3-ubyte', idx([2, 1, 2], [255, 0, 0, 255]));
    file(folder, 'test-labels-idx1-ubyte', idx([2], [3, 3]));
    const schema = { task: 'classification', shape: [1, 2], inputs: 2, dtype: 'U8', scale: 255, outputs: 2 };
    const dir = await animals(folder, { ...schema, classes: ['3', '7'] });
    const { status, stdout, stderr } = await predict(dir, images, '--json');
    expect(status).toBe(0);
    // 255 / 255 = 1 adds ln 3 once: odds 9, then 3.
    expect(rows(stdout)).toEqual([
      { row: 0, prediction: '3', probabilities: { 3: 0.9, 7: 0.1 }, engine },
      { row: 1, prediction: '3', probabilities: { 3: 0.75, 7: 0.25 }, engine },
    ]);
    expect(stderr).toContain('accuracy 1,');
  });

  it('gives values in the units of the target, without probabilities', async () => {
    const folder = temporaryFolder();
    const spec: ModelSpec = { model: 'logreg', task: 'regression', inputs: 2, outputs: 1, hidden: [] };
    const { classes: _, ...columns } = table({ task: 'regression', outputs: 1, label: 'price' });
    const target = { name: 'price', mean: '100.000000000', stdDev: '10.000000000' };
    const dir = join(folder, 'model');
    await writeModelFiles(dir, spec, params(spec, [1, 0], [0.5]), { schema: { ...columns, target } });
    const data = file(folder, 'new.csv', 'a,b,price\n1,1,105\n3,1,125\n');
    const { status, stdout, stderr } = await predict(dir, data, '--json');
    expect(status).toBe(0);
    expect(rows(stdout)).toEqual([
      { row: 0, prediction: 105, probabilities: null, engine },
      { row: 1, prediction: 115, probabilities: null, engine },
    ]);
    expect(stderr).toContain('loss 0.5, mae 5, rmse 7.07107 on 2 labelled rows');
  });

  it('measures a text by perplexity and bits per character', async () => {
    const folder = temporaryFolder();
    const spec: ModelSpec = { model: 'logreg', task: 'classification', inputs: 1, outputs: 2, hidden: [] };
    const about = { task: 'classification', shape: [1], inputs: 1, dtype: 'U8', scale: 1, outputs: 2 };
    const dir = join(folder, 'model');
    // After a (0) comes b with odds 3, after b (1) comes a with odds 3.
    const weights = params(spec, [0, -2 * Math.log(3)], [0, Math.log(3)]);
    await writeModelFiles(dir, spec, weights, { schema: { ...about, text: { tokenizer: 'char', characters: 'ab' } } });
    const { stderr } = await predict(dir, file(folder, 'new.txt', 'ababa'));
    // -log2(3 / 4) bits each.
    expect(stderr).toContain('accuracy 1, loss 0.287682, perplexity 1.33333, bitsPerCharacter 0.415037 on 4');
  });

  it('streams a large output, and ends in peace when the reader leaves', async () => {
    const folder = temporaryFolder();
    const data = file(folder, 'many.csv', `a,b\n${'1,5\n'.repeat(20_000)}`);
    const dir = await animals(folder);
    const all = await predict(dir, data, '--json', '--quiet');
    expect(rows(all.stdout).map(({ row }) => row)).toEqual(Array.from({ length: 20_000 }, (_, row) => row));
    const script = 'set -o pipefail; "$1" "$2" predict "$3" "$4" --engine cpu --json | head -n 1';
    const shell = spawn('bash', ['-c', script, 'bash', process.execPath, binary, dir, data], {
      cwd: folder,
      env: isolatedEnv(folder),
    });
    const head = await finished(shell);
    expect(head).toMatchObject({ status: 0, stderr: '' });
    expect(rows(head.stdout)).toHaveLength(1);
  });

  it.each([
    ['a folder that is not there', 'nowhere', 'a,b\n1,5\n', 'bad-usage', 2],
    ['a table without the columns of the model', 'model', 'a,c\n1,5\n', 'bad-dataset', 2],
    ['a cell that is no number', 'model', 'a,b\n1,x\n', 'bad-dataset', 2],
  ])('refuses %s', async (_, dir, content, code, expected) => {
    const folder = temporaryFolder();
    await animals(folder);
    const data = file(folder, 'new.csv', content);
    const { status, stdout } = await predict(join(folder, dir), data, '--json');
    expect(status).toBe(expected);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code, remedy: expect.stringMatching(/./) } });
  });

  it.each([
    ['of something else', '{"format":"layers-model","modelTopology":{}}'],
    ['that is no JSON', 'hello'],
  ])('refuses a model.json %s', async (_, content) => {
    const folder = temporaryFolder();
    const data = file(folder, 'new.csv', 'a,b\n1,5\n');
    file(folder, 'model.json', content);
    const { status, stdout } = await predict(folder, data, '--json');
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'bad-job' } });
  });

  it.each([
    ['no schema', null],
    ['a schema of other inputs', table({ inputs: 3, shape: [3] })],
    ['two classes of one name', table({ classes: ['cat', 'cat'] })],
  ])('refuses a model with %s', async (_, schema) => {
    const folder = temporaryFolder();
    const data = file(folder, 'new.csv', 'a,b\n1,5\n');
    const { status, stdout } = await predict(await animals(folder, schema), data, '--json');
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'bad-job' } });
  });
});
