import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { iris, runJson, startSandbox, startStream, storyFolder, type Json, type Stream } from '../support/story.js';
import { tampered } from '../support/tampered.js';

/** Four trainers, of which one is lazy and one copies, and three validators, of which one is gone and one lies; one process dies on the way. */

const JOB = {
  ...{
    hidden: [16],
    rounds: 2,
    trainers: 4,
    quorum: 2,
    epochs: 20,
    batch: 8,
    learningRate: 0.01,
    aggregation: 'fedavg',
  },
  ...{ maxPriceSats: 100, validators: 3, validatorFeeSats: 20, revealTimeout: '16s' },
};
/** One step instead of the training that the job asks for. */
const lazy = tampered(
  'roles/trainer-work.js',
  'const request = { model, hyper,',
  'const request = { model, hyper: { ...hyper, epochs: undefined, localSteps: 1 },',
);
/** Trains once, and shows that update in every round. */
const copying = tampered(
  'roles/trainer-work.js',
  'encodeUpdateFile(env.random(TRAINING_SECRET_BYTES), fresh)',
  'encodeUpdateFile(env.random(TRAINING_SECRET_BYTES), (globalThis.shown ??= fresh))',
);
/** Every loss of every update is twice what was measured: D and E are the same. */
const liar = tampered(
  'roles/validator-work.js',
  'return { round: round.round, list:',
  `for (const row of scores)
     for (const field of ['ownBeforePpm', 'ownAfterPpm', 'otherBeforePpm', 'otherAfterPpm', 'lossPpm']) row[field] *= 2;
   return { round: round.round, list:`,
);

const said = (name: string) => (event: Json) => event['event'] === name;

async function kill(stream: Stream): Promise<void> {
  stream.child.kill('SIGKILL');
  expect((await stream.end).signal).toBe('SIGKILL');
}

it('a job with a lazy trainer, a copying one, a lying validator, an absent one and a killed one ends well, and names them all', async () => {
  const sandbox = await startSandbox(4, storyFolder(), 3);
  const customer = sandbox.as('customer');
  const train = (name: string, env = {}) =>
    startStream(['serve-trainer', ...sandbox.as(name), '--price', '100', '--once'], { env });
  const validate = (name: string, env = {}) =>
    startStream(['serve-validator', ...sandbox.as(name), '--fee', '20', '--once'], { env });
  const trainers = [train('trainer-1'), train('trainer-2'), train('trainer-3', lazy), train('trainer-4', copying)];
  const [absent, lying, honest] = [validate('validator-1'), validate('validator-2', liar), validate('validator-3')];
  const keys = await Promise.all(
    [...trainers, absent, lying, honest].map(async (one) => (await one.event(said('ready')))['pubkey']),
  );

  const file = join(sandbox.folder, 'job.json');
  writeFileSync(file, JSON.stringify(JOB));
  const published = await runJson(['publish-dataset', iris, '--label', 'species', '--job', file, ...customer]);
  expect(published.status, published.stderr).toBe(0);
  const job = published.document['job'] as string;
  await absent.event(said('registered'));
  const model = join(sandbox.folder, 'model');
  const collecting = runJson(['collect-model', job, '--out', model, '--timeout', '3m', ...customer]);
  await absent.event(said('taken'));
  await kill(absent);
  await honest.event(said('committed'));
  await kill(honest);
  const again = validate('validator-3');

  const collected = await collecting;
  expect(collected.status, collected.stderr).toBe(0);
  // Two trainers and two validators in each of two rounds, and the first work of the one that then copies it.
  const paidMsat = 2 * (2 * 100_000 + 2 * 20_000) + 100_000;
  expect(collected.document).toMatchObject({ rounds: 2, paidMsat, verified: true });
  for (const one of [trainers[0]!, trainers[1]!, lying, again]) expect((await one.end).status).toBe(0);
  expect(again.events.filter(said('paid'))).toHaveLength(2);

  const { document: status } = await runJson(['status', job, ...customer]);
  const validators = (list: unknown) => new Map((list as Json[]).map((one) => [one['pubkey'], one]));
  const seen = validators(status['validators']);
  expect(seen.get(keys[4])).toMatchObject({ rounds: 0, absent: [0, 1], apart: [], paidMsat: 0 });
  expect(seen.get(keys[5])).toMatchObject({ rounds: 2, absent: [], apart: [0, 1], paidMsat: 40_000 });
  expect(seen.get(keys[6])).toMatchObject({ rounds: 2, absent: [], apart: [], paidMsat: 40_000, owedMsat: 0 });
  const rejected = (status['rounds'] as { scoredBy: string; rejected: Json[] }[]).map(
    ({ scoredBy, rejected: rows }) => [scoredBy, rows.map(({ trainer, rule }) => [trainer, rule]).sort()],
  );
  const forged = [keys[2], 'spot-check'];
  expect(rejected).toEqual([
    ['validators', [forged]],
    ['validators', [forged, [keys[3], 'copy']].sort()],
  ]);
  const audited = await runJson(['audit', job, ...customer]);
  expect(audited.document).toMatchObject({ verdict: 'PASS', level: 'data', fallbacks: [] });
  const named = validators(audited.document['validators']);
  expect(keys.slice(4).map((key) => (named.get(key)!['contradicted'] as Json[]).length)).toEqual([0, 5, 0]);
  const complained = (audited.document['disputes'] as Json[]).filter(({ rule }) => rule === 'complaint');
  expect(complained.map(({ trainer }) => trainer)).toContain(keys[5]);

  const books = sandbox.books();
  const balance = (name: string) => books.balance(name);
  // The books of the sandbox: who starts with nothing has what it earned.
  expect(['trainer-1', 'trainer-2', 'trainer-3', 'trainer-4'].map(balance)).toEqual([200_000n, 200_000n, 0n, 100_000n]);
  expect(['validator-1', 'validator-2', 'validator-3'].map(balance)).toEqual([0n, 40_000n, 40_000n]);
  expect(balance('customer')).toBe(books.total - 580_000n);
}, 240_000);
