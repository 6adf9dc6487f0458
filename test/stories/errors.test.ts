import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/errors.js';
import type { RunOptions } from '../support/run-nmkt.js';
import { iris, irisJob, runJson, startSandbox, startStream, storyFolder, type Json } from '../support/story.js';

/** What people do wrong first. Each gets its status, its code, both facts and a way on, in one document. */

interface Failure {
  readonly code: ErrorCode;
  readonly expected: string | RegExp;
  readonly got: string | RegExp;
  readonly remedy: string | RegExp;
}

async function fails(args: readonly string[], failure: Failure, options: RunOptions = {}): Promise<Json> {
  const { status, document, stderr } = await runJson(args, options);
  const { error, ...beside } = document as { error: Record<string, string> };
  expect(error).toEqual({
    code: failure.code,
    message: expect.stringMatching(/^.{8,200}$/) as string,
    expected: expect.stringMatching(failure.expected) as string,
    got: expect.stringMatching(failure.got) as string,
    remedy: expect.stringMatching(failure.remedy) as string,
  });
  expect(status).toBe(ERRORS[failure.code].exit);
  expect(stderr).toContain(`code: ${failure.code}`);
  expect(stderr).not.toMatch(/^ +at /m);
  return beside;
}

/** A port of this machine on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return port;
}

const anyRelay = ['--relay', 'ws://127.0.0.1:1'];
const KEY = 'c0ffee'.padEnd(64, '1');
const walletUri = (relay: string) =>
  `nostr+walletconnect://${'b'.repeat(64)}?relay=${encodeURIComponent(relay)}&secret=${'a'.repeat(64)}`;

/** Files by name; the folder is the working directory of the command. */
const files: Readonly<Record<string, string | Buffer>> = {
  'ragged.csv': 'a,b\n1,2\n3\n',
  'empty.csv': '',
  'header.csv': 'a,b\n',
  'text.png': Buffer.from('89504e470d0a1a0a', 'hex'),
  // 13 million images of 28 x 28: 10 GB in sixteen bytes.
  'huge-images-idx3-ubyte': Buffer.from('0000080300c65d400000001c0000001c', 'hex'),
  'typo.json': '{"model":"mlp","rouds":3}',
  'soon.json': '{"roundTimeout":"soon"}',
  'list.json': '[]',
};

const badDataset = (got: string | RegExp, expected: string | RegExp, remedy: RegExp): Failure => ({
  ...{ code: 'bad-dataset', expected, got, remedy },
});
const mistakes: readonly (readonly [title: string, args: readonly string[], failure: Failure])[] = [
  [
    'a label that is no column',
    ['publish-dataset', iris, '--label', 'colour'],
    { code: 'label-missing', expected: /sepal_length.*species/, got: 'colour', remedy: '--label "species"' },
  ],
  [
    'no label',
    ['publish-dataset', iris],
    { code: 'label-missing', expected: /species/, got: 'nothing', remedy: '--label "species"' },
  ],
  ['a ragged table', ['publish-dataset', 'ragged.csv', '--label', 'b'], badDataset('1', '2 columns', /line/)],
  ['an empty file', ['publish-dataset', 'empty.csv', '--label', 'b'], badDataset('0 rows', 'at least one row', /rows/)],
  ['a header alone', ['publish-dataset', 'header.csv', '--label', 'b'], badDataset('0 rows', 'one row', /data/)],
  ['a picture', ['publish-dataset', 'text.png'], badDataset('PNG', /FOLDER\/class\/image.png/, /folder/)],
  [
    'no such file',
    ['publish-dataset', 'nothing.csv', '--label', 'b'],
    badDataset('ENOENT', /file or a folder/, /path/),
  ],
  ['a folder without images', ['publish-dataset', 'folder'], badDataset(/empty folder/, /train-images-idx3/, /file/)],
  [
    'images that declare 10 GB',
    ['publish-dataset', 'huge-images-idx3-ubyte'],
    { code: 'too-large', expected: '1073741824 bytes', got: '10192000016', remedy: '--max-bytes' },
  ],
  [
    'an unknown flag',
    ['publish-dataset', iris, '--lable', 'species'],
    { code: 'bad-usage', expected: 'options', got: '--lable', remedy: '--label species' },
  ],
  [
    'an unknown field in the job file',
    ['post-job', 'typo.json', '--dataset', 'f'.repeat(64)],
    { code: 'bad-job', expected: /known fields/, got: 'rouds', remedy: '--print-defaults' },
  ],
  [
    'a bad duration in the job file',
    ['post-job', 'soon.json', '--dataset', 'f'.repeat(64)],
    { code: 'bad-job', expected: /roundTimeout.*15m/, got: 'soon', remedy: '--print-defaults' },
  ],
  [
    'a job file that is a list',
    ['post-job', 'list.json', '--dataset', 'f'.repeat(64)],
    { code: 'bad-job', expected: 'a JSON object', got: /a list/, remedy: '--print-defaults' },
  ],
  [
    'a bad duration in a flag',
    ['collect-model', 'f'.repeat(64), '--out', 'm', '--timeout', 'soon'],
    { code: 'bad-usage', expected: /15m/, got: 'soon', remedy: '--timeout 15m' },
  ],
  [
    'two flags that exclude each other',
    ['post-job', '--dataset', 'f'.repeat(64), '--epochs', '2', '--local-steps', '3'],
    { code: 'bad-usage', expected: 'one of the two', got: 'both', remedy: /leave one out/ },
  ],
  [
    'an id that is none',
    ['collect-model', 'xyz', '--out', 'm'],
    { code: 'bad-key', expected: /64 hex.*note1/, got: '3 characters', remedy: /copy/ },
  ],
  [
    'a folder without a model',
    ['predict', 'folder', iris],
    { code: 'bad-usage', expected: /file/, got: 'ENOENT', remedy: /folder/ },
  ],
  [
    'a settings file that others can read',
    ['whoami', '--settings', 'open.json'],
    { code: 'unsafe-secret-file', expected: 'mode 0600', got: /open to/, remedy: /chmod 600 .*open\.json/ },
  ],
  [
    'a relay that does not answer',
    ['status', 'f'.repeat(64)],
    { code: 'relay-unreachable', expected: /ws:\/\/127\.0\.0\.1:1/, got: 'silence', remedy: '--relay' },
  ],
];

it.each(mistakes)('%s is refused with its code, both facts and a way on', async (_, args, failure) => {
  const folder = storyFolder();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, 'open.json'), JSON.stringify({ key: KEY }));
  chmodSync(join(folder, 'open.json'), 0o644);
  mkdirSync(join(folder, 'folder'));
  expect(await fails([...args, ...anyRelay, '--home', join(folder, 'h')], failure, { cwd: folder })).toEqual({});
});

it('bitcoin is not spent without an explicit yes, and nothing is sent before it', async () => {
  const folder = storyFolder();
  const settings = join(folder, 'settings.json');
  const relay = 'wss://relay.invalid';
  writeFileSync(settings, JSON.stringify({ relays: [relay], wallet: walletUri(relay), key: KEY }), { mode: 0o600 });
  const publish = ['publish-dataset', iris, '--label', 'species', '--settings', settings, '--home', join(folder, 'h')];
  const job = join(folder, 'job.json');
  writeFileSync(job, JSON.stringify({ maxPriceSats: 300, rounds: 5, trainers: 3 }));
  const env = { NMKT_NETWORK: 'bitcoin' };
  const refused = { code: 'mainnet-not-confirmed', expected: /--yes.*--max-sats/ } as const;
  const remedy = '--yes --max-sats 4500';
  await fails([...publish, '--job', job], { ...refused, got: 'neither', remedy }, { env });
  await fails([...publish, '--job', job, '--yes'], { ...refused, got: /without --max-sats/, remedy }, { env });
});

it('a market that cannot go on says who is missing, who is in the way and what it would cost', async () => {
  const sandbox = await startSandbox(2);
  const customer = sandbox.as('customer');
  const published = await runJson([...['publish-dataset', iris, '--label', 'species', '--job', irisJob, ...customer]]);
  const { job, snapshot } = published.document as { job: string; snapshot: string };
  const stored = () => sandbox.relayEvents().length;
  const before = stored();

  const nobody = `ws://127.0.0.1:${await closedPort()}`;
  const lost = await fails(['publish-dataset', iris, '--label', 'species', ...customer, '--relay', nobody], {
    code: 'relay-unreachable',
    expected: 'at least one relay',
    got: nobody,
    remedy: '--relay',
  });
  expect(lost).toMatchObject({ missing: 5, relays: [{ relay: nobody, stored: 0, unreachable: 5 }] });

  const settings = JSON.parse(readFileSync(join(sandbox.dir, 'customer.json'), 'utf8')) as { wallet: string };
  const wallet = settings.wallet.replace(encodeURIComponent(sandbox.relay), encodeURIComponent(nobody));
  expect(wallet).not.toBe(settings.wallet);
  const deadWallet = join(sandbox.folder, 'dead-wallet.json');
  writeFileSync(deadWallet, JSON.stringify({ ...settings, wallet }), { mode: 0o600 });
  await fails(
    ['collect-model', job, '--out', 'm', '--settings', deadWallet, '--home', join(sandbox.folder, 'customer')],
    { code: 'wallet-unreachable', expected: /answer/, got: nobody, remedy: /wallet service/ },
  );

  await fails(['post-job', irisJob, '--dataset', snapshot, '--rounds', '5', '--budget-sats', '10', ...customer], {
    code: 'over-budget',
    expected: '<= 10 sat',
    got: '5 x 3 x 100 = 1500 sat',
    remedy: '--budget-sats 1500',
  });
  await fails(['post-job', irisJob, '--dataset', snapshot, '--rounds', '5', '--max-sats', '10', ...customer], {
    code: 'over-budget',
    expected: 'at most 10 sat',
    got: '1500 sat',
    remedy: '--max-sats 1500',
  });
  await fails(['collect-model', 'f'.repeat(64), '--out', 'm', ...customer], {
    code: 'job-unknown',
    expected: 'a job event',
    got: sandbox.relay,
    remedy: '--relay',
  });
  await fails(['collect-model', job, '--out', 'm', ...sandbox.as('trainer-1')], {
    code: 'not-your-job',
    expected: /key and home of [0-9a-f]{64}/,
    got: /without the secrets/,
    remedy: '--settings',
  });
  await fails(['post-job', irisJob, '--dataset', snapshot, ...sandbox.as('trainer-1')], {
    code: 'job-unknown',
    expected: 'a dataset of this home',
    got: snapshot,
    remedy: '--home',
  });

  const port = sandbox.relay.split(':').pop()!;
  await fails(['relay', '--port', port, '--dir', join(sandbox.folder, 'relay-2')], {
    code: 'port-in-use',
    expected: 'free port',
    got: `127.0.0.1:${port}`,
    remedy: 'another with --port',
  });

  const first = startStream([
    'serve-trainer',
    ...sandbox.as('trainer-2'),
    '--price',
    '1000',
    '--allow',
    'f'.repeat(64),
  ]);
  await first.event(({ event }) => event === 'ready');
  await fails(['serve-trainer', ...sandbox.as('trainer-2'), '--price', '1000'], {
    code: 'home-locked',
    expected: 'trainer-2/lock',
    got: `pid ${first.child.pid}`,
    remedy: '--home DIR',
  });
  // What is new are the two lists of the trainer that started: its relays, its inbox.
  expect(stored()).toBe(before + 2);
});
