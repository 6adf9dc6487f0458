import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pieces, readMerges, writeMerges, type Merge } from '../../src/learning/bpe.js';
import { trainMerges } from '../../src/learning/bpe-training.js';
import { charactersPerToken, classNames, decodeTokens, vocabularySize } from '../../src/learning/tokens.js';
import type { DataSchema, TextCode } from '../../src/learning/types.js';
import { dataSchema } from '../../src/protocol/dataset.js';
import { textTokens } from '../../src/training/text-tokens.js';

type Bpe = Extract<TextCode, { tokenizer: 'bpe' }>;
const bpe = (...merges: readonly Merge[]): Bpe => ({ tokenizer: 'bpe', merges: writeMerges(merges) });
const bytes = (text: string): number[] => [...Buffer.from(text)];
const [a, b, c] = bytes('abc') as [number, number, number];

/** Of a piece: the merge of lowest number, everywhere from left to right, again and again (Sennrich et al. 2016). */
function slowly(merges: readonly Merge[], text: string): number[] {
  let tokens = bytes(text);
  merges.forEach(([left, right], i) => {
    const next: number[] = [];
    for (const token of tokens) {
      if (token === right && next.at(-1) === left) next.splice(-1, 1, 256 + i);
      else next.push(token);
    }
    tokens = next;
  });
  return tokens;
}
const story = ['the cat sat, the dog sat; ', 'déjà vu 🦉🦉 ', "we'll see 1234 5\n\n\t  and\r\n", 'aaaa aaa aa ']
  .join('')
  .repeat(9);
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(fc.constantFrom(...[...story.slice(0, 110)], '\ufeff', '\0', "'s", '  '), { maxLength: 90 })
    .map((all) => all.join('')),
);

describe('merges learnt from a text', () => {
  it('join the most frequent pair, of equal ones the smaller, and stop where a pair is rare', () => {
    // In 8 pieces: a b 16 times, then ab c and c ab 8 times each, of which the left one of ab c is larger.
    expect(trainMerges('abcab '.repeat(8), 300)).toEqual([
      [a, b],
      [c, 256],
      [256, 257],
      // Seven of the eight begin with a space.
    ]);
    expect(trainMerges('ab '.repeat(7), 300)).toEqual([]);
    expect(trainMerges('abcab '.repeat(8), 257)).toEqual([[a, b]]);
  });

  it('make tokens of at most 64 bytes, each once', () => {
    const merges = trainMerges(` ${'🦉'.repeat(32)} ${'abcabbc'.repeat(5)}`.repeat(9), 4_096);
    const read = readMerges(writeMerges(merges));
    if (typeof read === 'string') throw new Error(read);
    expect(Math.max(...read.tokens.map(({ length }) => length))).toBe(64);
  });

  it('are the same for the same text, and give the tokens that the training ended with', () => {
    const merges = trainMerges(story, 4_096);
    expect(trainMerges(story, 4_096)).toEqual(merges);
    const slow = [...pieces(story)].flatMap((piece) => slowly(merges, piece));
    expect([...textTokens(bpe(...merges), story)]).toEqual(slow);
    expect(slow.length).toBeLessThan(bytes(story).length / 3);
  });
});

describe('byte pairs', () => {
  const merges = trainMerges(story, 4_096);
  const code = bpe(...merges);

  it('come back as the text, whatever it is, and are those of a slow reader', () => {
    fc.assert(
      fc.property(text, (one) => {
        const whole = Buffer.from(one).toString();
        const tokens = textTokens(code, whole);
        expect(decodeTokens(code, tokens)).toBe(whole);
        expect([...tokens]).toEqual([...pieces(whole)].flatMap((piece) => slowly(merges, piece)));
        const perToken = charactersPerToken(code);
        expect([...tokens].reduce((sum, token) => sum + perToken[token]!, 0)).toBe([...whole].length);
      }),
    );
  });

  it('are cut within pieces, none of them long, each one piece alone', () => {
    expect([...pieces("We'll see  12345, \n\tx é🦉")]).toEqual([
      'We',
      "'ll",
      ' see',
      ' ',
      ' 123',
      '45',
      ',',
      ' \n',
      '\t',
      'x',
      ' é🦉',
    ]);
    fc.assert(
      fc.property(text, (one) => {
        const all = [...pieces(one)];
        expect(all.join('')).toBe(one);
        for (const piece of all) {
          expect([...pieces(piece)]).toEqual([piece]);
          expect([...piece].length).toBeLessThanOrEqual(33);
        }
      }),
    );
  });

  it('have names of their own, in text where they are some', () => {
    const found = bpe([0xc3, 0xa9], [a, b], [0x3c, 0x30], [257, c]);
    const names = classNames(schemaOf(found));
    expect([names[0xc3], names[a], ...names.slice(256)]).toEqual(['<0xc3>', 'a', 'é', 'ab', '<0', 'abc']);
    expect(new Set(classNames(schemaOf(code))).size).toBe(vocabularySize(code));
    expect(decodeTokens(found, [257, 0xc3, 256, 9_999])).toBe('ab\ufffdé\ufffd');
  });
});

const schemaOf = (code: TextCode, outputs = vocabularySize(code)): DataSchema => ({
  ...{ task: 'classification', shape: [8], inputs: 8, dtype: 'F32', scale: 1, outputs, text: code },
});

describe('merges on the wire', () => {
  it('are read', () => {
    const good = schemaOf(bpe([a, b], [256, c]));
    expect(good.outputs).toBe(258);
    expect(dataSchema.parse(good)).toEqual(good);
    const doubling = Array.from({ length: 6 }, (_, i): Merge => (i === 0 ? [a, a] : [255 + i, 255 + i]));
    expect(dataSchema.safeParse(schemaOf(bpe(...doubling))).success).toBe(true); // to 64 bytes
  });

  const many = Array.from({ length: 3_841 }, (_, i): Merge => [i >> 8, i & 255]);
  it.each<[string, Bpe | string, number?]>([
    ['no merge', ''],
    ['a token after them', bpe([a, 256])],
    ['a token that comes later', bpe([a, b], [258, c], [a, c])],
    ['a token twice, by other halves', bpe([a, b], [b, c], [256, c], [a, 257])],
    [
      'a token of 128 bytes',
      bpe(...Array.from({ length: 7 }, (_, i): Merge => (i === 0 ? [a, a] : [255 + i, 255 + i]))),
    ],
    ['3,841 merges', bpe(...many)],
    ['another vocabulary', bpe([a, b]), 258],
    ['half a merge', Buffer.from([0, a, 0, b, 0, c]).toString('base64'), 257],
    ['stray bits', 'AGEAYh=='],
    ['other characters', 'AGE-Yg=='],
    ['what is no text', [[a, b]] as never],
  ])('are refused: %s', (_, wrong, outputs) => {
    const code: Bpe = typeof wrong === 'object' && 'tokenizer' in wrong ? wrong : { tokenizer: 'bpe', merges: wrong };
    const schema = schemaOf(bpe([a, b]), outputs);
    const size = outputs ?? (typeof code.merges === 'string' ? Math.max(257, Math.floor(vocabularySize(code))) : 257);
    expect(dataSchema.safeParse({ ...schema, outputs: size, text: code }).success).toBe(false);
  });

  it('of 3,840 tokens are read in a moment', () => {
    expect(dataSchema.safeParse(schemaOf(bpe(...many.slice(0, 3_840)))).success).toBe(true);
  });
});
