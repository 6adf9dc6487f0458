import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { decodeExamples, encodeExamples } from '../../src/learning/examples.js';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { temporaryFolder } from '../support/run-nmkt.js';

let dir: string;
beforeEach(() => {
  dir = temporaryFolder();
});
function file(content: string | Uint8Array, name = 'story.txt'): string {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
}

test('a text becomes windows side by side, each with the token that follows it', async () => {
  const { schema, examples } = await readDataset(file('abcabdabe'), { context: 3 });
  expect(schema).toEqual({
    ...{ task: 'classification', shape: [3], inputs: 3, dtype: 'U8', scale: 1, outputs: 5 },
    text: { tokenizer: 'char', characters: 'abcde' },
  });
  expect(examples).toEqual({
    ...{ rows: 2, inputs: 3, scale: 1, features: Uint8Array.of(0, 1, 2, 0, 1, 3), labels: Int32Array.of(0, 0) },
  });
  expect((await readWithSchema(file('eddc', 'other'), schema)).examples.features).toEqual(Uint8Array.of(4, 3, 3));
});

test('a vocabulary beyond a byte is kept as floats', async () => {
  const letters = Array.from({ length: 300 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join('');
  const { schema, examples } = await readDataset(file(letters), { tokenizer: 'char', context: 299 });
  expect([schema.dtype, schema.outputs, examples.features[298]]).toEqual(['F32', 300, 298]);
  expect((await readDataset(file(letters))).schema.text).toEqual({ tokenizer: 'byte' });
});

test('byte pairs are learnt from the text, and read again by its schema', async () => {
  const { schema, examples } = await readDataset(file('abab '.repeat(9)), {
    ...{ tokenizer: 'bpe', vocabulary: 258, context: 2 },
  });
  // a b and then ab ab, in the first piece alone and in eight after a space.
  expect(schema).toEqual({
    ...{ task: 'classification', shape: [2], inputs: 2, dtype: 'F32', scale: 1, outputs: 258 },
    text: { tokenizer: 'bpe', merges: Buffer.of(0, 97, 0, 98, 1, 0, 1, 0).toString('base64') },
  });
  expect(examples.features.slice(0, 4)).toEqual(Float32Array.of(257, 32, 257, 32));
  expect([...examples.labels].slice(0, 2)).toEqual([257, 257]);
  expect((await readWithSchema(file('abc ab', 'other'), schema)).examples.features).toEqual(
    Float32Array.of(256, 99, 32, 256).subarray(0, 2),
  );
});

test.each([
  ['abab '.repeat(9), { vocabulary: 300 }, 'bad-usage', 'with --tokenizer bpe alone'],
  ['abab '.repeat(9), { tokenizer: 'byte', vocabulary: 300 }, 'bad-usage', 'with --tokenizer bpe alone'],
  ['abcdefg', { tokenizer: 'bpe' }, 'bad-dataset', 'no pair of characters'],
] as const)('byte pairs that cannot be learnt are refused: %j %j', async (content, options, code, message) => {
  const rejected = expect(readDataset(file(content), options)).rejects;
  await rejected.toMatchObject({ code, message: expect.stringContaining(message) as string });
});

test.each([
  [Uint8Array.of(0x61, 0xff), 'bad-dataset', 'is no text'],
  ['abc', 'bad-dataset', 'is too short'],
])('what cannot be used is refused: %j', async (content, code, message) => {
  const rejected = expect(readDataset(file(content), { context: 3 })).rejects;
  await rejected.toMatchObject({ code, message: expect.stringContaining(message) as string });
});

test('a shard with a token beyond the vocabulary is refused before anything looks it up', async () => {
  const { schema, examples } = await readDataset(file('abcabdabe'), { context: 3 });
  const bad = encodeExamples({ ...examples, features: Uint8Array.of(0, 1, 2, 0, 5, 3) }, schema);
  expect(() => decodeExamples(bad, schema, { maxBytes: 10_000 })).toThrow('token 4 is not in the vocabulary');
});

test('a folder of texts is one text: its files by name, each on lines of its own', async () => {
  const parts = { 'b.txt': 'the end', 'a.txt': 'abc abc abc', 'a9.md': 'more of it\n', 'data.csv': 'no text' };
  for (const [name, text] of Object.entries(parts)) file(text, name);
  const folder = dir;
  dir = temporaryFolder();
  const read = await readDataset(folder, { context: 4 });
  expect(read).toEqual(await readDataset(file('abc abc abc\nmore of it\nthe end'), { context: 4 }));
  expect((await readWithSchema(folder, read.schema)).examples).toEqual(read.examples);
  await expect(readDataset(folder, { context: 4, maxBytes: 20 })).rejects.toEqual(
    expect.objectContaining({ code: 'too-large', got: '29' }),
  );
});
