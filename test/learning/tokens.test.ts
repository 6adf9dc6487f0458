import { describe, expect, it } from 'vitest';
import { modelCost } from '../../src/learning/model-cost.js';
import { chooseModel, fitsData, modelFor } from '../../src/learning/model-choice.js';
import { charactersOf, decodeTokens, encodeText, vocabularySize } from '../../src/learning/tokens.js';
import type { DataSchema } from '../../src/learning/types.js';
import { dataSchema } from '../../src/protocol/dataset.js';
import { modelSpec } from '../../src/protocol/model.js';

const text = (context: number): DataSchema => ({
  ...{ task: 'classification', shape: [context], inputs: context, dtype: 'U8', scale: 1, outputs: 4 },
  text: { tokenizer: 'char', characters: '\nab🦉' },
});
const image: DataSchema = {
  ...{ task: 'classification', shape: [28, 28], inputs: 784, dtype: 'U8', scale: 79, outputs: 10 },
};

describe('tokens', () => {
  it('are characters by code point, astral ones too, and come back as the text', () => {
    const code = { tokenizer: 'char', characters: charactersOf('b🦉a\nab') } as const;
    expect(code.characters).toBe('\nab🦉');
    expect(vocabularySize(code)).toBe(4);
    expect([...encodeText(code, '🦉ab\n')]).toEqual([3, 1, 2, 0]);
    expect(decodeTokens(code, [3, 1, 2, 0])).toBe('🦉ab\n');
    expect(() => encodeText(code, 'abc')).toThrow('character 3 of the text is none that the model knows');
  });

  it('are the bytes of any text, and what is no UTF-8 comes back as U+FFFD', () => {
    const code = { tokenizer: 'byte' } as const;
    expect([...encodeText(code, 'aé')]).toEqual([0x61, 0xc3, 0xa9]);
    expect(decodeTokens(code, [0x61, 0xc3, 0xa9, 0xff])).toBe('aé\ufffd');
  });
});

describe('a schema of text', () => {
  it('is read with its line breaks', () => {
    expect(dataSchema.parse(text(8))).toEqual(text(8));
  });

  it.each<[string, Partial<DataSchema>]>([
    ['characters out of order', { text: { tokenizer: 'char', characters: 'ba\n🦉' } }],
    ['a character twice', { text: { tokenizer: 'char', characters: '\naab' } }],
    ['half a character', { text: { tokenizer: 'char', characters: '\nab\ud800' } }],
    ['another vocabulary', { outputs: 5 }],
    ['another vocabulary of bytes', { text: { tokenizer: 'byte' } }],
    ['regression', { task: 'regression', outputs: 1 }],
    ['a scale', { scale: 2 }],
    ['class names', { classes: ['a', 'b', 'c', 'd'] }],
    ['floats for a small vocabulary', { dtype: 'F32' }],
  ])('is refused with %s', (_, change) => {
    expect(dataSchema.safeParse({ ...text(8), ...change }).success).toBe(false);
  });
});

describe('the model for data', () => {
  it('is gpt for text, cnn for images, mlp for the rest', () => {
    expect([text(8), image, { ...image, shape: [784] }, { ...image, shape: [2, 392] }].map(modelFor)).toEqual([
      'gpt',
      'cnn',
      'mlp',
      'mlp',
    ]);
  });

  it('has the size that was asked for, fits the data it was made for, and no others', () => {
    const lenet = chooseModel({ hidden: [] }, image);
    expect(lenet).toEqual({
      ...{ model: 'cnn', task: 'classification', inputs: 784, outputs: 10 },
      ...{ shape: [28, 28, 1], filters: [6, 16], hidden: [120, 84] },
    });
    const micro = chooseModel({ size: 'micro', hidden: [] }, text(64));
    expect(micro).toMatchObject({ model: 'gpt', layers: 4, heads: 4, width: 128 });
    expect(chooseModel({ model: 'cnn', hidden: [] }, text(8))).toBe('images');
    expect(chooseModel({ model: 'gpt', hidden: [] }, image)).toBe('text');
    if (typeof lenet === 'string' || typeof micro === 'string') throw new Error('no model');
    expect([fitsData(lenet, image), fitsData(micro, text(64))]).toEqual([true, true]);
    expect(fitsData(lenet, { ...image, shape: [56, 14] })).toBe(false);
    expect(fitsData(micro, { ...image, shape: [64], inputs: 64, outputs: 4 })).toBe(false);
  });

  it('costs what one can count by hand', () => {
    const lenet = chooseModel({ hidden: [] }, image);
    const nano = chooseModel({ hidden: [] }, text(8));
    if (typeof lenet === 'string' || typeof nano === 'string') throw new Error('no model');
    // (25 + 1) 6 + (25 6 + 1) 16 + (784 + 1) 120 + (120 + 1) 84 + (84 + 1) 10
    expect(modelCost(lenet).parameters).toBe(156 + 2_416 + 94_200 + 10_164 + 850);
    // 2 (28 28 25 6 + 14 14 6 25 16 + 784 120 + 120 84 + 84 10)
    expect(modelCost(lenet).flops).toBe(2 * (117_600 + 470_400 + 94_080 + 10_080 + 840));
    // 4 and 8 places of 48, three blocks of 12 48 48 + 13 48, a last norm
    expect(modelCost(nano).parameters).toBe(4 * 48 + 8 * 48 + 3 * (12 * 48 * 48 + 13 * 48) + 2 * 48);
  });
});

describe('a model on the wire', () => {
  const cnn = {
    ...{ model: 'cnn', task: 'classification', inputs: 784, outputs: 10 },
    ...{ shape: [28, 28, 1], filters: [6, 16], hidden: [] },
  };
  const gpt = { model: 'gpt', task: 'classification', inputs: 8, outputs: 4, layers: 1, heads: 2, width: 8 };

  it('is read', () => {
    expect([cnn, gpt].map((spec) => modelSpec.parse(spec))).toEqual([cnn, gpt]);
  });

  it.each([
    { ...cnn, shape: [28, 28, 2] },
    { ...cnn, shape: [28, 28] },
    { ...cnn, shape: [392, 2, 1] },
    { ...cnn, filters: [] },
    { ...cnn, hidden: undefined },
    { ...gpt, heads: 3 },
    { ...gpt, layers: 65 },
    { ...gpt, task: 'regression', outputs: 1 },
    { ...gpt, model: 'lambda' },
  ])('is refused: $model $shape $filters $heads $layers', (spec) => {
    expect(modelSpec.safeParse(spec).success).toBe(false);
  });
});
