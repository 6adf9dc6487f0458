import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeDifference, encodeDifference } from '../../src/learning/codec/difference.js';
import { evenOdds, rangeDecoder, rangeEncoder } from '../../src/learning/codec/range-coder.js';
import type { ParamSet } from '../../src/learning/types.js';
import { readDifference } from '../support/second/differences.js';

const words = (params: ParamSet): number[] =>
  params.flatMap(({ data }) => [...new Uint32Array(data.buffer, data.byteOffset, data.length)]);
const ofWords = (all: readonly number[]): ParamSet => [
  { name: 'w', shape: [all.length], data: new Float32Array(Uint32Array.from(all).buffer) },
];
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const ONE = 0x3f800000;

describe('by hand', () => {
  test('no change is the low half of the range: nothing but zeros', () => {
    expect(hex(encodeDifference(ofWords([ONE]), ofWords([ONE])))).toBe('0000000000');
  });

  test('one step up: 1 in the first decision, then five zeros for a length of one bit, and a plus', () => {
    // The half of 2^32 - 1 that the odds give to zero: 131,071 * 16,384 = 0x7fffc000.
    expect(hex(encodeDifference(ofWords([ONE]), ofWords([ONE + 1])))).toBe('007fffc000');
  });

  test('one step down: half of what is left of the range, 2^26, is added for the minus', () => {
    // 0x80003fff, and five halves of it in steps of the odds: 2^30, ..., 2^26.
    expect(hex(encodeDifference(ofWords([ONE]), ofWords([ONE - 1])))).toBe('0081ffc000');
  });

  test('from zero to minus zero is one step down, as between any neighbours', () => {
    expect(hex(encodeDifference(ofWords([0]), ofWords([0x80000000])))).toBe('0081ffc000');
  });

  test('a thousand words without change take a few bytes', () => {
    const same = ofWords(new Array<number>(1_000).fill(ONE));
    expect(encodeDifference(same, same).length).toBeLessThan(16);
  });
});

const finite = fc
  .record({ sign: fc.boolean(), magnitude: fc.nat(0x7f7fffff) })
  .map(({ sign, magnitude }) => (sign ? magnitude + 2 ** 31 : magnitude));
const near = fc.tuple(finite, fc.integer({ min: -300, max: 300 })).map(([word, step]) => {
  const to = (word % 2 ** 31) + step;
  return [word, to < 0 || to > 0x7f7fffff ? word : to + (word >= 2 ** 31 ? 2 ** 31 : 0)] as const;
});
const pairs = fc.array(
  fc.oneof(
    near,
    fc.tuple(finite, finite),
    finite.map((word) => [word, word] as const),
  ),
  { maxLength: 60 },
);

describe('for all models', () => {
  test('what is read is what was written, to the bit, also by the second reader', () => {
    fc.assert(
      fc.property(pairs, (all) => {
        const [from, to] = [all.map(([word]) => word), all.map(([, word]) => word)];
        const bytes = encodeDifference(ofWords(from), ofWords(to));
        expect(words(decodeDifference(ofWords(from), bytes))).toEqual(to);
        expect(readDifference([from], bytes)).toEqual([to]);
      }),
    );
  });

  test('bytes that are read are the only ones for that model', () => {
    fc.assert(
      fc.property(pairs, fc.nat(), fc.nat(255), (all, at, byte) => {
        const from = ofWords(all.map(([word]) => word));
        const bytes = encodeDifference(from, ofWords(all.map(([, word]) => word)));
        bytes[at % bytes.length] = byte;
        let read: ParamSet;
        try {
          read = decodeDifference(from, bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-blob' });
          return;
        }
        expect(hex(encodeDifference(from, read))).toBe(hex(bytes));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a state', () => {
  const anyWords = fc.array(finite, { maxLength: 40 });
  const stateOf = (weights: readonly number[], moments: readonly number[]): ParamSet => [
    { ...ofWords(moments)[0]!, name: 'mean/w' },
    ofWords(weights)[0]!,
  ];

  test('by hand: a zero alone is ten zeros, plus, exponent and no mantissa; a minus zero begins with a one', () => {
    const none = ofWords([]);
    const bytes = (word: number) => hex(encodeDifference(none, stateOf([], [word])));
    // Ten halves of 2^32 are below 2^24: a byte more.
    expect(bytes(0)).toBe('000000000000');
    // Low is 0x7fffc000 of the first half, times 256.
    expect(bytes(0x80000000)).toBe('007fffc00000');
  });

  test('holds the difference of what the model has, and the rest alone, also for the second reader', () => {
    fc.assert(
      fc.property(pairs, anyWords, (all, moments) => {
        const [from, to] = [all.map(([word]) => word), all.map(([, word]) => word)];
        const tensors = stateOf(to, moments);
        const bytes = encodeDifference(ofWords(from), tensors);
        const read = decodeDifference(ofWords(from), bytes, tensors);
        expect(read.map(({ name }) => name)).toEqual(['mean/w', 'w']);
        expect(read.map((tensor) => words([tensor]))).toEqual([moments, to]);
        expect(readDifference([moments.length, from], bytes)).toEqual([moments, to]);
      }),
    );
  });

  test('is read from one byte string alone', () => {
    fc.assert(
      fc.property(anyWords, fc.nat(), fc.nat(255), (moments, at, byte) => {
        const tensors = stateOf([ONE], moments);
        const bytes = encodeDifference(ofWords([ONE]), tensors);
        bytes[at % bytes.length] = byte;
        let read: ParamSet;
        try {
          read = decodeDifference(ofWords([ONE]), bytes, tensors);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-blob' });
          return;
        }
        expect(hex(encodeDifference(ofWords([ONE]), read))).toBe(hex(bytes));
      }),
      { numRuns: 500 },
    );
  });
});

describe('refused', () => {
  const base = ofWords([ONE, ONE, ONE]);
  const bytes = encodeDifference(base, ofWords([ONE + 9, ONE, ONE - 100_000]));

  test.each([
    ['an end that comes early', bytes.subarray(0, -1)],
    ['bytes behind the end', Uint8Array.of(...bytes, 0)],
    ['another end', Uint8Array.of(...bytes.subarray(0, -1), bytes.at(-1)! ^ 1)],
    ['a first byte that is not 0', Uint8Array.of(1, ...bytes.subarray(1))],
    ['a number above the range', Uint8Array.of(0, 255, 255, 255, 255)],
    ['nothing', new Uint8Array()],
  ])('%s', (_, wrong) => {
    expect(() => decodeDifference(base, wrong)).toThrow(expect.objectContaining({ code: 'bad-blob' }));
  });

  test('a step from the largest number on', () => {
    const up = encodeDifference(ofWords([0x7f000000]), ofWords([0x7f7fffff]));
    expect(() => decodeDifference(ofWords([0x7f000001]), up)).toThrow('no finite number');
  });

  test('models of other shapes, by the writer', () => {
    expect(() => encodeDifference(base, ofWords([ONE]))).toThrow(expect.objectContaining({ code: 'shape-mismatch' }));
  });
});

test('a carry runs through bytes of 0xff', () => {
  // Decisions that keep the low end just below 2^32, until one pushes it over.
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(0xffff), fc.integer({ min: 1, max: 16 })), { maxLength: 200 }), (all) => {
      const encoder = rangeEncoder();
      const ends = all.map(([value, width]) => [value % 9 === 0 ? value : 0xffff, width] as const);
      const odds = evenOdds(1);
      for (const [value, width] of ends) {
        encoder.plain(value, width);
        encoder.bit(odds, 0, 1);
      }
      const decoder = rangeDecoder(encoder.finish());
      const again = evenOdds(1);
      for (const [value, width] of ends) {
        expect(decoder.plain(width)).toBe(value & ((1 << width) - 1));
        expect(decoder.bit(again, 0)).toBe(1);
      }
      decoder.finish();
    }),
  );
});
