import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { compute, computeAll, forCases, startBackends, type Draw, type Inputs, type Values } from './cases.js';

beforeAll(startBackends);

/** The first output whose bits are not those of the cpu backend: nothing is computed here. */
function check(kernelName: string, inputs: Inputs, attrs: object): string | undefined {
  const [got, wanted] = (['wasm', 'cpu'] as const).map((name) => computeAll(name, kernelName, inputs, attrs));
  const flaw = wanted!.findIndex(
    ({ shape, data }, i) =>
      got![i]!.shape.join() !== shape.join() || !data.every((value, j) => Object.is(value, got![i]!.data[j])),
  );
  if (flaw < 0 && got!.length === wanted!.length) return undefined;
  const shapes = Object.values(inputs).map(({ shape }) => shape.join('x'));
  return `${kernelName} of ${shapes.join()} with ${JSON.stringify(attrs)}: output ${flaw} differs`;
}

/** Sizes around blocks of four and bands of 32, now and then none at all; float32 or int32. */
function shapeOf(from: Draw, rank: number): number[] {
  return Array.from({ length: rank }, () =>
    from.int(0, 40) === 0 ? 0 : from.int(1, rank > 4 ? 3 : from.pick([2, 5, 9, rank < 4 ? 37 : 9])),
  );
}
function values(from: Draw, shape: number[]): Values {
  const floats = from.floats(shape, true);
  return from.int(0, 3) > 0 ? floats : { shape, data: Int32Array.from(floats.data, (value) => value * 1000) };
}
const named = (parts: readonly Values[]): Inputs => Object.fromEntries(parts.map((part, i) => [i, part]));

function shuffled(from: Draw, rank: number): number[] {
  const order = Array.from({ length: rank }, (_, i) => i);
  for (let i = rank - 1; i > 0; i--) {
    const j = from.int(0, i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

describe('values moved are those that the cpu backend moves', () => {
  test('Transpose, of up to six axes in any order', () => {
    forCases(1500, (from) => {
      const shape = shapeOf(from, from.int(1, 6));
      return check('Transpose', { x: values(from, shape) }, { perm: shuffled(from, shape.length) });
    });
  });

  test('Transpose of what the stock kernel takes: seven axes that cannot be joined, and bytes', () => {
    const from = { shape: [2, 2, 2, 2, 2, 2, 2], data: Float32Array.from({ length: 128 }, (_, i) => i) };
    const x = tf.tensor(from.data, from.shape);
    const turned = tf.transpose(x, [6, 4, 2, 0, 5, 3, 1]);
    expect(turned.shape).toEqual(from.shape);
    const places = [...turned.dataSync()];
    expect(places.slice(0, 4)).toEqual([0, 32, 8, 40]);
    const flags = tf.tensor2d([1, 0, 0, 1, 1, 0], [2, 3], 'bool');
    expect([...tf.transpose(flags).dataSync()]).toEqual([1, 1, 0, 1, 0, 0]);
    tf.dispose([x, turned, flags]);
  });

  test('Slice, of any part of every axis', () => {
    forCases(800, (from) => {
      const shape = shapeOf(from, from.int(1, 5));
      const begin = shape.map((size) => from.pick([0, 0, from.int(0, size)]));
      const size = shape.map((all, i) => from.pick([all - begin[i]!, from.int(0, all - begin[i]!)]));
      return check('Slice', { x: values(from, shape) }, { begin, size });
    });
  });

  test('SplitV and Unpack, along any axis', () => {
    forCases(500, (from) => {
      const shape = shapeOf(from, from.int(1, 4));
      const axis = from.int(0, shape.length - 1);
      const first = from.int(0, shape[axis]!);
      const x = values(from, shape);
      return (
        check('SplitV', { x }, { numOrSizeSplits: [first, shape[axis]! - first], axis }) ??
        check('Unpack', { value: x }, { axis })
      );
    });
  });

  test('Concat and Pack, along any axis', () => {
    forCases(500, (from) => {
      const shape = shapeOf(from, from.int(1, 4));
      const axis = from.int(0, shape.length - 1);
      const parts = Array.from({ length: from.int(1, 4) }, () => {
        const own = shape.map((size, i) => (i === axis ? from.int(0, 5) : size));
        return from.floats(own, true);
      });
      const same = parts.map(() => from.floats(shape, true));
      return check('Concat', named(parts), { axis }) ?? check('Pack', named(same), { axis });
    });
  });

  test('GatherV2, of rows of any axis', () => {
    forCases(500, (from) => {
      const shape = shapeOf(from, from.int(1, 4)).map((size) => Math.max(1, size));
      const axis = from.int(0, shape.length - 1);
      const places = [from.int(0, 5), from.int(1, 3)].slice(0, from.int(1, 2));
      const data = Int32Array.from({ length: tf.util.sizeFromShape(places) }, () => from.int(0, shape[axis]! - 1));
      const inputs = { x: values(from, shape), indices: { shape: places, data } };
      return check('GatherV2', inputs, { axis, batchDims: 0 });
    });
  });

  test('GatherV2 refuses an index that is not there', () => {
    const x = { shape: [3, 2], data: new Float32Array(6) };
    for (const wrong of [-1, 3]) {
      const indices = { shape: [2], data: Int32Array.from([0, wrong]) };
      expect(() => compute('wasm', 'GatherV2', { x, indices }, { axis: 0, batchDims: 0 })).toThrow(
        `GatherV2: the index value ${wrong} is not in [0, 2]`,
      );
    }
  });
});

test.each([
  ['clone', (x: tf.Tensor) => tf.clone(x)],
  ['cast to its own type', (x: tf.Tensor) => tf.engine().runKernel<tf.Tensor>('Cast', { x }, { dtype: 'float32' })],
  ['transposition that moves nothing', (x: tf.Tensor) => tf.transpose(tf.reshape(x, [1, 3]), [1, 0])],
])('a %s shares the values until both are gone', (_, make) => {
  const x = tf.tensor1d([1, 2, 3]);
  const before = tf.memory().numDataBuffers;
  const copy = tf.tidy(() => make(x));
  expect(tf.memory().numDataBuffers).toBe(before);
  x.dispose();
  expect([...copy.dataSync()]).toEqual([1, 2, 3]);
  copy.dispose();
  expect(tf.memory().numDataBuffers).toBe(before - 1);
});
