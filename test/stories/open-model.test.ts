import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { iris, runJson, startSandbox, startStream } from '../support/story.js';

it('a model whose customer opened it is collected from another key, to the same bytes, and leaves nothing but itself', async () => {
  const sandbox = await startSandbox(2);
  const job = join(sandbox.folder, 'job.json');
  // 20,000 parameters: several chunks and an index.
  const terms = { model: 'mlp', hidden: [2_500], rounds: 1, trainers: 2, epochs: 2, access: 'open', rail: 'none' };
  writeFileSync(job, JSON.stringify(terms));
  const publish = ['publish-dataset', iris, '--label', 'species', '--shards', '2', '--job', job];
  const published = await runJson([...publish, ...sandbox.as('customer')]);
  expect(published.status, published.stderr).toBe(0);
  const id = String(published.document['job']);
  const trainers = ['trainer-1', 'trainer-2'].map((name) =>
    startStream(['serve-trainer', ...sandbox.as(name), '--price', '0', '--once']),
  );
  const [own, theirs] = [join(sandbox.folder, 'own'), join(sandbox.folder, 'theirs')];
  const collected = await runJson(['collect-model', id, '--out', own, '--timeout', '2m', ...sandbox.as('customer')]);
  expect(collected.status, collected.stderr).toBe(0);
  for (const { end } of trainers) expect((await end).status).toBe(0);

  const stranger = sandbox.as('trainer-1', 'stranger');
  const other = await runJson(['collect-model', id, '--out', theirs, ...stranger]);
  expect(other.status, other.stderr).toBe(0);
  expect(other.document).toMatchObject({ job: id, model: collected.document['model'], rounds: 1, verified: true });
  const weights = (dir: string) => readFileSync(join(dir, 'model.safetensors'));
  expect(weights(theirs).length).toBeGreaterThan(70_000);
  expect(Buffer.compare(weights(theirs), weights(own))).toBe(0);
  expect(readdirSync(theirs).sort()).toEqual(
    readdirSync(own)
      .filter((name) => name !== 'audit-keys.json')
      .sort(),
  );
  const home = join(sandbox.folder, 'stranger');
  expect(readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.sealed'))).toEqual(
    [],
  );
  // No job of this home: `status` would list it.
  expect(existsSync(join(home, 'jobs'))).toBe(false);
});
