import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  absolute,
  compute,
  difference,
  forCases,
  startBackends,
  type Draw,
  type Inputs,
  type Values,
} from './cases.js';

beforeAll(startBackends);

interface Convolution {
  readonly x: number[];
  readonly filter: number[];
  readonly attrs: { strides: [number, number]; pad: 'same' | 'valid' | number; dataFormat: 'NHWC'; dilations: number };
  /** Of the output. */
  readonly dy: [number, number, number, number];
}

/** Odd sizes, strides that leave a rest, padding of every kind; `undefined` where the filter does not fit. */
function convolution(from: Draw, depthwise: boolean, dilated: boolean): Convolution | undefined {
  const x = [from.int(0, 5) === 0 ? 1 : from.int(1, 3), from.int(1, 9), from.int(1, 9), from.int(1, 6)];
  const filter = [from.int(1, 4), from.int(1, 4), x[3]!, depthwise ? from.int(1, 3) : from.int(1, 9)];
  const strides: [number, number] = from.pick([
    [1, 1],
    [1, 1],
    [2, 2],
    [2, 1],
    [3, 2],
  ]);
  const dilations = dilated && strides[0] === 1 && strides[1] === 1 ? from.int(1, 3) : 1;
  const pad = from.pick(['same', 'valid', 'same', 'valid', 1] as const);
  const info = tf.backend_util.computeConv2DInfo(
    x as [number, number, number, number],
    filter as [number, number, number, number],
    strides,
    dilations,
    pad,
    'floor',
    depthwise,
  );
  if (info.outHeight < 1 || info.outWidth < 1) return undefined;
  return { x, filter, attrs: { strides, pad, dataFormat: 'NHWC', dilations }, dy: info.outShape };
}

/** Compares the kernel on `inputs`; errors are measured by the same sums over magnitudes. */
function check(kernelName: string, inputs: Inputs, attrs: object): string | undefined {
  const wanted = compute('cpu', kernelName, inputs, attrs);
  const magnitudes = Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, absolute(values)]));
  const bound = compute('cpu', kernelName, magnitudes, attrs);
  const flaw = difference(compute('wasm', kernelName, inputs, attrs), wanted, bound);
  return flaw === undefined ? undefined : `${kernelName} ${JSON.stringify(attrs)}: ${flaw}`;
}

function forConvolutions(
  count: number,
  depthwise: boolean,
  run: (c: Convolution, from: Draw, wild: boolean) => string | undefined,
): void {
  let made = 0;
  forCases(2 * count, (from, seed) => {
    if (made >= count) return undefined;
    const c = convolution(from, depthwise, true);
    if (c === undefined) return undefined;
    made += 1;
    return run(c, from, seed % 4 === 0);
  });
  expect(made).toBe(count);
}
/** Gradients of dilated convolutions are not there in tfjs. */
const plain = ({ attrs }: Convolution): boolean => attrs.dilations === 1;

describe('convolutions equal the cpu backend', () => {
  test('forward, with and without dilation', () => {
    forConvolutions(900, false, ({ x, filter, attrs }, from, wild) =>
      check('Conv2D', { x: from.floats(x, wild), filter: from.floats(filter) }, attrs),
    );
  });

  test('by the gradient of the filter', () => {
    forConvolutions(900, false, (c, from, wild) =>
      plain(c)
        ? check(
            'Conv2DBackpropFilter',
            { x: from.floats(c.x, wild), dy: from.floats(c.dy) },
            { ...c.attrs, filterShape: c.filter },
          )
        : undefined,
    );
  });

  test('by the gradient of the input', () => {
    forConvolutions(900, false, (c, from, wild) =>
      plain(c)
        ? check(
            'Conv2DBackpropInput',
            { dy: from.floats(c.dy, wild), filter: from.floats(c.filter) },
            { ...c.attrs, inputShape: c.x },
          )
        : undefined,
    );
  });

  test('depthwise, by the gradients of filter and input', () => {
    forConvolutions(700, true, (c, from) => {
      if (!plain(c)) return undefined;
      const [x, filter, dy] = [c.x, c.filter, c.dy].map((shape) => from.floats(shape)) as [Values, Values, Values];
      return (
        check('DepthwiseConv2dNativeBackpropFilter', { x, dy }, { ...c.attrs, filterShape: c.filter }) ??
        check('DepthwiseConv2dNativeBackpropInput', { dy, filter }, { ...c.attrs, inputShape: c.x })
      );
    });
  });

  test('with bias and activation in one', () => {
    forConvolutions(600, false, ({ x, filter, attrs }, from) => {
      const activation = from.pick(['linear', 'relu', 'relu6', 'elu', 'leakyrelu', 'prelu', 'sigmoid']);
      const channels = filter[3]!;
      const inputs: Inputs = {
        x: from.floats(x),
        filter: from.floats(filter),
        ...(from.int(0, 2) === 0 ? {} : { bias: from.floats([channels]) }),
        ...(activation === 'prelu' ? { preluActivationWeights: from.floats([channels]) } : {}),
      };
      const all = { ...attrs, activation, leakyreluAlpha: 0.2 };
      const sums = compute('cpu', 'Conv2D', { x: absolute(inputs.x!), filter: absolute(inputs.filter!) }, attrs);
      const bound = { shape: sums.shape, data: sums.data.map((value) => 2 * value + 4) };
      return difference(compute('wasm', 'FusedConv2D', inputs, all), compute('cpu', 'FusedConv2D', inputs, all), bound);
    });
  });

  test('where more than one block of rows is unfolded', () => {
    forCases(3, (from) => {
      const c = { x: [2, 19, 17, 9], filter: [3, 3, 9, 5], dy: [2, 19, 17, 5] };
      const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: 1 };
      const [x, filter, dy] = [c.x, c.filter, c.dy].map((shape) => from.floats(shape)) as [Values, Values, Values];
      const wide = { x: from.floats([1, 12, 12, 150]), filter: from.floats([3, 3, 150, 3]) };
      return (
        check('Conv2D', { x, filter }, attrs) ??
        check('Conv2D', wide, attrs) ??
        check(
          'Conv2DBackpropFilter',
          { x: wide.x, dy: from.floats([1, 12, 12, 3]) },
          { ...attrs, filterShape: [3, 3, 150, 3] },
        ) ??
        check('Conv2DBackpropFilter', { x, dy }, { ...attrs, filterShape: c.filter }) ??
        check('Conv2DBackpropInput', { dy, filter }, { ...attrs, inputShape: c.x })
      );
    });
  });

  test('over no images at all', () => {
    const none = { shape: [0, 4, 4, 2], data: new Float32Array(0) };
    const attrs = { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, 2, 2] };
    expect(compute('wasm', 'Conv2DBackpropFilter', { x: none, dy: none }, attrs).data).toEqual(new Float32Array(36));
  });
});
