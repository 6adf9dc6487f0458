import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { FusedAdam } from '../../src/kernels/adam.js';
import { attention } from '../../src/kernels/attention.js';
import { gelu } from '../../src/kernels/gelu.js';
import { lstm } from '../../src/kernels/lstm.js';
import { layerNorm } from '../../src/kernels/norm.js';
import { logSoftmax } from '../../src/kernels/softmax.js';
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

/** Gradients where NaN, infinities, denormals, zeros of both signs, and large and tiny numbers are. */

beforeAll(startBackends);
afterEach(async () => {
  await tf.setBackend('wasm');
});

/** So many, or about none: where one sum runs over everything, a twentieth would leave nothing but NaN. */
const shareOf = (from: Draw): number => from.pick([0.05, 0.01, 0.002]);
/** Denormals are as far apart as 1.4e-45, and sums of float32 round after each term. */
const FLOOR = 1e-42;

/** Kernels that cpu has too: equal where cpu is finite, and the same where it is not. */
function check(kernelName: string, inputs: Inputs, attrs: object, magnitudes: readonly string[]): string | undefined {
  const sizes = Object.entries(inputs).map(([name, one]) => [name, magnitudes.includes(name) ? absolute(one) : one]);
  const bound = compute('cpu', kernelName, Object.fromEntries(sizes) as Inputs, attrs);
  const [got, wanted] = (['wasm', 'cpu'] as const).map((backend) => compute(backend, kernelName, inputs, attrs));
  const flaw = difference(got!, wanted!, bound, FLOOR);
  return flaw === undefined ? undefined : `${kernelName} ${JSON.stringify(attrs)}: ${flaw}`;
}

/** Now and then all of it so small that every product is a denormal. */
function small(from: Draw, values: Values): Values {
  const scale = from.pick([1, 1, 1e-38]);
  return scale === 1 ? values : { ...values, data: values.data.map((value) => value * scale) };
}

describe('gradients that cpu has as kernels', () => {
  test('of pooling', () => {
    forCases(300, (from) => {
      const shape = [from.int(1, 2), from.int(2, 7), from.int(2, 7), from.int(1, 7)] as [
        number,
        number,
        number,
        number,
      ];
      const attrs = { filterSize: 2, strides: from.pick([1, 2]), pad: from.pick(['same', 'valid'] as const) };
      const { outShape } = tf.backend_util.computePool2DInfo(shape, 2, attrs.strides, 1, attrs.pad);
      const input = from.floats(shape, shareOf(from));
      const dy = small(from, from.floats(outShape, shareOf(from)));
      return (
        check('MaxPoolGrad', { dy, input, output: dy }, attrs, ['dy']) ??
        check('AvgPoolGrad', { dy, input }, attrs, ['dy'])
      );
    });
  });

  test('of convolutions by the input, depthwise by both, and without padding by the filter', () => {
    forCases(300, (from) => {
      const [width, channels, outs] = [from.int(3, 6), from.int(1, 4), from.int(1, 3)];
      const filterShape = [from.int(1, 3), from.int(1, 3), channels, outs] as [number, number, number, number];
      const pad = from.pick(['same', 'valid'] as const);
      const inputShape = [from.int(1, 2), width, width, channels] as [number, number, number, number];
      const attrs = { strides: from.pick([1, 2]), pad, dataFormat: 'NHWC', dilations: 1, filterShape, inputShape };
      const wild = (shape: readonly number[]): Values => from.floats(shape, shareOf(from));
      const dyOf = (depthwise: boolean): Values => {
        const { strides } = attrs;
        const info = tf.backend_util.computeConv2DInfo(inputShape, filterShape, strides, 1, pad, 'floor', depthwise);
        return small(from, wild(info.outShape));
      };
      const [x, filter, dy, deep] = [wild(inputShape), wild(filterShape), dyOf(false), dyOf(true)];
      return (
        check('Conv2DBackpropInput', { dy, filter }, attrs, ['dy', 'filter']) ??
        check('DepthwiseConv2dNativeBackpropInput', { dy: deep, filter }, attrs, ['dy', 'filter']) ??
        check('DepthwiseConv2dNativeBackpropFilter', { x, dy: deep }, attrs, ['x', 'dy']) ??
        (pad === 'valid' ? check('Conv2DBackpropFilter', { x, dy }, attrs, ['x', 'dy']) : undefined)
      );
    });
  });

  test('of convolutions by the filter: padding is zeros, and infinity times zero is NaN', () => {
    const x = { shape: [1, 2, 2, 1], data: Float32Array.of(1, 2, 3, 4) };
    const dy = { shape: [1, 2, 2, 1], data: Float32Array.of(1, 0, 0, Infinity) };
    const attrs = { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [2, 2, 1, 1] };
    // The window of the last place is outside of the image but for its first corner; cpu leaves the others out.
    expect([...compute('wasm', 'Conv2DBackpropFilter', { x, dy }, attrs).data]).toEqual([Infinity, NaN, NaN, NaN]);
    expect([...compute('cpu', 'Conv2DBackpropFilter', { x, dy }, attrs).data]).toEqual([Infinity, 2, 3, 4]);
  });

  test('of gathering', () => {
    forCases(300, (from) => {
      const count = from.int(1, 12);
      const x = small(from, from.floats([count, from.int(1, 9)], shareOf(from)));
      const ids = { shape: [count], data: Int32Array.from({ length: count }, () => from.int(0, 3)) };
      // One segment on cpu, which spreads NaN to the others.
      const one = { ...ids, data: new Int32Array(count) };
      const all = check('UnsortedSegmentSum', { x, segmentIds: one }, { numSegments: 1 }, ['x']);
      const isFinite = x.data.every(Number.isFinite);
      return all ?? (isFinite ? check('UnsortedSegmentSum', { x, segmentIds: ids }, { numSegments: 4 }, ['x']) : all);
    });
  });
});

type Made = (...inputs: tf.Tensor[]) => tf.Tensor;
interface Fused {
  readonly name: string;
  readonly shapes: readonly number[][];
  readonly make: Made;
  /** What cpu computes instead, where it is not the same. */
  readonly oracle?: Made;
  /**
   * Where x or dy is infinite, or products leave float32, the composition has Infinity - Infinity or Infinity x 0 where the
   * kernel has an infinity of the right sign, or the slope that there is in the limit.
   */
  readonly isFiner?: true;
}

const lstmOf =
  (recurrentActivation: 'sigmoid' | 'hardSigmoid'): Made =>
  (x, kernel, recurrentKernel) => {
    const cell = { kernel: kernel as tf.Tensor2D, recurrentKernel: recurrentKernel as tf.Tensor2D };
    const { h, c } = lstm(x as tf.Tensor3D, { ...cell, recurrentActivation });
    return tf.concat([h, c], 2);
  };
const as4 = (all: readonly tf.Tensor[]): [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] =>
  all as unknown as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
/** What is hidden is replaced, not added to: scores (an infinite one would stay, and so would one of 1e15) and weights. */
const causal: Made = (...all) => {
  const [q, k, v] = as4(all);
  const t = q.shape[2];
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape[3])); // [batch, heads, t, t]
  const triangle = tf.cast(tf.linalg.bandPart(tf.ones<tf.Rank.R2>([t, t]), -1, 0), 'bool');
  const seen = tf.broadcastTo(triangle, scores.shape);
  return tf.matMul(tf.where(seen, tf.softmax(tf.where(seen, scores, -Infinity)), 0), v);
};
const heads = [
  [1, 2, 4, 2],
  [1, 2, 4, 2],
  [1, 2, 4, 3],
];
const cell = [
  [2, 3, 2],
  [2, 12],
  [3, 12],
];
const functions: readonly Fused[] = [
  { name: 'softmax', shapes: [[3, 5]], make: (x) => tf.softmax(x) },
  { name: 'logSoftmax', shapes: [[3, 5]], make: (x) => logSoftmax(x) },
  { name: 'relu', shapes: [[3, 5]], make: (x) => tf.relu(x) },
  { name: 'gelu by tanh', shapes: [[9]], make: (x) => gelu(x), isFiner: true },
  { name: 'gelu by erf', shapes: [[9]], make: (x) => gelu(x, 'erf'), isFiner: true },
  {
    name: 'layerNorm',
    shapes: [[3, 5], [5], [5]],
    make: (x, gamma, beta) => layerNorm(x, gamma as tf.Tensor1D, beta as tf.Tensor1D),
    isFiner: true,
  },
  { name: 'attention', shapes: heads, make: (...all) => attention(...as4(all)) },
  {
    name: 'causal attention',
    shapes: heads,
    make: (...all) => attention(...as4(all), { causal: true }),
    oracle: causal,
  },
  { name: 'lstm by sigmoid', shapes: cell, make: lstmOf('sigmoid') },
  { name: 'lstm by hardSigmoid', shapes: cell, make: lstmOf('hardSigmoid') },
];

interface Case {
  readonly inputs: readonly Values[];
  readonly by: Values;
}
function slopes(make: Made, { inputs, by }: Case): Float32Array[] {
  return tf.tidy(() => {
    const tensors = inputs.map(({ data, shape }) => tf.tensor(data, [...shape]));
    const found = tf.grads((...all: tf.Tensor[]) => make(...all))(tensors, tf.tensor(by.data, [...by.shape]));
    return found.map((tensor) => tensor.dataSync<'float32'>().slice());
  });
}

describe('gradients of what is fused, against the composition on the cpu backend', () => {
  test.each(functions)('$name', async ({ shapes, make, oracle = make, isFiner = false }) => {
    const cases: Case[] = [];
    forCases(120, (from, seed) => {
      const inputs = shapes.map((shape) => from.floats(shape, from.int(0, 1) && shareOf(from)));
      const shape = tf.tidy(() => make(...inputs.map((one) => tf.tensor(one.data, [...one.shape])))).shape;
      cases.push({ inputs, by: small(from, from.floats(shape, seed % 2 && shareOf(from))) });
      return undefined;
    });
    const ours = cases.map((one) => slopes(make, one));
    await tf.setBackend('cpu');
    const wanted = cases.map((one) => slopes(oracle, one));
    for (const [i, found] of wanted.entries())
      for (const [j, values] of found.entries()) {
        const largest = values.reduce(
          (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
          0,
        );
        const bound = 1e-5 * largest + FLOOR;
        const flaw = values.findIndex((value, k) => {
          const own = ours[i]![j]![k]!;
          const isLimit = [own, cases[i]!.inputs[j]!.data[k]!].some((one) => Math.abs(one) === Infinity);
          if (isFiner && Number.isNaN(value) && isLimit) return false;
          return Number.isFinite(value) ? !(Math.abs(own - value) <= bound) : !Object.is(own, value);
        });
        expect(flaw, `case ${i + 1}, input ${j}: ${ours[i]![j]![flaw]}, not ${values[flaw]} (within ${bound})`).toBe(
          -1,
        );
      }
  });
});

test('what is hidden has no part in the weights of causal attention, but is multiplied by its weight, zero', () => {
  const from = draw(3);
  const [q, k, v] = [0, 1, 2].map(() => from.floats([1, 1, 3, 2])) as [Values, Values, Values];
  const run = (): number[] => {
    const tensors = [q, k, v].map(({ data, shape }) => tf.tensor(data, [...shape]));
    return [...attention(...as4(tensors), { causal: true }).dataSync()];
  };
  const before = run();
  k.data.fill(NaN, 4); // the last place
  expect(run().slice(0, 4)).toEqual(before.slice(0, 4));
  v.data[5] = Infinity;
  expect(run().slice(0, 4)).toEqual([before[0], NaN, before[2], NaN]);
});

test('Adam steps where tf.train.adam steps on the cpu backend', async () => {
  const walk = (optimizer: tf.Optimizer, scale: number): Float32Array[] => {
    const from = draw(11);
    const variable = tf.variable(tf.tensor1d(from.floats([400]).data));
    const found = Array.from({ length: 5 }, () => {
      const data = from.floats([400], 0.05).data.map((value) => value * scale);
      tf.tidy(() => optimizer.applyGradients([{ name: variable.name, tensor: tf.tensor1d(data) }]));
      return variable.dataSync<'float32'>().slice();
    });
    variable.dispose();
    optimizer.dispose();
    return found;
  };
  for (const scale of [1, 1e-38]) {
    const ours = walk(new FusedAdam({ learningRate: 0.01 }), scale);
    await tf.setBackend('cpu');
    const wanted = walk(tf.train.adam(0.01), scale);
    await tf.setBackend('wasm');
    for (const [step, values] of wanted.entries())
      for (const [i, value] of values.entries()) {
        const own = ours[step]![i]!;
        const isSame = Number.isFinite(value) ? Math.abs(own - value) <= 2e-5 : Object.is(own, value);
        expect(isSame, `step ${step}, weight ${i}: ${own}, not ${value}`).toBe(true);
      }
  }
});
