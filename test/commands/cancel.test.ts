import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runNmkt } from '../support/run-nmkt.js';
import { iris, runJson, startSandbox, startStream, type Sandbox } from '../support/story.js';

const PRICE_MSAT = 100_000;

async function post(sandbox: Sandbox, job: object): Promise<string> {
  const file = join(sandbox.folder, 'job.json');
  writeFileSync(file, JSON.stringify({ maxPriceSats: 100, trainers: 2, model: 'logreg', ...job }));
  const args = ['publish-dataset', iris, '--label', 'species', '--job', file, ...sandbox.as('customer')];
  const { status, document, stderr } = await runJson(args);
  expect(status, stderr).toBe(0);
  return document['job'] as string;
}

it('ends a job that nobody was awarded: a waiting trainer leaves with job-closed, and a second run changes nothing', async () => {
  const sandbox = await startSandbox(2);
  const job = await post(sandbox, { rounds: 3 });
  const serve = ['serve-trainer', '--job', job, '--price', '100', '--once', ...sandbox.as('trainer-1')];
  const trainer = startStream(serve);
  await trainer.event(({ event }) => event === 'bid');

  const stranger = await runJson(['cancel', job, ...sandbox.as('trainer-2')]);
  expect([stranger.status, stranger.document]).toMatchObject([4, { error: { code: 'not-your-job' } }]);
  const lines = await runJson(['cancel', job, '--reason', 'a\nb', ...sandbox.as('customer')]);
  expect([lines.status, lines.document]).toMatchObject([2, { error: { code: 'bad-usage' } }]);

  const args = ['cancel', job, '--reason', 'wrong labels', ...sandbox.as('customer')];
  const first = await runJson(args);
  expect([first.status, first.document]).toEqual([
    0,
    {
      ...{ job, cancelled: expect.stringMatching(/^[0-9a-f]{64}$/) as string, reason: 'wrong labels' },
      ...{ rounds: 0, paidMsat: 0, owedMsat: 0, unpaid: 0 },
    },
  ]);
  expect(first.stderr).toContain(`next: nmkt audit ${job}`);

  const { status, stderr } = await trainer.end;
  expect([status, stderr]).toEqual([5, expect.stringContaining('code: job-closed')]);
  expect(trainer.events.at(-1)).toMatchObject({
    error: { code: 'job-closed', got: expect.stringContaining('wrong labels') },
  });
  expect(trainer.events.at(-2)).toMatchObject({ event: 'lost', job });

  const stored = sandbox.relayEvents().length;
  const second = await runJson(['cancel', job, ...sandbox.as('customer')]);
  expect([second.status, second.document]).toEqual([0, first.document]);
  expect(second.stderr).toContain('this job was cancelled before');
  expect(sandbox.relayEvents()).toHaveLength(stored);

  const late = await runNmkt([...serve, '--json']);
  expect([late.status, late.stdout]).toEqual([5, expect.stringContaining('job-closed')]);
  const collect = await runJson(['collect-model', job, '--out', join(sandbox.folder, 'm'), ...sandbox.as('customer')]);
  expect([collect.status, collect.document]).toMatchObject([5, { error: { code: 'job-closed' } }]);
}, 60_000);

it('pays what was accepted, once, and lets the trainers go', async () => {
  const sandbox = await startSandbox(2);
  const job = await post(sandbox, { rounds: 5, localSteps: 4_000, batch: 8 });
  const customer = sandbox.as('customer');
  const trainers = ['trainer-1', 'trainer-2'].map((name) =>
    startStream(['serve-trainer', '--job', job, '--price', '100', '--once', ...sandbox.as(name)]),
  );
  const collecting = startStream(['collect-model', job, '--out', join(sandbox.folder, 'm'), ...customer]);
  await Promise.all(trainers.map((trainer) => trainer.event(({ event }) => event === 'accepted')));
  collecting.child.kill('SIGINT');
  expect((await collecting.end).status).toBe(130);

  const { status, document, stderr } = await runJson(['cancel', job, ...customer]);
  expect(status, stderr).toBe(0);
  const rounds = document['rounds'] as number;
  expect(rounds).toBeGreaterThanOrEqual(1);
  expect(document).toMatchObject({ job, reason: '', paidMsat: 2 * rounds * PRICE_MSAT, owedMsat: 0, unpaid: 0 });
  for (const trainer of trainers) {
    expect((await trainer.end).status).toBe(0);
    expect(trainer.events.at(-1)).toMatchObject({ event: 'done', rounds, paidMsat: rounds * PRICE_MSAT });
  }
  const books = sandbox.books();
  expect(books.payments).toHaveLength(2 * rounds);
  const audited = await runJson(['audit', job, ...customer]);
  expect([audited.status, audited.document]).toMatchObject([0, { verdict: 'PASS', phase: 'cancelled' }]);
  const shown = await runNmkt(['status', job, ...customer]);
  expect(shown.stdout).toMatch(/^phase +cancelled$/m);
}, 90_000);
