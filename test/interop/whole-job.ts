import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { iris, irisJob, runJson, startStream, type Json, type Sandbox } from '../support/story.js';

export interface WholeJob {
  readonly customer: readonly string[];
  /** naddr, as publish-dataset printed it. */
  readonly dataset: string;
  readonly job: string;
  /** nevent, as post-job printed it for the trainers. */
  readonly invitation: string;
  /** Every event of the job and every chunk, one a line. */
  readonly dump: string;
}

/** Dataset, job, two trainers, two rounds, payments, model, audit: by the real commands over one relay, paid by the sandbox's wallets. */
export async function wholeJob(sandbox: Sandbox, relay = sandbox.relay): Promise<WholeJob> {
  const as = (name: string) => [...sandbox.as(name), '--relay', relay];
  const customer = as('customer');
  const jobFile = join(sandbox.folder, 'job.json');
  writeFileSync(
    jobFile,
    JSON.stringify({ ...(JSON.parse(readFileSync(irisJob, 'utf8')) as Json), trainers: 2, rounds: 2 }),
  );
  const publish = ['publish-dataset', iris, '--label', 'species', '--shards', '2', ...customer];
  const dataset = String((await timed(publish)).document['dataset']);
  const posted = await timed(['post-job', jobFile, '--dataset', dataset, ...customer]);
  const job = String(posted.document['job']);
  const invitation = /nevent1\w+/.exec(posted.stderr)?.[0] ?? '';
  const trainers = ['trainer-1', 'trainer-2'].map((name) =>
    startStream(['serve-trainer', ...as(name), '--price', '100', '--once']),
  );
  const model = join(sandbox.folder, 'model');
  const collected = await timed(['collect-model', job, '--out', model, '--timeout', '4m', ...customer]);
  expect(collected.document).toMatchObject({ rounds: 2, paidMsat: 400_000, verified: true });
  for (const { end } of trainers) expect(await end).toMatchObject({ status: 0 });
  const dump = join(sandbox.folder, 'dump.jsonl');
  const audited = await timed(['audit', job, '--dump', dump, ...customer]);
  expect(audited.document).toMatchObject({ verdict: 'PASS', level: 'data', paidMsat: 400_000 });
  expect(sandbox.books().payments).toHaveLength(4);
  return { customer, dataset, job, invitation, dump };
}

/** A command that ends well, and how long that took on the console. */
export async function timed(args: readonly string[]): Promise<{ readonly document: Json; readonly stderr: string }> {
  const start = performance.now();
  const { status, stderr, document } = await runJson(args);
  console.log(`${args[0]!}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  expect(status, stderr).toBe(0);
  return { document, stderr };
}
