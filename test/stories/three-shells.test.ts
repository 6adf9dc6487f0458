import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { decode as decodeBolt11 } from 'light-bolt11-decoder';
import { expect, it } from 'vitest';
import { leafHash } from '../../src/merkle.js';
import { formatSecretKey } from '../../src/config/identifiers.js';
import { fromHex, hex, sha256Hex, type Bytes } from '../../src/hash.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { parseGrant } from '../../src/protocol/grant.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { unwrapRumor } from '../../src/relay/gift-wrap.js';
import { localSigner } from '../../src/signer.js';
import type { JobSecrets } from '../../src/roles/customer-env.js';
import { ownLocator, ownShardKey } from '../../src/roles/epoch.js';
import type { DatasetRecord } from '../../src/roles/publish.js';
import type { SandboxSettings } from '../../src/wallet/sandbox.js';
import { runNmkt } from '../support/run-nmkt.js';
import {
  filesBelow,
  hashOfPreimage,
  occursIn,
  paymentsOf,
  runJson,
  startSandbox,
  startStream,
  type Json,
  type Sandbox,
  type Stream,
} from '../support/story.js';

/**
 * The three shells of the README on real handwritten digits. NMKT_TEST_DATA names a folder with `mnist10k/`: the four
 * files of MNIST (LeCun et al. 1998) under their usual names, with 10,000 examples or the full 70,000.
 */
const data = join(process.env['NMKT_TEST_DATA'] ?? '', 'mnist10k');
const images = join(data, 'train-images-idx3-ubyte.gz');
const testImages = join(data, 'test-images-idx3-ubyte.gz');
const isHere = process.env['NMKT_TEST_DATA'] !== undefined && existsSync(images);
if (!isHere) process.stderr.write('SKIP three shells on MNIST: NMKT_TEST_DATA names no folder with mnist10k/\n');

const JOB = { model: 'mlp', hidden: [128], rounds: 5, trainers: 3, epochs: 2, batch: 32, maxPriceSats: 300 };
const ROUND_MSAT = 300_000n;
const START_MSAT = 1_000_000_000n;
const TRAINERS = ['trainer-1', 'trainer-2', 'trainer-3'] as const;

it.runIf(isHere)(
  'three shells train real digits to 93 %, every accepted round is paid with proof, and nobody sees more than its share',
  async () => {
    const sandbox = await startSandbox(TRAINERS.length);
    const customer = sandbox.as('customer');
    const job = join(sandbox.folder, 'job.json');
    writeFileSync(job, JSON.stringify(JOB));
    const published = await runJson([
      ...['publish-dataset', images, '--test', testImages, '--shards', '3', '--job', job, ...customer],
    ]);
    expect(published.status, published.stderr).toBe(0);
    const jobId = published.document['job'] as string;
    const trainers = TRAINERS.map((name) =>
      startStream(['serve-trainer', ...sandbox.as(name), '--price', '300', '--once']),
    );
    const modelDir = join(sandbox.folder, 'model');
    const collected = await runJson([
      ...['collect-model', jobId, '--out', modelDir, '--min-accuracy', '0.93', '--timeout', '4m', ...customer],
    ]);
    expect(collected.status, collected.stderr).toBe(0);
    const ends = await Promise.all(trainers.map(({ end }) => end));
    expect(ends.map(({ status }) => status)).toEqual([0, 0, 0]);

    const { metrics, paidMsat, rounds, verified } = collected.document as {
      metrics: { accuracy: number };
    } & Json;
    expect(metrics.accuracy).toBeGreaterThanOrEqual(0.93);
    expect({ paidMsat, rounds, verified }).toEqual({ paidMsat: 4_500_000, rounds: 5, verified: true });

    await predictsAsMeasured(sandbox, modelDir, metrics.accuracy);
    everyAcceptedRoundIsPaid(sandbox, modelDir);
    await walletsAddUp(sandbox, trainers);
    theRelayHoldsNoRowAndNoKey(sandbox);
    nothingLinksTheCustomerToItsChunks(sandbox);
    await eachTrainerHoldsItsOwnShardOnly(sandbox, trainers);
  },
  280_000,
);

/** The collected files, applied to the test images, get as many labels right as the customer says. */
async function predictsAsMeasured(sandbox: Sandbox, modelDir: string, accuracy: number): Promise<void> {
  const weights = sha256Hex(readFileSync(join(modelDir, 'model.safetensors')));
  const provenance = JSON.parse(readFileSync(join(modelDir, 'provenance.json'), 'utf8')) as {
    artifact: { weightsSha256: string };
  };
  expect(weights).toBe(provenance.artifact.weightsSha256);

  const labels = gunzipSync(readFileSync(join(data, 'test-labels-idx1-ubyte.gz'))).subarray(8);
  const { status, stdout, stderr } = await runNmkt([
    ...['predict', modelDir, testImages, '--json', '--home', join(sandbox.folder, 'nobody')],
  ]);
  expect(status, stderr).toBe(0);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { row: number; prediction: string });
  expect(rows).toHaveLength(labels.length);
  const right = rows.filter(({ row, prediction }) => Number(prediction) === labels[row]).length;
  expect(right / labels.length).toBeCloseTo(accuracy, 6);
}

function everyAcceptedRoundIsPaid(sandbox: Sandbox, modelDir: string): void {
  const { rounds } = JSON.parse(readFileSync(join(modelDir, 'provenance.json'), 'utf8')) as {
    rounds: {
      contributions: { trainer: string; accepted: boolean }[];
      payments: { payee: string }[];
    }[];
  };
  expect(rounds).toHaveLength(JOB.rounds);
  for (const { contributions, payments } of rounds) {
    const accepted = contributions.filter((one) => one.accepted).map(({ trainer }) => trainer);
    expect(accepted).toHaveLength(3);
    expect(payments.map(({ payee }) => payee).sort()).toEqual(accepted.sort());
  }
  const payments = paymentsOf(modelDir);
  for (const { amountMsat, invoice, paymentHash, preimage, countersigned } of payments) {
    expect(hashOfPreimage(preimage!)).toBe(paymentHash);
    const sections = new Map(
      decodeBolt11(invoice!).sections.map((section) => [section.name, 'value' in section ? section.value : undefined]),
    );
    expect(sections.get('amount')).toBe(ROUND_MSAT.toString());
    expect(String(amountMsat)).toBe(ROUND_MSAT.toString());
    expect(sections.get('payment_hash')).toBe(paymentHash);
    expect(countersigned).toMatch(/^[0-9a-f]{64}$/);
  }
  const paid = sandbox.books().payments;
  expect(paid.map(({ hash }) => hash).sort()).toEqual(payments.map(({ paymentHash }) => paymentHash).sort());
  expect(new Set(paid.map(({ hash }) => hash)).size).toBe(15);
}

/** The ledger's file, what each wallet answers and what each trainer said are the same money. */
async function walletsAddUp(sandbox: Sandbox, trainers: readonly Stream[]): Promise<void> {
  const books = sandbox.books();
  const paid = books.payments.reduce((sum, { msat }) => sum + msat, 0n);
  const journal = readFileSync(join(sandbox.folder, 'customer', 'payouts.jsonl'), 'utf8');
  const fees = [...journal.matchAll(/"feesMsat":\{"\$bigint":"(\d+)"\}/g)].reduce(
    (sum, [, msat]) => sum + BigInt(msat!),
    0n,
  );
  expect(books.balance('customer')).toBe(START_MSAT - paid - fees);
  expect(books.total).toBe(START_MSAT);
  for (const [index, name] of TRAINERS.entries()) {
    expect(books.balance(name)).toBe(ROUND_MSAT * BigInt(JOB.rounds));
    const said = trainers[index]!.events.filter(({ event }) => event === 'paid');
    expect(said.map(({ amountMsat }) => amountMsat)).toEqual(Array<number>(JOB.rounds).fill(Number(ROUND_MSAT)));
  }
  for (const name of ['customer', ...TRAINERS]) {
    const { document } = await runJson(['whoami', ...sandbox.as(name)]);
    expect((document['wallet'] as Json)['balanceMsat']).toBe(Number(books.balance(name)));
  }
}

const settingsOf = (sandbox: Sandbox, name: string) =>
  JSON.parse(readFileSync(join(sandbox.dir, `${name}.json`), 'utf8')) as SandboxSettings;

function customerRecords(sandbox: Sandbox): {
  readonly dataset: DatasetRecord;
  readonly job: JobSecrets;
} {
  const files = [...filesBelow(join(sandbox.folder, 'customer'))];
  const one = (pattern: RegExp) => files.find(([name]) => pattern.test(name))![1].toString('utf8');
  return {
    dataset: JSON.parse(one(/^datasets\/[0-9a-f]+\.json$/)) as DatasetRecord,
    job: JSON.parse(one(/^jobs\/[0-9a-f]+\/job\.json$/)) as JobSecrets,
  };
}

const epochsOf = ({ train, a, b }: DatasetRecord) =>
  [train, a, b].map(({ event, secrets }) => ({ manifest: parseSnapshot(event).manifest, secrets }));

function shardKeys(dataset: DatasetRecord): Bytes[] {
  return epochsOf(dataset).flatMap(({ manifest, secrets }) =>
    manifest.shards.map((_, shard) => ownShardKey(manifest, secrets, shard)),
  );
}

/** Rows of the training set, without the blank margin that all images share. */
function sampleRows(): Buffer[] {
  const pixels = gunzipSync(readFileSync(images)).subarray(16);
  const count = pixels.length / 784;
  return Array.from({ length: 25 }, (_, index) => {
    const at = Math.floor((index * count) / 25) * 784;
    return pixels.subarray(at + 6 * 28, at + 22 * 28);
  });
}

/** Everything the relay keeps, as bytes and with the base64 of each content undone. */
function relayBytes(sandbox: Sandbox): Buffer[] {
  const files = [...filesBelow(join(sandbox.dir, 'relay')).values()];
  const contents = sandbox.relayEvents().map(({ content }) => Buffer.from(content, 'base64'));
  return [...files, Buffer.concat(contents)];
}

function theRelayHoldsNoRowAndNoKey(sandbox: Sandbox): void {
  const stored = relayBytes(sandbox);
  const rows = sampleRows();
  // The search finds what is there: a row in the file it came from, a public salt in the log.
  expect(occursIn(rows[7]!, [gunzipSync(readFileSync(images))])).toBe(true);
  const { dataset, job } = customerRecords(sandbox);
  expect(occursIn(epochsOf(dataset)[0]!.manifest.salt, stored)).toBe(true);

  for (const row of rows) expect(occursIn(row, stored)).toBe(false);
  const hexSecrets = [
    ...[dataset.train, dataset.a, dataset.b].flatMap(({ secrets }) => [secrets.key, secrets.blind, secrets.salt]),
    ...[job.seed, job.blobs, job.scoring, job.chain],
    ...['customer', ...TRAINERS].flatMap((name) => {
      const { key, wallet } = settingsOf(sandbox, name);
      return [key, new URL(wallet).searchParams.get('secret')!];
    }),
  ];
  expect(hexSecrets).toHaveLength(21);
  for (const secret of [...hexSecrets.map(fromHex), ...shardKeys(dataset)]) {
    expect(secret).toHaveLength(32);
    expect(occursIn(secret, stored)).toBe(false);
    expect(stored.some((bytes) => bytes.includes(formatSecretKey(secret)))).toBe(false);
  }
}

/** Chunks lie under an upload key of their own; only a granted locator leads from the dataset to them. */
function nothingLinksTheCustomerToItsChunks(sandbox: Sandbox): void {
  const { dataset } = customerRecords(sandbox);
  const events = sandbox.relayEvents();
  const locators = epochsOf(dataset).map(({ manifest, secrets }) => ownLocator(manifest, secrets));
  const uploads = locators.map(({ upload }) => upload as string);
  const chunks = events.filter(({ pubkey }) => uploads.includes(pubkey));
  const chunkIds = chunks.map(({ id }) => id);
  expect(new Set(chunkIds).size).toBe(dataset.chunks);
  expect(chunks.every(({ kind }) => kind === KINDS.chunk)).toBe(true);

  const names = [
    ...uploads,
    ...chunkIds,
    ...chunks.map(({ content }) => hex(leafHash(Buffer.from(content, 'base64')))),
    ...locators.flatMap(({ shards }) => shards.flatMap(({ ids, root, sha256 }) => [...ids, root, sha256])),
  ];
  const own = events.filter(({ pubkey }) => pubkey === dataset.train.event.pubkey);
  expect(own.length).toBeGreaterThan(JOB.rounds * 5);
  const others = JSON.stringify(events.filter(({ pubkey }) => !uploads.includes(pubkey)));
  expect(own.every(({ id }) => others.includes(id))).toBe(true);
  for (const name of names) {
    expect(others.includes(name), name).toBe(false);
    expect(others.includes(Buffer.from(name, 'hex').toString('base64')), name).toBe(false);
  }
  const chunkText = JSON.stringify(chunks);
  for (const { pubkey } of own) expect(chunkText.includes(pubkey)).toBe(false);
}

async function eachTrainerHoldsItsOwnShardOnly(sandbox: Sandbox, trainers: readonly Stream[]): Promise<void> {
  const { dataset } = customerRecords(sandbox);
  const { manifest } = epochsOf(dataset)[0]!;
  const keys = manifest.shards.map((_, shard) => ownShardKey(manifest, dataset.train.secrets, shard));
  const wraps = sandbox.relayEvents().filter(({ kind }) => kind === 1059);
  const rows = sampleRows();
  const seats = trainers.map(({ events }) => events.find(({ event }) => event === 'awarded')!['shard'] as number);
  expect([...seats].sort()).toEqual([0, 1, 2]);
  for (const [index, name] of TRAINERS.entries()) {
    const seat = seats[index]!;
    const signer = localSigner(fromHex(settingsOf(sandbox, name).key));
    const opened = await Promise.all(wraps.map((wrap) => unwrapRumor(wrap, signer).catch(() => undefined)));
    const grants = opened.flatMap((rumor) => (rumor === undefined ? [] : [parseGrant(rumor.kind, rumor.content)]));
    const shardGrants = grants.filter((grant) => grant.purpose === 'shard');
    expect(shardGrants.map(({ shard, key }) => ({ shard, key: hex(key) }))).toEqual([
      { shard: seat, key: hex(keys[seat]!) },
    ]);
    expect(grants).toHaveLength(1 + JOB.rounds);

    const home = [...filesBelow(join(sandbox.folder, name)).values()];
    for (const [shard, key] of keys.entries()) if (shard !== seat) expect(occursIn(key, home)).toBe(false);
    for (const secret of [dataset.train, dataset.a, dataset.b].map(({ secrets }) => secrets.key))
      expect(occursIn(fromHex(secret), home)).toBe(false);
    for (const row of rows) expect(occursIn(row, home)).toBe(false);
  }
}
