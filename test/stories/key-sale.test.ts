import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { iris, runJson, startSandbox, startStream, storyFolder, type Json, type Stream } from '../support/story.js';
import { tampered } from '../support/tampered.js';

/** Three trainers sell their updates, one of them under a wrong key; one dies while it waits for its money. */

const JOB = {
  ...{ hidden: [16], rounds: 2, trainers: 3, quorum: 2, epochs: 20, batch: 8, learningRate: 0.01 },
  ...{ rail: 'key-sale', maxPriceSats: 100, validators: 1, validatorFeeSats: 20, aggregation: 'fedavg' },
};
/** Signs and seals another wrapped key than the one that it gives to validators. */
const cheating = tampered(
  'roles/own-sale.js',
  'const wrapped = wrapKey(key,',
  'const wrapped = wrapKey(key.map((byte) => byte ^ 1),',
);

const said = (name: string) => (event: Json) => event['event'] === name;

async function kill(stream: Stream): Promise<void> {
  stream.child.kill('SIGKILL');
  expect((await stream.end).signal).toBe('SIGKILL');
}

it('a job that buys keys: a killed trainer sells all the same, a wrong key is proven, by a file that anybody checks offline', async () => {
  const sandbox = await startSandbox(3, storyFolder(), 1);
  const customer = sandbox.as('customer');
  const train = (name: string, env = {}) =>
    startStream(['serve-trainer', ...sandbox.as(name), '--price', '100', '--once'], { env });
  const trainers = [train('trainer-1'), train('trainer-2'), train('trainer-3', cheating)];
  const validator = startStream(['serve-validator', ...sandbox.as('validator-1'), '--fee', '20', '--once']);
  const ready = await Promise.all([...trainers, validator].map((one) => one.event(said('ready'))));
  const [killed, , cheat] = ready.map((one) => one['pubkey']);

  const file = join(sandbox.folder, 'job.json');
  writeFileSync(file, JSON.stringify(JOB));
  const published = await runJson(['publish-dataset', iris, '--label', 'species', '--job', file, ...customer]);
  expect(published.status, published.stderr).toBe(0);
  const job = published.document['job'] as string;
  const collecting = runJson([
    'collect-model',
    job,
    '--out',
    join(sandbox.folder, 'model'),
    '--timeout',
    '3m',
    ...customer,
  ]);
  await trainers[0]!.event(said('revealed'));
  await kill(trainers[0]!);
  const again = train('trainer-1');

  const collected = await collecting;
  expect(collected.status, collected.stderr).toBe(0);
  // Three sales in the first round, the wrong one among them, then two; a fee in each.
  expect(collected.document).toMatchObject({ rounds: 2, paidMsat: 540_000, verified: true });
  for (const one of [trainers[1]!, again, validator]) expect((await one.end).status).toBe(0);
  expect(again.events.filter(said('paid'))).toHaveLength(2);
  // It would wait for another job now.
  expect(await trainers[2]!.event(said('lost'))).toMatchObject({ job });
  await kill(trainers[2]!);

  const { document: status } = await runJson(['status', job, ...customer]);
  expect(status).toMatchObject({ rail: 'key-sale', phase: 'finished', lockedMsat: 0, lockedUntil: null, owedMsat: 0 });
  expect(status['keyFrauds']).toMatchObject([{ trainer: cheat, round: 0 }]);
  const { document: audit } = await runJson(['audit', job, ...customer]);
  expect(audit).toMatchObject({ verdict: 'PASS', firstBad: null, level: 'data' });

  const proofs = join(sandbox.folder, 'frauds.ndjson');
  const { document: sold } = await runJson(['sales', job, '--save', proofs, ...customer]);
  const sales = sold['sales'] as (Json & { checks: { ok: boolean }[] })[];
  expect(sales.map(({ state }) => state).sort()).toEqual(['fraud', 'sold', 'sold', 'sold', 'sold']);
  for (const { state, trainer, checks } of sales) {
    expect(checks.length).toBeGreaterThan(3);
    expect(
      checks.every(({ ok }) => ok),
      `${trainer as string}`,
    ).toBe(state === 'sold');
  }
  expect(sales.filter(({ trainer }) => trainer === killed)).toHaveLength(2);

  // No relay, no home, no wallet.
  const checked = await runJson(['sale', 'verify', proofs, '--home', join(sandbox.folder, 'nobody')]);
  expect(checked.status, checked.stderr).toBe(0);
  expect(checked.document).toMatchObject({
    isProven: true,
    proofs: [{ trainer: cheat, job, round: 0, isProven: true }],
  });
  expect((checked.document['proofs'] as { checks: { ok: boolean }[] }[])[0]!.checks.map(({ ok }) => ok)).toEqual([
    true,
    true,
    true,
    false,
  ]);
  const [first] = readFileSync(proofs, 'utf8').trimEnd().split('\n');
  writeFileSync(proofs, `${first!}\n`);
  expect((await runJson(['sale', 'verify', proofs])).status).toBe(2);
}, 240_000);
