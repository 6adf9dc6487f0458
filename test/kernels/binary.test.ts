import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { compute, forCases, startBackends, type Draw, type Values } from './cases.js';

beforeAll(startBackends);

const NAMES = ['Add', 'Sub', 'Multiply'] as const;

/** cpu computes in float64 and rounds once, which for one operation is IEEE float32: every bit, but for those of a NaN. */
function check(kernelName: string, a: Values, b: Values): string | undefined {
  const [got, wanted] = (['wasm', 'cpu'] as const).map((name) => compute(name, kernelName, { a, b }));
  const what = `${kernelName} of ${a.shape.join('x')} and ${b.shape.join('x')}`;
  if (got!.shape.join() !== wanted!.shape.join()) return `${what}: shape ${got!.shape.join()}`;
  const flaw = wanted!.data.findIndex((value, i) => !Object.is(value, got!.data[i]));
  return flaw < 0 ? undefined : `${what}: [${flaw}] is ${got!.data[flaw]}, not ${wanted!.data[flaw]}`;
}

/** Sizes around vectors and around the rows that are repeated, now and then none at all. */
function shapeOf(from: Draw): number[] {
  const size = (): number => (from.int(0, 40) === 0 ? 0 : from.int(1, from.pick([2, 5, 9, 20])));
  return [...Array.from({ length: from.int(0, 3) }, size), from.pick([size(), from.int(1, 150)])];
}

/** Half of them what is as common as it is rare in `floats`: NaN, infinities, zeros, denormals, and what overflows. */
const EDGES = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-40, -3e-42, 1.4e-45, 3e38, -3e38, 1e-30, -1e-30];
function values(from: Draw, shape: readonly number[]): Values {
  const { data } = from.floats(shape, true);
  return { shape, data: from.int(0, 1) === 0 ? data : Float32Array.from(data, () => from.pick(EDGES)) };
}

describe.each(NAMES)('%s has the bits of the cpu backend', (name) => {
  test('for equal shapes', () => {
    forCases(300, (from) => {
      const shape = shapeOf(from);
      return check(name, values(from, shape), values(from, shape));
    });
  });

  test('for a row along the last axes, or one value, on either side', () => {
    forCases(900, (from) => {
      const shape = shapeOf(from);
      const row = from.pick([shape.slice(from.int(0, shape.length)), [], [1], shape.slice(-1)]);
      const ones = Array.from({ length: from.int(0, 2) }, () => 1);
      const both = [values(from, shape), values(from, [...ones, ...row])] as const;
      return from.int(0, 1) === 0 ? check(name, both[0], both[1]) : check(name, both[1], both[0]);
    });
  });

  test('and for what the stock kernel takes: columns, both sides broadcast, whole numbers', () => {
    forCases(150, (from) => {
      const [m, n] = [from.int(2, 9), from.int(2, 9)];
      const [left, right] = from.pick([
        [
          [m, n],
          [m, 1],
        ],
        [[m, 1], [n]],
        [
          [2, m, n],
          [2, 1, n],
        ],
      ] as const);
      return check(name, values(from, left), values(from, right));
    });
    const [a, b] = [tf.tensor1d([1, 2, 3], 'int32'), tf.scalar(2 ** 24 + 1, 'int32')];
    const op = { Add: tf.add, Sub: tf.sub, Multiply: tf.mul }[name];
    const out = op(a, b);
    expect(out.dtype).toBe('int32');
    const exact = { Add: [16777218, 16777219, 16777220], Sub: [-16777216, -16777215, -16777214] };
    expect([...out.dataSync()]).toEqual(name === 'Multiply' ? [16777217, 33554434, 50331651] : exact[name]);
  });
});
