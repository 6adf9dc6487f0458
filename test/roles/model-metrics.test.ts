import { expect, it } from 'vitest';
import { writeMerges } from '../../src/learning/bpe.js';
import type { DataSchema, Examples, ModelSpec, TextCode } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
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
