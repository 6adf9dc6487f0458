import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256, sha256Hex } from '../../src/hash.js';
import {
  CODEC_PRESETS,
  decodeUpdate,
  encodeUpdate,
  keepsResidual,
  maxUpdateBytes,
  type Codec,
} from '../../src/learning/codec/codec.js';
import { prng } from '../../src/learning/prng.js';
import type { ParamSet } from '../../src/learning/types.js';

const SEED = sha256('seed');
const one = (...values: number[]): ParamSet => [{ name: 'w', shape: [values.length], data: Float32Array.from(values) }];
const zeros = (length: number): ParamSet => one(...new Array<number>(length).fill(0));
const valuesOf = (params: ParamSet): number[] => params.flatMap(({ data }) => [...data]);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/ /g, ''), 'hex'));
const small: Codec = { name: 'topk', chunk: 8, keep: 2, bits: 4, feedback: 1 };
const small2: Codec = { ...small, bits: 2 };
const CODECS: Readonly<Record<string, Codec>> = {
  ...CODEC_PRESETS,
  'topk of 8, 4 bits': small,
  'topk of 8, 2 bits': small2,
};

describe('by hand', () => {
  test('f16: 1, -2, 2^-24, the largest half, beyond it, and a tie that goes to the even', () => {
    const { bytes } = encodeUpdate({ name: 'f16' }, zeros(6), one(1, -2, 2 ** -24, 65504, 1e6, 2049), null, SEED);
    expect(hex(bytes)).toBe('4e550101' + '003c' + '00c0' + '0100' + 'ff7b' + 'ff7b' + '0068');
    expect(valuesOf(decodeUpdate({ name: 'f16' }, zeros(6), bytes))).toEqual([1, -2, 2 ** -24, 65504, 65504, 2048]);
  });

  test('int4: scale 0.5 for a largest change of 3.5, whole codes as they are', () => {
    const { bytes } = encodeUpdate({ name: 'int4' }, zeros(5), one(3.5, -3.5, 0.5, -1, 0), null, SEED);
    // codes 7, -7, 1, -2, 0; the first of two in the low half
    expect(hex(bytes)).toBe('4e550103' + '0000003f' + '97' + 'e1' + '00');
    expect(valuesOf(decodeUpdate({ name: 'int4' }, one(10, 10, 10, 10, 10), bytes))).toEqual([13.5, 6.5, 10.5, 9, 10]);
  });

  test('int8: scale 2 for a largest change of -254', () => {
    const { bytes } = encodeUpdate({ name: 'int8' }, zeros(3), one(-254, 2, 0), null, SEED);
    expect(hex(bytes)).toBe('4e550102' + '00000040' + '81' + '01' + '00');
  });

  test('topk, 4 bits: the two largest of eight, the rest waits', () => {
    // Two are kept: 10. k = 1: 2^1 <= 0.69 * 8 / 2 = 2.76. Kept 1: gap 1 = 0|1; kept 6: gap 4 = 110|0. Codes: + 8/8, - 4/8.
    const { bytes, residual } = encodeUpdate(small, zeros(8), one(0.5, 8, 0, 1, 0, 0, -4.25, 0), null, SEED);
    const bits = '10' + '0' + '1' + '110' + '0' + '0' + '111' + '1' + '011';
    expect(hex(bytes)).toBe('4e550104' + '41000000' + bitsHex(bits));
    expect(valuesOf(decodeUpdate(small, zeros(8), bytes))).toEqual([0, 8, 0, 0, 0, 0, -4, 0]);
    expect(valuesOf(residual!)).toEqual([0.5, 0, 0, 1, 0, 0, -0.25, 0]);
  });

  test('topk, 2 bits: two sizes, the means of the larger and of the smaller', () => {
    const of: Codec = { ...small2, keep: 4 };
    const { bytes } = encodeUpdate(of, zeros(8), one(8, 6, -2, -1, 0.5, 0, 0, 0), null, SEED);
    expect(valuesOf(decodeUpdate(of, zeros(8), bytes))).toEqual([7, 7, -1.5, -1.5, 0, 0, 0, 0]);
  });

  test('topk sends no more than there is: one change of eight, and what is nearer to zero than to an eighth waits', () => {
    for (const codec of [small, small2]) {
      const { bytes, residual } = encodeUpdate(codec, zeros(8), one(0, 0, 0, 2, 0, 0, 0, 0), null, SEED);
      expect(valuesOf(decodeUpdate(codec, zeros(8), bytes))).toEqual([0, 0, 0, 2, 0, 0, 0, 0]);
      expect(valuesOf(residual!)).toEqual(new Array(8).fill(0));
    }
    const { bytes, residual } = encodeUpdate(small, zeros(8), one(0, 0, 0, 16, 0, 0.5, 0, 0), null, SEED);
    expect(valuesOf(decodeUpdate(small, zeros(8), bytes))).toEqual([0, 0, 0, 16, 0, 0, 0, 0]);
    expect(valuesOf(residual!)).toEqual([0, 0, 0, 0, 0, 0.5, 0, 0]);
  });

  test('error feedback: what waited counts with its share', () => {
    const of: Codec = { ...small, feedback: 0.5 };
    const { bytes, residual } = encodeUpdate(
      of,
      zeros(8),
      one(0, 0, 0, 1, 0, 0, 0, 0),
      one(0, 8, 0, 2, 0, 0, 1, 0),
      SEED,
    );
    expect(valuesOf(decodeUpdate(of, zeros(8), bytes))).toEqual([0, 4, 0, 2, 0, 0, 0, 0]);
    expect(valuesOf(residual!)).toEqual([0, 0, 0, 0, 0, 0, 0.5, 0]);
  });
});

const anyModel = fc
  .array(fc.oneof(fc.float({ min: -8, max: 8, noNaN: true }), fc.constant(0), fc.constant(1e-42)), {
    minLength: 1,
    maxLength: 40,
  })
  .map((values) => one(...values));

describe.each(Object.entries(CODECS))('%s', (_, codec) => {
  const encode = (base: ParamSet, trained: ParamSet, residual: ParamSet | null = null) =>
    encodeUpdate(codec, base, trained, residual, SEED);

  test('is read back, within the bytes it may take, and what is left out waits', () => {
    fc.assert(
      fc.property(anyModel, anyModel, (a, b) => {
        const length = Math.min(a[0]!.data.length, b[0]!.data.length);
        const [base, trained] = [a, b].map((params) => one(...valuesOf(params).slice(0, length))) as [
          ParamSet,
          ParamSet,
        ];
        const { bytes, residual } = encode(base, trained);
        expect(bytes.length).toBeLessThanOrEqual(maxUpdateBytes(codec, base));
        const decoded = valuesOf(decodeUpdate(codec, base, bytes));
        expect((residual === null) === !keepsResidual(codec)).toBe(true);
        const left = residual === null ? null : valuesOf(residual);
        decoded.forEach((value, i) => {
          const change = Math.fround(trained[0]!.data[i]! - base[0]!.data[i]!);
          if (left === null) expect(Math.abs(value - trained[0]!.data[i]!)).toBeLessThan(16 / 7 + 1e-5);
          // base, sent and left each rounded once
          else expect(value - base[0]!.data[i]! + left[i]!).toBeCloseTo(change, 4);
        });
      }),
    );
  });

  test('no change costs next to nothing in the model, and is no change', () => {
    const base = one(1, -2, 3);
    expect(valuesOf(decodeUpdate(codec, base, encode(base, base).bytes))).toEqual([1, -2, 3]);
  });

  test('a byte more, a byte less or another codec is refused', () => {
    const base = one(1, 2, 3, 4, 5, 6, 7, 8);
    const { bytes } = encode(base, one(2, 2, 3, 5, 5, 6, 7, 8.5));
    for (const wrong of [
      bytes.subarray(0, -1),
      Uint8Array.from([...bytes, 0]),
      Uint8Array.from([...bytes, 0, 0]),
      new Uint8Array(0),
    ])
      expect(() => decodeUpdate(codec, base, wrong)).toThrow();
    for (const other of Object.values(CODEC_PRESETS))
      if (other.name !== codec.name) expect(() => decodeUpdate(other, base, bytes)).toThrow();
  });

  test('whatever bytes are accepted are those that would be written', () => {
    const base = one(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const { bytes } = encode(base, one(1, 0, 0, 0.5, 0, 0.25, 0, 0, 2, 0));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = value;
        let decoded: ParamSet;
        try {
          decoded = decodeUpdate(codec, base, changed);
        } catch (error) {
          expect(error).toMatchObject({
            code: expect.stringMatching(/^(bad-blob|too-large|shape-mismatch)$/) as unknown,
          });
          return;
        }
        if (codec.name === 'f16' || codec.name === 'f32') expect(hex(encode(base, decoded).bytes)).toBe(hex(changed));
        // The same values from other bytes would be a second spelling.
        else if (hex(changed) !== hex(bytes))
          expect(valuesOf(decoded)).not.toEqual(valuesOf(decodeUpdate(codec, base, bytes)));
      }),
      { numRuns: 300 },
    );
  });

  test('equal seeds give equal bytes', () => {
    const [base, trained] = [zeros(700), one(...Array.from({ length: 700 }, (_, i) => (i % 37) / 37 - 0.4))];
    expect(hex(encode(base, trained).bytes)).toBe(hex(encode(base, trained).bytes));
  });
});

describe('blocks', () => {
  test.each(['int8', 'int4'] as const)('%s is right in the mean over seeds', (name) => {
    const trained = one(0.3, -0.71, 1, 0.05);
    const sums = [0, 0, 0, 0];
    const runs = 4_000;
    for (let run = 0; run < runs; run++) {
      const seed = sha256(`${run}`);
      const { bytes } = encodeUpdate({ name }, zeros(4), trained, null, seed);
      valuesOf(decodeUpdate({ name }, zeros(4), bytes)).forEach((value, i) => (sums[i]! += value / runs));
    }
    valuesOf(trained).forEach((value, i) => expect(Math.abs(sums[i]! - value)).toBeLessThan(0.006));
  });

  test('other seeds round otherwise', () => {
    const trained = one(...Array.from({ length: 256 }, (_, i) => i / 300));
    const bytesOf = (seed: string) =>
      hex(encodeUpdate({ name: 'int4' }, zeros(256), trained, null, sha256(seed)).bytes);
    expect(bytesOf('a')).not.toBe(bytesOf('b'));
  });
});

describe('hostile updates', () => {
  const base = zeros(8);
  test.each([
    ['a minus zero among halves', 'f16', '4e550101 0080 0000 0000 0000 0000 0000 0000 0000'],
    ['an infinite half', 'f16', '4e550101 007c 0000 0000 0000 0000 0000 0000 0000'],
    ['a scale that is not finite', 'int8', '4e550102 0000807f 7f00000000000000'],
    ['a scale below zero', 'int8', '4e550102 000080bf 7f00000000000000'],
    ['a scale of minus zero', 'int8', '4e550102 00000080 0000000000000000'],
    ['the code -128', 'int8', '4e550102 0000803f 7f80000000000000'],
    ['no largest code', 'int8', '4e550102 0000803f 7e00000000000000'],
    ['codes without a scale', 'int8', '4e550102 00000000 7f00000000000000'],
    ['the code -8', 'int4', '4e550103 0000803f 87000000'],
  ] as const)('%s', (_, name, text) => {
    expect(() => decodeUpdate({ name }, base, unhex(text))).toThrow(
      expect.objectContaining({ code: 'bad-blob' }) as Error,
    );
  });

  test.each([
    ['a position behind the end', '41000000' + bitsHex('01' + '11110' + '0' + '0111' + '0000')],
    ['the largest size unused', '41000000' + bitsHex('10' + '01' + '1100' + '0110' + '1011')],
    ['a gap without an end', '41000000' + 'ff'.repeat(2)],
    ['a scale below zero', 'c1000000' + bitsHex('10' + '01' + '1100' + '0111' + '1011')],
    ['no scale and values', '00000000' + bitsHex('10' + '01' + '1100' + '0111' + '1011')],
    ['a scale next to nothing', '00000001' + bitsHex('10' + '01' + '1100' + '0111' + '1011')],
    ['no values', '41000000' + '00'],
    ['more values than are kept', '41000000' + bitsHex('11' + '01' + '1100' + '00' + '0111' + '1011' + '0111' + '00')],
  ])('topk: %s', (_, body) => {
    expect(() => decodeUpdate(small, base, unhex('4e550104' + body))).toThrow(
      expect.objectContaining({ code: 'bad-blob' }) as Error,
    );
  });

  test('an update that would leave float32', () => {
    const { bytes } = encodeUpdate({ name: 'int8' }, zeros(1), one(3e38), null, SEED);
    expect(() => decodeUpdate({ name: 'int8' }, one(3e38), bytes)).toThrow(/leaves the range/);
  });

  test('a bomb is refused by its length, before anything is made of it', () => {
    const bomb = new Uint8Array(10_000_000);
    for (const codec of Object.values(CODECS))
      expect(() => decodeUpdate(codec, base, bomb)).toThrow(expect.objectContaining({ code: 'too-large' }) as Error);
  });

  test('a training that went beyond float32 is not encoded', () => {
    expect(() => encodeUpdate({ name: 'int8' }, zeros(1), one(3.4028234e38), null, SEED)).toThrow(/went further/);
    expect(() => encodeUpdate({ name: 'int4' }, one(-3e38), one(3e38), null, SEED)).toThrow(/went further/);
  });
});

function bitsHex(bits: string): string {
  return Number.parseInt(bits, 2)
    .toString(16)
    .padStart(bits.length / 4, '0');
}

test('payloads per million parameters, and what they hash to', () => {
  const random = prng(sha256('a million'), 'values');
  const trained = one(...Array.from({ length: 100_000 }, () => random.normal() / 100));
  const got = Object.fromEntries(
    Object.entries(CODEC_PRESETS).map(([name, codec]) => {
      const { bytes } = encodeUpdate(codec, zeros(100_000), trained, null, SEED);
      return [name, [bytes.length * 10, sha256Hex(bytes).slice(0, 16)]];
    }),
  );
  expect(got).toMatchInlineSnapshot(`
    {
      "f16": [
        2000040,
        "221fa08e3b575c67",
      ],
      "f32": [
        4000720,
        "f3ff9709427d6b1b",
      ],
      "int4": [
        515680,
        "e822a01010484427",
      ],
      "int8": [
        1015680,
        "9d6c7f8680d68764",
      ],
      "sparseloco": [
        35470,
        "b9bfd3e5a3134acc",
      ],
      "topk": [
        40940,
        "3419048f80d8c6da",
      ],
    }
  `);
});
