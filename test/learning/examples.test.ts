import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeExamples, encodeExamples, maxShardBytes, subset } from '../../src/learning/examples.js';
import { encodeSafetensors } from '../../src/learning/safetensors.js';
import type { DataSchema, Examples } from '../../src/learning/types.js';

const images: DataSchema = {
  ...{ task: 'classification', shape: [2, 2], inputs: 4, dtype: 'U8', scale: 255 },
  ...{ outputs: 3, classes: ['0', '1', '2'] },
};
const table: DataSchema = { task: 'regression', shape: [2], inputs: 2, dtype: 'F32', scale: 1, outputs: 1 };
const limits = { maxBytes: 1e6 };

function picture(rows: number, salt: number): Examples {
  const features = Uint8Array.from({ length: rows * 4 }, (_, i) => (i * 37 + salt) & 255);
  return { rows, inputs: 4, features, scale: 255, labels: Int32Array.from({ length: rows }, (_, i) => (i + salt) % 3) };
}
const numbers: Examples = {
  ...{ rows: 2, inputs: 2, scale: 1 },
  ...{ features: Float32Array.of(1, 2, 3, 4), labels: Float32Array.of(-0.5, 0.5) },
};

describe('shards of examples', () => {
  it('come back as they went in, within the announced size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(1000), (rows, salt) => {
        const bytes = encodeExamples(picture(rows, salt), images);
        expect(bytes.length).toBeLessThanOrEqual(maxShardBytes(images, rows));
        expect(decodeExamples(bytes, images, limits)).toEqual(picture(rows, salt));
      }),
    );
    expect(decodeExamples(encodeExamples(numbers, table), table, limits)).toEqual(numbers);
  });

  it('refuses labels that are no class', () => {
    for (const label of [-1, 3]) {
      const bytes = encodeExamples({ ...picture(2, 0), labels: Int32Array.of(0, label) }, images);
      expect(() => decodeExamples(bytes, images, limits)).toThrow(
        expect.objectContaining({ code: 'bad-blob', expected: '0 to 2', got: `${label}` }),
      );
    }
  });

  it('refuses other shapes, dtypes, tensors, no rows, and files above the limit', () => {
    const features = { name: 'features', shape: [1, 2, 2], data: new Uint8Array(4) };
    const labels = { name: 'labels', shape: [1], data: new Int32Array(1) };
    const cases = [
      [features],
      [labels],
      [features, labels, { name: 'more', shape: [0], data: new Uint8Array(0) }],
      [{ ...features, shape: [1, 4] }, labels],
      [{ ...features, data: new Float32Array(4) }, labels],
      [features, { ...labels, data: new Float32Array(1) }],
      [features, { ...labels, shape: [1, 1] }],
      [features, { ...labels, shape: [2], data: new Int32Array(2) }],
    ];
    for (const tensors of cases) {
      expect(() => decodeExamples(encodeSafetensors(tensors), images, limits)).toThrow(
        expect.objectContaining({ code: 'shape-mismatch' }),
      );
    }
    const none = encodeSafetensors([
      { name: 'features', shape: [0, 2, 2], data: new Uint8Array(0) },
      { name: 'labels', shape: [0], data: new Int32Array(0) },
    ]);
    expect(() => decodeExamples(none, images, limits)).toThrow(/no examples/);
    expect(() => decodeExamples(none, images, { maxBytes: 8 })).toThrow(expect.objectContaining({ code: 'too-large' }));
  });

  it('does not encode examples of another schema', () => {
    expect(() => encodeExamples(numbers, images)).toThrow(RangeError);
  });
});

describe('subset', () => {
  it('copies the rows asked for, in that order', () => {
    const part = subset(numbers, Uint32Array.of(1, 0, 1));
    expect([...part.features]).toEqual([3, 4, 1, 2, 3, 4]);
    expect([...part.labels]).toEqual([0.5, -0.5, 0.5]);
    expect(part.rows).toBe(3);
    expect(() => subset(numbers, Uint32Array.of(2))).toThrow(RangeError);
  });
});
