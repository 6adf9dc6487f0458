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

  it('refuses a task that a table cannot have', async () => {
    const { status, stderr } = await runNmkt(['publish-dataset', iris, '--label', 'species', '--task', 'text']);
    expect(status).toBe(2);
    expect(stderr).toContain('expected classification or regression, got text');
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
