import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { runNmkt } from '../support/run-nmkt.js';
import {
  filesBelow,
  iris,
  irisJob,
  paymentsOf,
  runJson,
  startSandbox,
  startStream,
  type Json,
  type Sandbox,
} from '../support/story.js';

/** Every command of a small market one by one, in both of its voices, and once more for nothing. */

const hex64 = expect.stringMatching(/^[0-9a-f]{64}$/) as string;
const anyNumber = expect.any(Number) as number;
const anyString = expect.any(String) as string;

const isBid = ({ event }: Json): boolean => event === 'bid';

/** What a repetition must leave alone: the relay's log, the wallets' books. */
function footprint(sandbox: Sandbox): { readonly events: readonly string[]; readonly books: number } {
  return { events: sandbox.relayEvents().map(({ id }) => id), books: sandbox.books().records };
}

/** Runs a command that ends by itself, then again: the same document, no event, no payment. */
async function twice(
  sandbox: Sandbox,
  args: readonly string[],
  settled: () => Promise<unknown> = async () => undefined,
): Promise<Json> {
  const first = await runJson(args);
  expect(first.status, first.stderr).toBe(0);
  await settled();
  const before = footprint(sandbox);
  const second = await runJson(args);
  expect(second.status, second.stderr).toBe(0);
  expect(second.document).toEqual(first.document);
  expect(footprint(sandbox)).toEqual(before);
  return first.document;
}

function hashesBelow(folder: string): Record<string, string> {
  return Object.fromEntries([...filesBelow(folder)].map(([name, bytes]) => [name, sha256Hex(bytes)]));
}

/** People get a text, and the next command on stderr. */
async function inWords(args: readonly string[], ...parts: readonly (string | RegExp)[]): Promise<void> {
  const { status, stdout, stderr } = await runNmkt(args);
  expect(status, stderr).toBe(0);
  for (const part of parts) expect(stdout).toMatch(part);
  expect(() => JSON.parse(stdout) as unknown).toThrow(SyntaxError);
}

it('a small market works command by command, and every command twice changes nothing', async () => {
  const sandbox = await startSandbox(3);
  const customer = sandbox.as('customer');
  const early = startStream(['serve-trainer', ...sandbox.as('trainer-1'), '--price', '100', '--once']);
  expect(await early.event(({ event }) => event === 'ready')).toEqual({
    event: 'ready',
    at: anyNumber,
    pubkey: hex64,
    engine: expect.stringMatching(/^wasm\//) as string,
    relays: [sandbox.relay],
    threads: 1,
    parallel: anyNumber,
  });

  const publish = ['publish-dataset', iris, '--label', 'species', ...customer];
  const dataset = await twice(sandbox, publish);
  expect(dataset).toEqual({
    dataset: expect.stringMatching(/^naddr1/) as string,
    snapshot: hex64,
    examples: 150,
    shards: 3,
    bytes: anyNumber,
    chunks: 5,
    relays: [sandbox.relay],
    stored: [{ relay: sandbox.relay, assigned: 5, stored: 5, refused: 0, unanswered: 0, skipped: 0, message: '' }],
  });
  await inWords(publish, /dataset +naddr1/, '150 in 3 shards');

  const post = ['post-job', irisJob, '--dataset', dataset['dataset'] as string, ...customer];
  const dry = await runJson([...post, '--dry-run']);
  expect(dry.document['plan'], dry.stderr).toMatchObject({ mostMsat: 900_000, feeReserveMsat: 90_000 });
  const { job, engine, ...nothingElse } = await twice(sandbox, post, () => early.event(isBid));
  const wasm = expect.stringMatching(/^wasm\//) as string;
  expect({ job, engine, nothingElse }).toEqual({ job: hex64, engine: wasm, nothingElse: {} });
  await inWords(post, new RegExp(`^${String(job)}\n$`));
  const id = job as string;
  expect(await early.event(isBid)).toMatchObject({ job: id, priceMsat: 100_000 });
  const { document: asked } = await runJson(['status', id, ...customer]);
  expect(asked).toMatchObject({ job: id, phase: 'awarding', seats: 3, model: null, paidMsat: 0, isLapsed: false });

  const late = startStream(['serve-trainer', ...sandbox.as('trainer-2'), '--price', '90', '--job', id, '--once']);
  const bidder = sandbox.as('trainer-3');
  const bid = await twice(sandbox, ['bid', id, '--price', '80', ...bidder], () => late.event(isBid));
  expect(bid).toEqual({ job: id, bid: hex64, priceMsat: 80_000, shards: 1, engine: wasm });
  await inWords(['bid', id, '--price', '80', ...bidder], /80 sat/);
  const later = startStream(['serve-trainer', ...bidder, '--price', '80', '--once']);
  const modelDir = join(sandbox.folder, 'model');
  const collect = ['collect-model', id, '--out', modelDir, '--timeout', '2m', ...customer];
  const firstCollected = await runJson(collect);
  expect(firstCollected.status, firstCollected.stderr).toBe(0);
  expect((await early.end).status).toBe(0);
  expect((await late.end).status).toBe(0);
  expect((await later.end).status).toBe(0);
  const firstFiles = hashesBelow(modelDir);
  let files: Record<string, string> = {};
  const collected = await twice(sandbox, collect, async () => (files = hashesBelow(modelDir)));
  expect(collected).toEqual(firstCollected.document);
  expect(hashesBelow(modelDir)).toEqual(files);
  // The trainers countersign the last payment when the customer has gone; the next run adds it to the provenance.
  expect({ ...firstFiles, 'provenance.json': '' }).toEqual({ ...files, 'provenance.json': '' });
  expect(paymentsOf(modelDir).map(({ countersigned }) => countersigned)).toEqual(Array<string>(9).fill(hex64));

  const trainers = [
    { pubkey: (await early.event(({ event }) => event === 'ready'))['pubkey'], rounds: 3, paidMsat: 300_000 },
    { pubkey: (await late.event(({ event }) => event === 'ready'))['pubkey'], rounds: 3, paidMsat: 270_000 },
    { pubkey: (await later.event(({ event }) => event === 'ready'))['pubkey'], rounds: 3, paidMsat: 240_000 },
  ].sort((a, b) => (String(a.pubkey) < String(b.pubkey) ? -1 : 1));
  expect(collected).toEqual({
    job: id,
    model: hex64,
    dir: modelDir,
    metrics: { loss: anyNumber, accuracy: anyNumber },
    engine: wasm,
    rounds: 3,
    trainers,
    paidMsat: 810_000,
    signedBy: hex64,
    verified: true,
  });
  expect((collected['metrics'] as { accuracy: number }).accuracy).toBeGreaterThanOrEqual(0.8);
  expect(Object.keys(files)).toEqual([
    ...['README.md', 'audit-keys.json', 'model.json', 'model.safetensors', 'provenance.json', 'weights.bin'],
  ]);
  await inWords(collect, /accuracy/, /810 sat/, /verified +yes/);
  streamsTell(early.events, id, 100_000);
  streamsTell(late.events, id, 90_000);
  streamsTell(later.events, id, 80_000);

  const status = await twice(sandbox, ['status', id, ...customer]);
  expect(status).toMatchObject({ phase: 'finished', model: collected['model'], paidMsat: 810_000, owedMsat: 0 });
  expect(Object.keys(status).sort()).toEqual(
    [
      ...[
        'job',
        'customer',
        'title',
        'dataset',
        'phase',
        'phaseText',
        'waitsFor',
        'until',
        'isLapsed',
        'lapse',
        'rail',
      ],
      ...['seats', 'quorum', 'bids', 'plannedRounds', 'maxPriceMsat', 'budgetMsat', 'deadline', 'rounds', 'trainers'],
      ...[
        'paidMsat',
        'owedMsat',
        'model',
        'loss',
        'accuracy',
        'violation',
        'forks',
        'frauds',
        'keyFrauds',
        'lockedMsat',
        'lockedUntil',
        'disputes',
        'stakes',
        'missing',
        'events',
      ],
      ...['aggregation', 'outer', 'codec', 'metrics', 'validators'],
      ...['planFor', 'plan', 'planSoFar', 'actual'],
    ].sort(),
  );
  await inWords(['status', id, ...customer], /finished/, /810 sat paid/, /\nrounds over +\d+ (B|kB) of \d+ (B|kB) /);
  tellsThePlan(status, 'customer', 270_000, 0);
  const { document: own } = await runJson(['status', id, ...bidder]);
  tellsThePlan(own, 'trainer', 80_000, null);

  await auditsTheJob(sandbox, id, modelDir);

  const me = await twice(sandbox, ['whoami', ...customer]);
  expect(Object.keys(me)).toEqual(['key', 'relays', 'wallet', 'network', 'engine', 'caps', 'home']);
  expect((me['wallet'] as Json)['balanceMsat']).toBe(1_000_000_000 - 810_000);
  await inWords(['whoami', ...customer], /npub1/, /999190 sats/);

  await predictsTheFlowers(sandbox, modelDir);
}, 240_000);

/** Each round beside what was planned for it; every part of it is known to who took part. */
function tellsThePlan(status: Json, planFor: string, paidMsat: number, feesMsat: number | null): void {
  expect(status['planFor']).toBe(planFor);
  const rounds = status['rounds'] as { readonly plan: Json; readonly actual: Json }[];
  for (const { plan, actual } of rounds) {
    const keys = ['bytesUp', 'bytesDown', 'events', 'seconds', 'msat'];
    expect([Object.keys(plan), Object.keys(actual)]).toEqual([keys, [...keys, 'feesMsat']]);
    for (const name of keys) expect([plan[name], actual[name]], name).toEqual([anyNumber, anyNumber]);
    expect(actual).toMatchObject({ msat: paidMsat, feesMsat });
    expect(actual['msat']).toBeLessThanOrEqual(plan['msat'] as number);
  }
  expect(status['actual']).toMatchObject({ msat: 3 * paidMsat, feesMsat: feesMsat === null ? null : 3 * feesMsat });
  expect(status['planSoFar']).toEqual(status['plan']);
}

/** Anyone on the public events, whoever has the keys to the last byte, the customer to the last loss. */
async function auditsTheJob(sandbox: Sandbox, job: string, modelDir: string): Promise<void> {
  const checks = [
    ...['signatures', 'chains', 'pins', 'award', 'lists', 'omissions', 'deadlines'],
    ...['acceptance', 'settlements', 'receipts'],
  ];
  const report = {
    job,
    phase: 'finished',
    level: 'public',
    why: expect.stringContaining('no audit keys'),
    verdict: 'PASS',
    firstBad: null,
    reached: checks,
    ...{
      events: anyNumber,
      rounds: 3,
      paidMsat: 810_000,
      engine: null,
      repeated: null,
      roots: null,
      awardedBy: 'rules',
      standing: null,
      validators: null,
      fallbacks: [],
      holders: expect.objectContaining({ validators: [] }) as unknown,
      forks: [],
      disputes: [],
      stakes: null,
      unreadable: 0,
    },
  };
  const stranger = ['--relay', sandbox.relay, '--home', join(sandbox.folder, 'nobody')];
  expect(await twice(sandbox, ['audit', job, ...stranger])).toEqual(report);
  const toTheByte = {
    ...report,
    level: 'keys',
    why: expect.stringContaining('no key to the data'),
    reached: [...checks, 'seed', 'bases', 'updates', 'aggregates', 'model'],
  };
  const toTheLoss = {
    ...toTheByte,
    ...{
      level: 'data',
      why: null,
      engine: expect.stringMatching(/^wasm\//),
      repeated: { segments: anyNumber, why: null },
    },
    reached: [...toTheByte.reached, 'data', 'commitments', 'grants', 'scores', 'segments', 'metrics'],
  };
  expect(await twice(sandbox, ['audit', job, ...sandbox.as('customer')])).toEqual(toTheLoss);
  const keys = ['--keys', join(modelDir, 'audit-keys.json')];
  expect(await twice(sandbox, ['audit', job, ...keys, ...stranger])).toEqual(toTheByte);
  await inWords(['audit', job, ...stranger], /PASS/);
}

/** In the order of the work, each with the job and a time, no field too many. */
function streamsTell(events: readonly Json[], job: string, priceMsat: number): void {
  const ofJob = events.filter(({ event }) => event !== 'ready');
  const round = (number: number) =>
    ['round', 'committed', 'revealed', 'accepted', 'paid'].map((event) => ({ event, round: number }));
  expect(ofJob.map(({ event, round: at }) => (at === undefined ? { event } : { event, round: at }))).toEqual([
    ...[{ event: 'bid' }, { event: 'awarded' }, ...[0, 1, 2].flatMap(round), { event: 'done' }],
  ]);
  for (const event of ofJob) expect(event).toMatchObject({ job, at: anyNumber });
  expect(ofJob[0]).toEqual({ event: 'bid', at: anyNumber, job, bid: hex64, priceMsat, shards: 1 });
}

async function predictsTheFlowers(sandbox: Sandbox, modelDir: string): Promise<void> {
  const species = readFileSync(iris, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',')[4]!);
  const args = ['predict', modelDir, iris, '--home', join(sandbox.folder, 'nobody')];
  const [first, second] = [await runNmkt([...args, '--json']), await runNmkt([...args, '--json'])];
  expect(first.status, first.stderr).toBe(0);
  expect(second.stdout).toBe(first.stdout);
  const rows = first.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Json);
  expect(rows).toHaveLength(150);
  for (const [index, row] of rows.entries())
    expect(row).toEqual({
      row: index,
      prediction: anyString,
      probabilities: { setosa: anyNumber, versicolor: anyNumber, virginica: anyNumber },
      engine: expect.stringMatching(/^wasm\//),
    });
  const right = rows.filter(({ prediction }, index) => prediction === species[index]).length;
  expect(right).toBeGreaterThanOrEqual(120);
  await inWords(args, /^ +0 +setosa/, /149 +\w+/);
}
