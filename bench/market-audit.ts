import { cpus } from 'node:os';
import { sha256 } from '../src/hash.js';
import type { Engine } from '../src/ports.js';
import { hasSpotChecks, parseJobFile, type JobFileInput } from '../src/roles/job-file.js';
import { planJob } from '../src/roles/job-plan.js';
import { bundledDigits } from '../src/simulate/digits-data.js';
import { simulateMarket } from '../src/simulate/market.js';
import { createEngine } from '../src/training/engine.js';
import { splitDataset } from '../src/training/split.js';
import type { BenchResult } from './run.js';

/**
 * What checking adds to the work of training: whole jobs in memory on the real engine, the bundled digits (four shards of 880), a network of
 * one hidden layer of 128. Processor time of the calls of the engine, one at a time.
 */
const SEATS = 4;
const TARGET = 0.15;
const JOBS: readonly (readonly [name: string, job: JobFileInput])[] = [
  ['2 epochs, spotRate 0.333 (the defaults)', {}],
  ['2 epochs, spotRate 1', { spotRate: 1 }],
  ['10 epochs, spotRate 0.333', { epochs: 10 }],
  ['20 epochs, spotRate 0.333', { epochs: 20 }],
  ['20 epochs, spotRate 0.1', { epochs: 20, spotRate: 0.1 }],
  ['20 epochs, spotRate 0.1, 3 validators', { epochs: 20, spotRate: 0.1, validators: 3 }],
];

export async function bench(): Promise<BenchResult> {
  console.error(`${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} processors, Node.js ${process.version}`);
  const engine = await createEngine({ accepted: ['wasm'] });
  const rows = [];
  for (const [name, changes] of JOBS) rows.push({ job: name, ...(await measured(engine, changes)) });
  await engine.close();
  return {
    rows: rows.map(({ measured: share, planned, ...row }) => ({
      ...row,
      measured: percent(share),
      planned: percent(planned),
    })),
    targets: rows.map(({ job, measured: share }) => ({
      name: `audit overhead: ${job}`,
      target: `at most ${percent(TARGET)}`,
      got: percent(share),
      ok: share <= TARGET,
    })),
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

async function measured(engine: Engine, changes: JobFileInput) {
  const job = parseJobFile(
    { ...{ model: 'mlp', rounds: 5, trainers: SEATS, rail: 'none', maxPriceSats: 0 }, ...changes },
    'bench',
  );
  const { schema, examples, test } = bundledDigits(false);
  const split = splitDataset(examples, { shards: SEATS, seed: sha256('bench audit split'), test });
  const spent = { training: 0, scoring: 0, repeating: 0 };
  await simulateMarket({
    ...{ seed: sha256('bench audit'), job, schema, split, spares: 0, attackers: new Map() },
    engine: metered(engine, spent),
    hasSpotChecks: hasSpotChecks(job),
    signal: new AbortController().signal,
    payer: () => {
      throw new Error('a free job pays nobody');
    },
  });
  const shardRows = split.shards.map(({ rows }) => rows);
  const { overhead } = planJob(job, schema, shardRows, null, undefined, split.a.rows);
  return {
    trainingMs: Math.round(spent.training),
    scoringMs: Math.round(spent.scoring),
    repeatingMs: Math.round(spent.repeating),
    measured: (spent.scoring + spent.repeating) / spent.training,
    planned: overhead.share,
  };
}

/** One call at a time, so that the processor time in it is its own. */
function metered(engine: Engine, spent: { training: number; scoring: number; repeating: number }): Engine {
  let last: Promise<unknown> = Promise.resolve();
  const timed = <T>(what: keyof typeof spent | null, call: () => Promise<T>): Promise<T> => {
    const mine = last.then(async () => {
      const before = process.cpuUsage();
      const result = await call();
      const { user, system } = process.cpuUsage(before);
      if (what !== null) spent[what] += (user + system) / 1_000;
      return result;
    });
    last = mine.catch(() => undefined);
    return mine;
  };
  return {
    id: engine.id,
    train: (request, ...rest) => {
      const isTrial = request.seed.every((byte) => byte === 0);
      const isPart = request.from !== undefined || request.toStep !== undefined;
      return timed(isTrial ? null : isPart ? 'repeating' : 'training', () => engine.train(request, ...rest));
    },
    evaluate: (...call) => timed('scoring', () => engine.evaluate(...call)),
    predict: (...call) => timed(null, () => engine.predict(...call)),
    close: () => engine.close(),
  };
}
