import { beforeAll, describe, expect, test } from 'vitest';
import {
  absolute,
  compute,
  difference,
  draw,
  forCases,
  startBackends,
  type Draw,
  type Inputs,
  type Values,
} from './cases.js';

beforeAll(startBackends);

/** Around the sizes of tiles (4, 8) and blocks (128 rows, 256 deep, 1024 columns) of asm/gemm.ts. */
const EDGES = [1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 15, 16, 17, 31, 33];

interface Product {
  readonly a: Values;
  readonly b: Values;
  readonly attrs: { readonly transposeA: boolean; readonly transposeB: boolean };
  readonly n: number;
}

function product(from: Draw, wild: boolean, sizes: readonly [number, number, number], outer: number[]): Product {
  const [m, n, k] = sizes;
  const attrs = { transposeA: from.pick([true, false]), transposeB: from.pick([true, false]) };
  const own = (): number[] => (from.int(0, 2) === 0 ? outer.map(() => 1) : outer);
  return {
    a: from.floats([...own(), ...(attrs.transposeA ? [k, m] : [m, k])], wild),
    b: from.floats([...outer, ...(attrs.transposeB ? [n, k] : [k, n])], wild),
    attrs,
    n,
  };
}

function sizes(from: Draw): [number, number, number] {
  const some = (): number => from.pick([from.pick(EDGES), from.int(1, 24)]);
  return [some(), some(), some()];
}

/** Sums of magnitudes: what the error of a float32 sum is measured by. Infinite or NaN where the sum is. */
function magnitudes({ a, b, attrs }: Product): Values {
  return compute('cpu', 'BatchMatMul', { a: absolute(a), b: absolute(b) }, attrs);
}

describe('BatchMatMul equals the cpu backend', () => {
  test('in every transposition, at the edges of tiles, over batches and broadcast batches', () => {
    forCases(3000, (from, seed) => {
      const outer = from.pick([[], [], [1], [2], [3], [5]]);
      const p = product(from, seed % 3 === 0, sizes(from), [1, ...outer].slice(outer.length === 0 ? 0 : 1));
      const wanted = compute('cpu', 'BatchMatMul', { a: p.a, b: p.b }, p.attrs);
      return difference(compute('wasm', 'BatchMatMul', { a: p.a, b: p.b }, p.attrs), wanted, magnitudes(p));
    });
  });

  test.each([
    [127, 9, 255],
    [128, 8, 256],
    [129, 17, 257],
    [5, 1023, 3],
    [4, 1024, 4],
    [3, 1033, 5],
    [260, 40, 513],
    [1, 1, 1500],
  ])('at the edges of blocks: %i x %i, %i deep', (...mnk) => {
    for (let seed = 1; seed <= 8; seed++) {
      const p = product(draw(seed), false, mnk, [1]);
      const wanted = compute('cpu', 'BatchMatMul', { a: p.a, b: p.b }, p.attrs);
      expect(
        difference(compute('wasm', 'BatchMatMul', { a: p.a, b: p.b }, p.attrs), wanted, magnitudes(p)),
      ).toBeUndefined();
    }
  });

  test('with sizes of zero: no values, or zeros where there is nothing to add', () => {
    const a = { shape: [1, 2, 0], data: new Float32Array(0) };
    const b = { shape: [1, 0, 3], data: new Float32Array(0) };
    const attrs = { transposeA: false, transposeB: false };
    expect(compute('wasm', 'BatchMatMul', { a, b }, attrs)).toEqual({ shape: [1, 2, 3], data: new Float32Array(6) });
    const none = compute('wasm', 'BatchMatMul', { a: b, b: draw(1).floats([1, 3, 4]) }, attrs);
    expect(none).toEqual({ shape: [1, 0, 4], data: new Float32Array(0) });
  });

  test('over batches of which each side broadcasts another dimension', () => {
    // tfjs-backend-cpu writes past its output here, so each product is compared alone.
    const from = draw(7);
    const [a, b] = [from.floats([2, 1, 3, 5]), from.floats([1, 3, 5, 4])];
    const attrs = { transposeA: false, transposeB: false };
    const got = compute('wasm', 'BatchMatMul', { a, b }, attrs);
    expect(got.shape).toEqual([2, 3, 3, 4]);
    for (let i = 0; i < 6; i++) {
      const one = (values: Values, at: number, shape: number[]): Values => {
        const size = shape[0]! * shape[1]!;
        return { shape: [1, ...shape], data: values.data.slice(at * size, (at + 1) * size) };
      };
      const wanted = compute(
        'cpu',
        'BatchMatMul',
        { a: one(a, Math.floor(i / 3), [3, 5]), b: one(b, i % 3, [5, 4]) },
        attrs,
      );
      const sums = { shape: wanted.shape, data: wanted.data.map(() => 10) };
      expect(difference(one(got, i, [3, 4]), wanted, sums)).toBeUndefined();
    }
  });

  test('gives the same bits whatever rows and columns stand beside', () => {
    const from = draw(3);
    const [a, b] = [from.floats([1, 131, 300]), from.floats([1, 300, 37])];
    const attrs = { transposeA: false, transposeB: false };
    const whole = compute('wasm', 'BatchMatMul', { a, b }, attrs).data;
    for (const row of [0, 1, 127, 128, 130]) {
      const alone = { shape: [1, 1, 300], data: a.data.slice(row * 300, (row + 1) * 300) };
      expect(compute('wasm', 'BatchMatMul', { a: alone, b }, attrs).data).toEqual(
        whole.slice(row * 37, (row + 1) * 37),
      );
    }
  });

  test('and refuses what it does not compute', () => {
    const ints = { shape: [1, 1, 1], data: Int32Array.of(1) };
    const attrs = { transposeA: false, transposeB: false };
    expect(() => compute('wasm', 'BatchMatMul', { a: ints, b: ints }, attrs)).toThrow(/float32/);
    const [a, b] = [draw(1).floats([1, 2, 3]), draw(1).floats([1, 2, 3])];
    expect(() => compute('wasm', 'BatchMatMul', { a, b }, attrs)).toThrow(/inner shapes/);
  });
});

describe('_FusedMatMul equals the cpu backend', () => {
  test('with every activation, bias by column or of another shape, in every transposition and over batches', () => {
    forCases(2500, (from, seed) => {
      const [m, n, k] = sizes(from);
      const outer = from.pick([[1], [1], [2], [3]]);
      const p = product(from, seed % 3 === 0, [m, n, k], outer);
      const activation = from.pick(['linear', 'relu', 'relu6', 'elu', 'leakyrelu', 'prelu', 'sigmoid']);
      const shape = (): number[] => from.pick([[n], [n], [1, n], [m, n], [1], [...outer, 1, 1]]);
      const bias: Inputs = from.int(0, 3) === 0 ? {} : { bias: from.floats(shape(), seed % 6 === 0) };
      const slopes: Inputs = activation === 'prelu' ? { preluActivationWeights: from.floats(shape()) } : {};
      const inputs = { a: p.a, b: p.b, ...bias, ...slopes };
      const attrs = { ...p.attrs, activation, leakyreluAlpha: 0.3 };
      const wanted = compute('cpu', '_FusedMatMul', inputs, attrs);
      // No activation here is steeper than 2, which is where prelu's slopes end.
      const sums = magnitudes(p);
      const bound = {
        shape: wanted.shape,
        data: wanted.data.map((value, i) => 2 * sums.data[i]! + Math.abs(value) + 4),
      };
      return difference(compute('wasm', '_FusedMatMul', inputs, attrs), wanted, bound);
    });
  });

  test('where the stock kernel adds the bias once for every 48 terms', () => {
    const ones = (...shape: number[]): Values => ({
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b)).fill(1),
    });
    const attrs = { transposeA: true, transposeB: false, activation: 'linear' };
    const got = compute('wasm', '_FusedMatMul', { a: ones(1, 64, 1), b: ones(1, 64, 1), bias: ones(1) }, attrs);
    expect([...got.data]).toEqual([65]);
  });
});
