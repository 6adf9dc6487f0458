import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, hex, utf8, type Bytes } from '../../src/hash.js';
import { initialParams, parameterShapes } from '../../src/learning/params.js';
import {
  decodeCanonical,
  decodeParams,
  decodeSafetensors,
  encodeParams,
  encodeSafetensors,
  type StoredTensor,
} from '../../src/learning/safetensors.js';
import type { ModelSpec } from '../../src/learning/types.js';
import { vectors } from './vectors.js';

const limits = { maxBytes: 1e6 };
const three: StoredTensor[] = [
  { name: 'labels', shape: [2], data: Int32Array.of(1, -2) },
  { name: 'features', shape: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) },
  { name: 'weights', shape: [2], data: Float32Array.of(0.5, -1.25) },
];

function file(header: string, data: Bytes = new Uint8Array(0)): Bytes {
  const json = utf8(header);
  const out = new Uint8Array(8 + json.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  out.set(data, 8 + json.length);
  return out;
}

const tensor = fc
  .tuple(
    fc.stringMatching(/^[a-z_/.0-9~!#]{1,12}$/),
    fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    fc.constantFrom('F32', 'U8', 'I32'),
    fc.integer(),
  )
  .map(([name, shape, dtype, salt]): StoredTensor => {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = Array.from({ length: size }, (_, i) => (salt + 31 * i) % 1000);
    return {
      name,
      shape,
      data:
        dtype === 'F32'
          ? Float32Array.from(values)
          : dtype === 'U8'
            ? Uint8Array.from(values)
            : Int32Array.from(values),
    };
  });
const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 });

describe('encodeSafetensors', () => {
  it('writes the bytes of the vector', () => {
    expect(hex(encodeSafetensors(three))).toBe(vectors.file);
  });

  it('gives equal bytes for any order of tensors, and back comes what went in, sorted', () => {
    fc.assert(
      fc.property(tensors, (list) => {
        const bytes = encodeSafetensors(list);
        expect(encodeSafetensors([...list].reverse())).toEqual(bytes);
        const sorted = [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(decodeCanonical(bytes, limits)).toEqual(sorted);
        expect((8 + new DataView(bytes.buffer).getUint32(0, true)) % 8).toBe(0);
      }),
    );
  });

  it('does not depend on where in memory the bytes lie', () => {
    const bytes = encodeSafetensors(three);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(decodeCanonical(shifted.subarray(3), limits)).toEqual(decodeCanonical(bytes, limits));
  });

  it('refuses NaN, infinities, double names, names outside printable ASCII, and data that do not fill the shape', () => {
    const one = (name: string, data: Float32Array, shape = [1]) => ({ name, shape, data });
    for (const value of [NaN, Infinity, -Infinity]) {
      expect(() => encodeSafetensors([one('x', Float32Array.of(value))])).toThrow(/not finite/);
    }
    const good = Float32Array.of(1);
    expect(() => encodeSafetensors([one('x', good), one('x', good)])).toThrow(/two tensors/);
    for (const name of ['', 'a"b', 'a\\b', 'ä', 'a b', '__metadata__', 'x'.repeat(257)]) {
      expect(() => encodeSafetensors([one(name, good)])).toThrow(/not allowed/);
    }
    expect(() => encodeSafetensors([one('x', good, [2])])).toThrow(/size of its shape/);
  });
});

describe('decodeCanonical', () => {
  const x = (extra: string) => file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}${extra}`, new Uint8Array(4));

  it('refuses what decodeSafetensors reads but encodeSafetensors would not write', () => {
    const valid = {
      'unpadded header': x('} '),
      'space inside': file('{"x": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ', new Uint8Array(4)),
      metadata: file('{"__metadata__":{},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', new Uint8Array(4)),
      'other dtype': file('{"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}  ', new Uint8Array(8)),
      'data out of order': file(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        new Uint8Array(2),
      ),
      'escaped name': file('{"\\u0078":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', new Uint8Array(4)),
      'minus zero in shape': file('{"x":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'),
    };
    for (const [what, bytes] of Object.entries(valid)) {
      expect(() => decodeSafetensors(bytes, limits), what).not.toThrow();
      expect(() => decodeCanonical(bytes, limits), what).toThrow(expect.objectContaining({ code: 'bad-blob' }));
    }
  });

  it('refuses NaN in the data', () => {
    const bytes = encodeSafetensors([{ name: 'x', shape: [1], data: Float32Array.of(1) }]);
    bytes.set([0, 0, 0xc0, 0x7f], bytes.length - 4);
    expect(() => decodeCanonical(bytes, limits)).toThrow(/not finite/);
  });

  it('accepts no second byte string for a value: a changed byte is refused or changes the value', () => {
    const bytes = encodeSafetensors(three);
    for (let i = 0; i < bytes.length; i++) {
      for (const flip of [1, 0x20, 0x80]) {
        const changed = bytes.slice();
        changed[i]! ^= flip;
        let decoded: StoredTensor[] | undefined;
        try {
          decoded = decodeCanonical(changed, limits);
        } catch (error) {
          expect(error).toMatchObject({ name: 'NmktError' });
        }
        if (decoded !== undefined) expect(encodeSafetensors(decoded)).toEqual(changed);
      }
    }
  });
});

describe('decodeSafetensors', () => {
  it('converts the dtypes other libraries write', () => {
    const entry = (name: string, dtype: string, n: number, begin: number, end: number) =>
      `"${name}":{"dtype":"${dtype}","shape":[${n}],"data_offsets":[${begin},${end}]}`;
    const data = new Uint8Array(32);
    const view = new DataView(data.buffer);
    view.setFloat64(0, 0.1, true);
    view.setBigInt64(8, -5n, true);
    [0x3c00, 0xc000, 0x0001, 0x7bff].forEach((half, i) => view.setUint16(16 + 2 * i, half, true)); // 1, -2, 2^-24, 65504
    [0x3f80, 0xc040].forEach((half, i) => view.setUint16(24 + 2 * i, half, true)); // 1, -3
    view.setFloat32(28, 7, true);
    const header = [
      entry('d', 'F64', 1, 0, 8),
      entry('l', 'I64', 1, 8, 16),
      entry('h', 'F16', 4, 16, 24),
      entry('b', 'BF16', 2, 24, 28),
      entry('f', 'F32', 1, 28, 32),
    ];
    const read = decodeSafetensors(file(`{${header.join(',')}}`, data), limits);
    expect(read.map(({ data: values }) => [...values])).toEqual([
      [Math.fround(0.1)],
      [-5],
      [1, -2, 5.960464477539063e-8, 65504],
      [1, -3],
      [7],
    ]);
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['a header past the end', Uint8Array.of(255, 0, 0, 0, 0, 0, 0, 0)],
    ['no JSON', file('{"x"')],
    ['an array', file('[]')],
    ['a leading space', file(' {}')],
    ['invalid UTF-8', (() => file('{"x":1}').map((byte, i) => (i === 10 ? 0xff : byte)))()],
    ['a byte order mark', file('\ufeff{}')],
    ['an unknown dtype', file('{"x":{"dtype":"F31","shape":[0],"data_offsets":[0,0]}}')],
    ['a dtype of the prototype', file('{"x":{"dtype":"constructor","shape":[0],"data_offsets":[0,0]}}')],
    ['a fractional dimension', file('{"x":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}', new Uint8Array(1))],
    ['a negative offset', file('{"x":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}')],
    ['offsets past the end', file('{"x":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}', new Uint8Array(4))],
    ['sizes past 2^53', file('{"x":{"dtype":"F32","shape":[94906267,94906267],"data_offsets":[0,0]}}')],
    ['0 x huge', file('{"x":{"dtype":"F32","shape":[9007199254740991,4,0],"data_offsets":[0,1]}}', new Uint8Array(1))],
    ['a hole', file('{"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', new Uint8Array(2))],
    ['trailing bytes', file('{}', new Uint8Array(1))],
    [
      'overlap',
      file(
        '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
        new Uint8Array(3),
      ),
    ],
    ['a null entry', file('{"x":null}')],
    ['rank 9', file('{"x":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}', new Uint8Array(1))],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeSafetensors(bytes, limits)).toThrow(expect.objectContaining({ code: 'bad-blob' }));
  });

  it('refuses files above the limit and headers above 1 MiB before reading them', () => {
    expect(() => decodeSafetensors(new Uint8Array(11), { maxBytes: 10 })).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
    const declared = Uint8Array.of(1, 0, 16, 0, 0, 0, 0, 0);
    expect(() => decodeSafetensors(declared, limits)).toThrow(expect.objectContaining({ code: 'too-large' }));
  });

  it('throws only NmktError on random damage', () => {
    const bytes = encodeSafetensors(three);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (edits) => {
          const damaged = bytes.slice();
          for (const [at, value] of edits) damaged[at] = value;
          try {
            decodeSafetensors(damaged, limits);
          } catch (error) {
            expect(error).toMatchObject({ name: 'NmktError' });
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('decodeParams', () => {
  const spec: ModelSpec = { model: 'mlp', task: 'classification', inputs: 4, outputs: 3, hidden: [5] };
  const params = initialParams(spec, fromHex('00'.repeat(32)));

  it('reads back what encodeParams wrote', () => {
    expect(decodeParams(encodeParams(params), parameterShapes(spec))).toEqual(params);
  });

  it('names the first tensor that differs', () => {
    const expected = parameterShapes({ ...spec, hidden: [6] });
    expect(() => decodeParams(encodeParams(params), expected)).toThrow(
      expect.objectContaining({
        code: 'shape-mismatch',
        expected: 'F32 dense_0/bias [6]',
        got: 'F32 dense_0/bias [5]',
      }),
    );
    expect(() => decodeParams(encodeParams(params.slice(0, 3)), parameterShapes(spec))).toThrow(
      expect.objectContaining({ expected: 'F32 dense_1/kernel [5, 3]', got: 'no further tensor' }),
    );
  });

  it('refuses another dtype of the same size', () => {
    const bytes = encodeSafetensors(
      params.map((t, i) => (i === 1 ? { ...t, data: new Int32Array(t.data.length) } : t)),
    );
    expect(() => decodeParams(bytes, parameterShapes(spec))).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', got: 'I32 dense_0/kernel [4, 5]' }),
    );
  });

  it('refuses a file longer than these shapes can be', () => {
    const bytes = new Uint8Array(encodeParams(params).length + 4096);
    expect(() => decodeParams(bytes, parameterShapes(spec))).toThrow(expect.objectContaining({ code: 'too-large' }));
  });
});
