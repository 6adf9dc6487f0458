import { describe, expect, test } from 'vitest';
import type { DataSchema } from '../../src/learning/types.js';
import { parseJobFile, type JobFileInput } from '../../src/roles/job-file.js';
import { planJob } from '../../src/roles/job-plan.js';
import { createWorld } from '../support/market-world.js';

const IMAGES: DataSchema = {
  ...{ task: 'classification', shape: [784], inputs: 784, dtype: 'U8', scale: 255, outputs: 10 },
  classes: Array.from({ length: 10 }, (_, i) => String(i)),
};
const planOf = (job: JobFileInput, throughput: number | null = null, rows: readonly number[] = [100, 200, 200]) =>
  planJob(parseJobFile(job, 'the test'), IMAGES, rows, throughput);

test('by hand: a network of 101,770 parameters in int4', () => {
  const plan = planOf(
    { model: 'mlp', rounds: 2, epochs: 2, batch: 50, maxPriceSats: 10, spotRate: 0.5, segments: 4 },
    1_000,
  );
  expect(plan.parameters).toBe(101_770);
  // 397 blocks of 132 bytes, 138 values more in 69 bytes and a scale, four in front
  expect(plan.updateBytes).toBe(4 + 397 * 132 + 4 + 69);
  expect(plan.sats).toEqual({ perRound: 30, total: 60, auditShare: 0.1, feeShare: 0 });
  // 2 epochs of 200 examples in batches of 50; repeated: 3 trainers, 0.5 / 5 of it
  expect(plan.steps).toBe(8);
  expect(plan.time!.roundSec).toBeCloseTo(0.4, 9);
  expect(plan.time!.auditSec).toBeCloseTo(0.12, 9);
  expect(plan.time!.totalSec).toBeCloseTo(1.04, 9);
  // two chunks and a list of them for each of three updates
  expect(plan.round.updates.events).toBe(9);
});

describe('what checks add to the work', () => {
  const ROWS = [100, 200, 200];
  const overheadOf = (job: JobFileInput, evaluationRows = 100) =>
    planJob(
      parseJobFile({ model: 'mlp', rounds: 2, batch: 50, spotRate: 0.5, segments: 4, ...job }, 'the test'),
      ...([IMAGES, ROWS, null, undefined, evaluationRows] as const),
    );

  test('by hand', () => {
    // 1,000 examples are trained on, each worth 3 that are measured: 1,000 of each update before and after, and 100 of set A.
    // All are drawn in the first round, half in the second: 0.75 of one segment in five.
    const { overhead } = overheadOf({ epochs: 2 });
    expect(overhead).toEqual({ scorers: 1, scoring: 1.1, repeating: 0.15, share: 1.25, spotRateFor15: null });
    // Fifty times the work: 0.15 is left but for 0.022 of scores and 0.1 of the first round, and a rate of 1 costs 0.1 more.
    expect(overheadOf({ epochs: 100 }).overhead.spotRateFor15).toBeCloseTo(0.28, 9);
    expect(overheadOf({ epochs: 100, verification: 'floor' }).overhead).toMatchObject({ repeating: 0, scoring: 0.022 });
  });

  test('of three validators it is three times as much, and their fees are part of the pay', () => {
    const plan = overheadOf({ epochs: 2, maxPriceSats: 90, validators: 3, validatorFeeSats: 10 });
    expect(plan.overhead).toMatchObject({ scorers: 3, scoring: 3.3 });
    expect(plan.overhead.repeating).toBeCloseTo(0.45, 9);
    expect(plan.sats).toMatchObject({ perRound: 300, feeShare: 0.1 });
  });
});

test('nothing is repeated where the job says so, nothing is paid on rail none', () => {
  const plan = planOf({ model: 'logreg', verification: 'floor', rail: 'none', maxPriceSats: 0 });
  expect([plan.sats.auditShare, plan.sats.total, plan.round.states, plan.time]).toEqual([
    0,
    0,
    { events: 0, bytes: 0 },
    null,
  ]);
});

test('what cannot be posted cannot be planned', () => {
  expect(() => planOf({ model: 'gpt' })).toThrow(expect.objectContaining({ code: 'bad-job' }) as Error);
  expect(() => planOf({ aggregation: 'median', attackers: 1 })).toThrow(
    expect.objectContaining({ code: 'bad-job' }) as Error,
  );
});

/** With all updates drawn, or none: which ones a rate draws is another matter in every run. */
describe('against a job that was run', () => {
  test.each([
    ['small models, paid', { codec: 'int4', spotRate: 1 }, {}],
    ['models in chunks, whole', { codec: 'f32', verification: 'floor' }, { classes: 600 }],
    ['with root updates, free', { codec: 'int4', aggregation: 'fltrust', verification: 'floor' }, { rail: 'none' }],
    ['with validators', { codec: 'int4', spotRate: 1, validators: 3, validatorFeeSats: 2 }, { validators: 3 }],
    [
      'keys for payments',
      { codec: 'int4', spotRate: 1, validators: 3, rail: 'key-sale' },
      { validators: 3, rail: 'key-sale' },
    ],
    ['models in chunks, int8', { codec: 'int8', verification: 'floor' }, { classes: 1_200 }],
    [
      'free, with drawn states',
      { codec: 'f16', verification: 'spot', spotRate: 1, segments: 3 },
      { classes: 600, rail: 'none' },
    ],
  ] as const)('%s: events within a third, bytes not above it', async (name, job, options) => {
    const world = await createWorld({ name, trainers: 3, rounds: 4, rows: 18, ...options, job });
    const before = world.network.events().length;
    const bytesOf = () => world.network.events().reduce((sum, event) => sum + JSON.stringify(event).length, 0);
    const bytesBefore = bytesOf();
    const { state } = await world.run();
    expect(state.phase).toBe('finished');
    const [events, bytes] = [world.network.events().length - before, bytesOf() - bytesBefore];
    const { schema } = world.snapshot.manifest;
    const rows = world.split.shards.map((shard) => shard.rows);
    const file = {
      model: 'logreg',
      epochs: 8,
      batch: 4,
      optimizer: 'sgd',
      rounds: 4,
      acceptedEngines: 'cpu',
      aggregation: 'fedavg',
    } as const;
    const isFree = 'rail' in options && options.rail === 'none';
    const rail = isFree ? { rail: 'none' as const, maxPriceSats: 0 } : {};
    const plan = planJob(parseJobFile({ ...file, ...rail, ...job }, 'the test'), schema, rows, null);
    expect(plan.total.events).toBeGreaterThan(events * 0.67);
    expect(plan.total.events).toBeLessThan(events * 1.5);
    expect(plan.total.bytes).toBeGreaterThan(bytes * 0.8);
    expect(plan.total.bytes).toBeLessThan(bytes * 2.5);
  });
});
