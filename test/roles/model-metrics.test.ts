import { expect, it } from 'vitest';
import { NmktError } from '../../src/errors.js';
import { writeMerges } from '../../src/learning/bpe.js';
import type { DataSchema, Examples, ModelSpec, TextCode } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
import { collectedMetrics } from '../../src/roles/collected-metrics.js';
import { measureModel } from '../../src/roles/model-metrics.js';

/** Three bits of loss per token. */
const engine = { evaluate: () => Promise.resolve({ loss: 3 * Math.LN2, accuracy: 0 }) } as unknown as Engine;
// 256 is ab, 257 is é, whose bytes are 0xc3 and 0xa9.
const code: TextCode = {
  tokenizer: 'bpe',
  merges: writeMerges([
    [97, 98],
    [0xc3, 0xa9],
  ]),
};
const shape = { task: 'classification', inputs: 3, outputs: 258 } as const;
const schema: DataSchema = { ...shape, shape: [3], dtype: 'F32', scale: 1, text: code };
const examples: Examples = {
  ...{ rows: 2, inputs: 3, scale: 1 },
  features: Float32Array.of(256, 97, 257, 0xa9, 256, 256),
  labels: Int32Array.of(0xc3, 99),
};
const gpt: ModelSpec = { model: 'gpt', ...shape, layers: 1, heads: 1, width: 4 };

it.each<[string, ModelSpec, number]>([
  // a, é and the first byte of a character; ab, ab and c: 8 characters in 6 tokens.
  ['at each place', gpt, (3 * 6) / 8],
  // The first byte of a character, and c: 2 characters in 2 tokens.
  ['for the last token alone', { model: 'logreg', ...shape, hidden: [] }, 3],
])('byte pairs of a model that answers %s are measured by the characters that begin in them', async (_, spec, bits) => {
  const metrics = await measureModel(engine, { spec, weights: [] }, schema, examples);
  expect(metrics.bitsPerCharacter).toBeCloseTo(bits, 12);
  expect(metrics.perplexity).toBeCloseTo(8, 12);
});

it('what a collected model is told beside the signed metrics is measured once, and left out where it cannot be', async () => {
  const files = new Map<string, Uint8Array>();
  const warnings: string[] = [];
  const ofTable: DataSchema = {
    ...{ task: 'regression', shape: [1], inputs: 1, dtype: 'F32', scale: 1, outputs: 1 },
    target: { name: 'price', mean: '10.000000000', stdDev: '2.000000000' },
  };
  const spec: ModelSpec = { model: 'logreg', task: 'regression', inputs: 1, outputs: 1, hidden: [] };
  const rows = { rows: 2, inputs: 1, features: Float32Array.of(0, 1), scale: 1, labels: Float32Array.of(0, 2) };
  const env = (predict: () => Promise<Float32Array>) => ({
    ...{ engine: async () => ({ predict }) as unknown as Engine, data: { evaluationB: async () => rows } as never },
    files: {
      read: async (name: string) => files.get(name),
      write: async (name: string, bytes: Uint8Array) => void files.set(name, bytes),
    },
    progress: { warn: (text: string) => void warnings.push(text) } as never,
    signal: new AbortController().signal,
  });
  const state = (sha256: string) =>
    ({ artifact: { content: { model: spec, schema: ofTable, weights: { sha256 }, lossPpm: 5_000_000 } } }) as never;
  const broken = () => Promise.reject(new NmktError('engine-unavailable', 'no engine', { remedy: 'none' }));
  expect(await collectedMetrics(env(broken), state('aa'), [])).toEqual({});
  expect(warnings).toEqual(['metrics beside loss and accuracy are left out: no engine']);
  // Errors of 1 and 3 standard deviations of 2.
  const works = () => Promise.resolve(Float32Array.of(1, -1));
  const measured = { mae: 4, rmse: Math.sqrt((4 + 36) / 2) };
  expect(await collectedMetrics(env(works), state('aa'), [])).toEqual(measured);
  expect(await collectedMetrics(env(broken), state('aa'), [])).toEqual(measured);
  // Another model is another question.
  expect(await collectedMetrics(env(broken), state('bb'), [])).toEqual({});
});
