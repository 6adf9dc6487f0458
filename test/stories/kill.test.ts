import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { JOB_KINDS } from '../../src/protocol/kinds.js';
import {
  iris,
  paymentsOf,
  runJson,
  startSandbox,
  startStream,
  type Json,
  type Sandbox,
  type Stream,
} from '../support/story.js';

/** kill -9 in the worst places; the same command goes on, nobody is paid twice and no chain forks. */

const ROUNDS = 3;
const PRICE_MSAT = 100_000n;
const TRAINERS = ['trainer-1', 'trainer-2', 'trainer-3'];
/** Enough that a round takes a while, so that a kill falls into it. */
const JOB = { hidden: [16], rounds: ROUNDS, trainers: 3, localSteps: 1500, batch: 8, maxPriceSats: 100 };

interface Market {
  readonly sandbox: Sandbox;
  readonly job: string;
  readonly modelDir: string;
  readonly collect: readonly string[];
  readonly serve: (name: string) => Stream;
}

async function openMarket(): Promise<Market> {
  const sandbox = await startSandbox(TRAINERS.length);
  const file = join(sandbox.folder, 'job.json');
  writeFileSync(file, JSON.stringify(JOB));
  const customer = sandbox.as('customer');
  const published = await runJson(['publish-dataset', iris, '--label', 'species', '--job', file, ...customer]);
  expect(published.status, published.stderr).toBe(0);
  const job = published.document['job'] as string;
  const modelDir = join(sandbox.folder, 'model');
  return {
    sandbox,
    job,
    modelDir,
    collect: ['collect-model', job, '--out', modelDir, '--timeout', '3m', ...customer],
    serve: (name) => startStream(['serve-trainer', ...sandbox.as(name), '--price', '100', '--once']),
  };
}

async function kill(stream: Stream): Promise<void> {
  stream.child.kill('SIGKILL');
  expect((await stream.end).signal).toBe('SIGKILL');
}

const isAt = (event: string, round: number) => (said: Json) => said['event'] === event && said['round'] === round;

/** Every round of every trainer accepted and paid once, in books, provenance and the events of the job. */
async function endedWell({ sandbox, job, modelDir }: Market, collected: Json): Promise<void> {
  const payouts = ROUNDS * TRAINERS.length;
  expect(collected).toMatchObject({ rounds: ROUNDS, paidMsat: Number(PRICE_MSAT) * payouts, verified: true });
  const books = sandbox.books();
  expect(books.payments).toHaveLength(payouts);
  expect(new Set(books.payments.map(({ hash }) => hash)).size).toBe(payouts);
  for (const name of TRAINERS) expect(books.balance(name)).toBe(PRICE_MSAT * BigInt(ROUNDS));
  expect(books.total).toBe(1_000_000_000n);
  const proven = paymentsOf(modelDir).map(({ paymentHash }) => paymentHash);
  expect(proven.sort()).toEqual(books.payments.map(({ hash }) => hash).sort());

  const chained = sandbox.relayEvents().filter(({ kind }) => JOB_KINDS.includes(kind));
  const places = chained.map(({ pubkey, tags }) => `${pubkey} ${tags.find(([name]) => name === 'seq')![1]}`);
  expect(new Set(places).size).toBe(chained.length);
  const { document: audit } = await runJson(['audit', job, ...sandbox.as('customer')]);
  expect(audit).toMatchObject({ verdict: 'PASS', level: 'data', forks: [], unreadable: 0 });
}

it('a customer killed between rounds and while it pays goes on with the same command and pays once', async () => {
  const market = await openMarket();
  const trainers = TRAINERS.map(market.serve);
  const first = startStream(market.collect);
  await trainers[0]!.event(isAt('accepted', 0));
  await kill(first);
  expect(first.events).toEqual([]);

  const second = startStream(market.collect);
  await trainers[1]!.event(isAt('paid', 1));
  await kill(second);
  expect(second.events).toEqual([]);

  const third = startStream(market.collect);
  const ends = await Promise.all([third, ...trainers].map(({ end }) => end));
  expect(ends.map(({ status }) => status)).toEqual([0, 0, 0, 0]);
  await endedWell(market, third.events[0]!);
}, 240_000);

it('relay and wallets killed in the middle come back with every balance, and the job ends as if nothing had been', async () => {
  const market = await openMarket();
  const trainers = TRAINERS.map(market.serve);
  const collecting = startStream(market.collect);
  await trainers[2]!.event(isAt('revealed', 1));
  await kill(market.sandbox.stream);
  const again = await startSandbox(TRAINERS.length, market.sandbox.folder);
  expect(again.relay).toBe(market.sandbox.relay);

  const ends = await Promise.all([collecting, ...trainers].map(({ end }) => end));
  expect(ends.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual([0, 0, 0, 0]);
  await endedWell(market, collecting.events[0]!);
}, 240_000);
