import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const iris = resolve('examples/iris.csv');

describe('nmkt publish-dataset --dry-run', () => {
  it('shows every column and value that the public could see, the histogram of each shard, and the task', async () => {
    const folder = temporaryFolder();
    const rows = Array.from({ length: 40 }, (_, i) => `${i % 2 ? 'Oslo' : ''},"${i},5",${i % 4 < 2 ? 'yes' : 'no'}`);
    writeFileSync(join(folder, 'a.csv'), `city,"size, m2",sold\n${rows.join('\n')}\n`.replaceAll(',5"', '.5"'));
    const { status, stdout } = await runNmkt(['publish-dataset', 'a.csv', '--label', 'sold', '--dry-run'], {
      cwd: folder,
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^part +examples +no +yes$/m);
    expect(stdout).toMatch(/^A +4 +2 +2$/m);
    expect(stdout).toContain('classification of sold from 3 inputs into 2 classes: no, yes');
    expect(stdout).toMatch(/^city +categorical +\(missing\), Oslo$/m);
    expect(stdout).toMatch(/^size, m2 +numeric +mean 20, standard deviation 11\.5/m);
    expect(stdout).toContain('name (a.csv)');
  });

  it('shows the same of the same rows in another format, and keeps the rows of one owner together', async () => {
    const folder = temporaryFolder();
    const rows = Array.from({ length: 60 }, (_, i) => ({
      size: i / 4,
      who: `owner ${i % 4}`,
      warm: i % 2,
      big: i % 3 ? 1 : 0,
    }));
    const csv = ['size,who,warm,big', ...rows.map((row) => Object.values(row).join(','))].join('\n');
    writeFileSync(join(folder, 'a.csv'), csv);
    writeFileSync(join(folder, 'a.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
    const labels = ['--task', 'multilabel', '--label', 'warm,big'];
    const flags = [
      ...labels,
      '--partition-column',
      'who',
      '--drop',
      'who',
      '--shards',
      '2',
      '--name',
      'a',
      '--dry-run',
      '--json',
    ];
    const [first, second] = await Promise.all(
      ['a.csv', 'a.jsonl'].map((file) => runNmkt(['publish-dataset', file, ...flags], { cwd: folder })),
    );
    expect([first!.status, first!.stdout]).toEqual([0, second!.stdout]);
    const { schema, balance, chance, parts } = JSON.parse(first!.stdout) as Record<string, unknown>;
    expect(schema).toMatchObject({ task: 'multilabel', inputs: 1, classes: ['warm', 'big'] });
    expect([balance, chance]).toEqual([[30, 40], 7 / 12]);
    expect(parts).toHaveLength(4);
  });

  it('refuses a task that a table cannot have', async () => {
    const { status, stderr } = await runNmkt(['publish-dataset', iris, '--label', 'species', '--task', 'text']);
    expect(status).toBe(2);
    expect(stderr).toContain('expected classification or regression or multilabel, got text');
  });
});

it('nmkt publish-dataset run twice: the same dataset, and says so', async () => {
  const folder = temporaryFolder();
  const args = ['publish-dataset', iris, '--label', 'species', '--home', 'c', '--relay', await relayWith([]), '--json'];
  const first = await runNmkt(args, { cwd: folder });
  expect(first.status).toBe(0);
  expect(first.stderr).toContain('classification of species from 4 inputs');
  expect(first.stderr).not.toContain('sealed before');
  const second = await runNmkt(args, { cwd: folder });
  expect([second.status, second.stdout]).toEqual([0, first.stdout]);
  expect(second.stderr).toContain('this dataset was sealed before: the same events are published');
});
