import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/hash.js';
import {
  checkParams,
  cosine,
  difference,
  initialParams,
  l2Norm,
  maxAbs,
  parameterCount,
  parameterShapes,
  paramsHash,
} from '../../src/learning/params.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import type { ModelSpec, ParamSet } from '../../src/learning/types.js';
import { vectors } from './vectors.js';

const mlp: ModelSpec = { model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [128] };
const one = (...values: number[]): ParamSet => [{ name: 'w', shape: [values.length], data: Float32Array.from(values) }];

describe('parameters', () => {
  it('has the shapes and the count of an MLP: 784 x 128 + 128 + 128 x 10 + 10', () => {
    expect(parameterShapes(mlp)).toEqual([
      { name: 'dense_0/bias', shape: [128] },
      { name: 'dense_0/kernel', shape: [784, 128] },
      { name: 'dense_1/bias', shape: [10] },
      { name: 'dense_1/kernel', shape: [128, 10] },
    ]);
    expect(parameterCount(mlp)).toBe(101_770);
    expect(parameterCount({ ...mlp, model: 'logreg', hidden: [] })).toBe(7_850);
  });

  it.each(vectors.initial)('starts from the bytes of the vector: $spec.model $spec.hidden', (vector) => {
    const params = initialParams(vector.spec, fromHex(vector.seed));
    expect(encodeParams(params).length).toBe(vector.sizeBytes);
    expect(paramsHash(params)).toBe(vector.sha256);
  });

  it('starts within the Glorot limit with biases 0, and differs by seed', () => {
    const params = initialParams(mlp, fromHex('11'.repeat(32)));
    const limit = Math.sqrt(6 / (784 + 128));
    expect(maxAbs(params.filter(({ name }) => name === 'dense_0/kernel'))).toBeLessThanOrEqual(Math.fround(limit));
    expect(maxAbs(params.filter(({ name }) => name.endsWith('bias')))).toBe(0);
    expect(paramsHash(initialParams(mlp, fromHex('12'.repeat(32))))).not.toBe(paramsHash(params));
  });

  it('accepts its own parameters and refuses others, naming the tensor', () => {
    const params = initialParams(mlp, new Uint8Array(32));
    expect(() => checkParams(params, mlp)).not.toThrow();
    expect(() => checkParams(params, { ...mlp, outputs: 11 })).toThrow(/dense_1\/bias differs/);
    const broken = params.map((t, i) => (i === 1 ? { ...t, data: t.data.map((x, j) => (j === 7 ? NaN : x)) } : t));
    expect(() => checkParams(broken, mlp)).toThrow(/dense_0\/kernel holds a number that is not finite/);
    const short = params.map((t, i) => (i === 1 ? { ...t, data: t.data.slice(1) } : t));
    expect(() => checkParams(short, mlp)).toThrow(/does not have the size/);
  });

  it('measures: norm of (3, 4) is 5, cosines are 1, 0 and -1, the largest of (1, -7, 2) is 7', () => {
    expect(l2Norm(one(3, 4))).toBe(5);
    expect(difference(one(3, 4), one(1, 6))[0]!.data).toEqual(Float32Array.of(2, -2));
    expect(cosine(one(3, 4), one(6, 8))).toBe(1);
    expect(cosine(one(1, 0), one(0, 5))).toBe(0);
    expect(cosine(one(3, 4), one(-3, -4))).toBe(-1);
    expect(cosine(one(0, 0), one(1, 2))).toBe(0);
    expect(maxAbs(one(1, -7, 2))).toBe(7);
    expect(() => difference(one(1), one(1, 2))).toThrow(expect.objectContaining({ code: 'shape-mismatch' }));
  });
});
