import { afterAll, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { fedAvg } from '../../src/learning/aggregate/fedavg.js';
import { initialParams } from '../../src/learning/params.js';
import type { ModelSpec } from '../../src/learning/types.js';
import { digits, DIGITS_SCHEMA } from '../../src/training/digits.js';
import { createEngine, type TrainingEngine } from '../../src/training/engine.js';
import { splitDataset } from '../../src/training/split.js';

const seed = new Uint8Array(32).fill(7);

describe('digits', () => {
  it('are balanced images of the schema, and follow the seed to the byte', () => {
    const { rows, inputs, features, labels, scale } = digits(50, seed);
    expect([rows, inputs, features.length, scale]).toEqual([50, 784, 50 * 784, DIGITS_SCHEMA.scale]);
    for (let c = 0; c < 10; c++) expect([...labels].filter((label) => label === c).length).toBe(5);
    expect(sha256Hex(features as Uint8Array)).toBe('3accec9257c2be09e9328acf73b55e566c1d9051caae85305af797a40cf52db5');
    expect(digits(50, new Uint8Array(32)).features).not.toEqual(features);
  });

  it('have ink in the middle: between 5 % and 40 % of an image is bright, the corners are dark', () => {
    const { features } = digits(100, seed);
    for (let row = 0; row < 100; row++) {
      const image = features.subarray(row * 784, (row + 1) * 784);
      const bright = image.filter((pixel) => pixel > 128).length / 784;
      expect(bright).toBeGreaterThan(0.02);
      expect(bright).toBeLessThan(0.4);
      for (const corner of [0, 27, 27 * 28, 783]) expect(image[corner]).toBeLessThan(64);
    }
  });
});

describe('learning digits', () => {
  let engine: TrainingEngine | undefined;
  afterAll(async () => engine?.close());

  /** Accuracy on B after 3 rounds of 2 epochs on 3 shards of about 1,333 examples. */
  async function accuracyOf(model: ModelSpec): Promise<number> {
    engine ??= await createEngine({ accepted: ['wasm', 'cpu'] });
    const { shards, b } = splitDataset(digits(6000, seed), { shards: 3, seed, evalFraction: 1 / 6 });
    const hyper = { optimizer: 'adam', learningRate: 0.001, batch: 32, epochs: 2 } as const;
    let weights = initialParams(model, seed);
    for (let round = 0; round < 3; round++) {
      const updates = [];
      for (const [shard, examples] of shards.entries()) {
        const trainSeed = new Uint8Array(32).fill(round * 3 + shard);
        const { weights: params } = await engine.train({ model, weights, examples, hyper, seed: trainSeed });
        updates.push({ shard, trainer: `${shard}`, examples: examples.rows, params });
      }
      weights = fedAvg(updates);
    }
    return (await engine.evaluate(model, weights, b)).accuracy!;
  }

  it('takes more than a linear model: federated mlp(128) reaches 0.95, logreg stays below 0.93', async () => {
    const shape = { task: 'classification', inputs: 784, outputs: 10 } as const;
    expect(await accuracyOf({ model: 'mlp', ...shape, hidden: [128] })).toBeGreaterThanOrEqual(0.95);
    const linear = await accuracyOf({ model: 'logreg', ...shape, hidden: [] });
    expect(linear).toBeGreaterThan(0.8);
    expect(linear).toBeLessThan(0.93);
  }, 60_000);
});
