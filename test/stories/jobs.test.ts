import { readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { iris, runJson, startSandbox, startStream, type Json, type Sandbox, type Stream } from '../support/story.js';

/** One trainer, two jobs at once: each has a worker of its own. */

/** Publishes and posts as a customer of its own; @returns the job, and how to lead it to its end */
async function post(sandbox: Sandbox, name: string, localSteps: number) {
  const own = sandbox.as(name);
  const data = await runJson(['publish-dataset', iris, '--label', 'species', '--shards', '1', ...own]);
  const flags = ['--rail', 'none', '--rounds', '1', '--trainers', '1', '--hidden', '16', '--batch', '8'];
  const dataset = data.document['snapshot'] as string;
  const posted = await runJson(['post-job', '--dataset', dataset, ...flags, '--local-steps', `${localSteps}`, ...own]);
  const job = posted.document['job'] as string;
  const out = join(sandbox.folder, `model-${name}`);
  return {
    job,
    folder: join(sandbox.folder, 'trainer-1', 'jobs', job),
    collect: () => startStream(['collect-model', job, '--out', out, '--timeout', '3m', ...own]),
    audit: () => runJson(['audit', job, ...own]),
  };
}

const serve = (sandbox: Sandbox, ...flags: string[]): Stream =>
  startStream(['serve-trainer', ...sandbox.as('trainer-1'), '--price', '0', '--parallel', '2', ...flags]);

const of = (job: string, event: string) => (said: Json) => said['job'] === job && said['event'] === event;

async function stop(stream: Stream, signal: NodeJS.Signals): Promise<void> {
  stream.child.kill(signal);
  await stream.end;
}

async function fileIn(folder: string, name: RegExp): Promise<void> {
  const found = new Promise<void>((resolve) => {
    const look = (): boolean => readdirSync(folder).some((file) => name.test(file));
    const watcher = watch(folder, () => {
      if (look()) done();
    });
    const done = (): void => {
      watcher.close();
      resolve();
    };
    if (look()) done();
  });
  return found;
}

it('a job over its time dies with its reason, the one beside it is finished and the trainer goes on', async () => {
  const sandbox = await startSandbox(3);
  const posts = [post(sandbox, 'trainer-2', 1_000_000), post(sandbox, 'trainer-3', 20)] as const;
  const [endless, short] = await Promise.all(posts);
  const trainer = serve(sandbox, '--max-minutes', '0.05');
  expect(await trainer.event(({ event }) => event === 'ready')).toMatchObject({ parallel: 2 });
  const stuck = endless.collect();
  await trainer.event(of(endless.job, 'round'));
  const collecting = short.collect();
  expect(await trainer.event(of(endless.job, 'error'))).toMatchObject({
    ...{ code: 'training-failed', message: 'the call took longer than the limit', expected: 'at most 0.05 minutes' },
  });
  expect((await collecting.end).status).toBe(0);
  expect(await trainer.event(of(short.job, 'done'))).toMatchObject({ rounds: 1 });
  expect(trainer.child.exitCode).toBe(null);
  expect(collecting.events[0]).toMatchObject({ rounds: 1, verified: true });
  await Promise.all([stop(stuck, 'SIGINT'), stop(trainer, 'SIGTERM')]);
}, 120_000);

it('a trainer killed while it trains two jobs goes on with both, to the same bytes', async () => {
  const sandbox = await startSandbox(3);
  const jobs = await Promise.all([post(sandbox, 'trainer-2', 2000), post(sandbox, 'trainer-3', 2000)]);
  const killed = serve(sandbox);
  await Promise.all(jobs.map(({ job }) => killed.event(of(job, 'bid'))));
  const collecting = jobs.map(({ collect }) => collect());
  await Promise.all(jobs.map(({ folder }) => fileIn(folder, /^state-.*-1\.safetensors$/)));
  await stop(killed, 'SIGKILL');
  expect(killed.events.filter(({ event }) => event === 'committed')).toEqual([]);

  const trainer = serve(sandbox);
  for (const { end } of collecting) expect((await end).status).toBe(0);
  await Promise.all(jobs.map(({ job }) => trainer.event(of(job, 'done'))));
  await stop(trainer, 'SIGTERM');
  expect((await trainer.end).stderr.match(/going on after step \d+/g)).toHaveLength(2);
  // What the trainer committed to, segment by segment, is what the audit gets.
  for (const { document } of await Promise.all(jobs.map(({ audit }) => audit())))
    expect(document).toMatchObject({ verdict: 'PASS', level: 'data', repeated: { why: null } });
}, 120_000);
