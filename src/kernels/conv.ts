import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { Activation } from './activation.js';
import { addressOf, type WasmBackend } from './backend.js';
import { finish } from './finish.js';
import { GEOMETRY_BYTES, writeGeometry } from './geometry.js';
import { assertFloats, kernel, type Kernel } from './kernel.js';
import type { Functions, Module } from './module.js';

type Pair = [number, number] | number;
type Pad = Parameters<typeof backend_util.computeConv2DInfo>[4];
interface Convolution {
  readonly strides: Pair;
  readonly pad: Pad;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: Pair;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}
type Shape4 = [number, number, number, number];
interface FilterGradient extends Convolution {
  readonly filterShape: Shape4;
}
interface InputGradient extends Convolution {
  readonly inputShape: Shape4;
}
interface Fusion extends Convolution {
  readonly activation?: Activation;
  readonly leakyreluAlpha?: number;
}

export function convKernels(module: Module): readonly Kernel[] {
  const { run } = module;
  const forward = (backend: WasmBackend, x: TensorInfo, filter: TensorInfo, attrs: Convolution): TensorInfo => {
    const info = infoOf(x.shape, filter.shape, attrs);
    return convolve(module, backend, run.conv2d, info, [x, filter], info.outShape);
  };
  return [
    kernel<'x' | 'filter', Convolution>('Conv2D', ({ inputs: { x, filter }, backend, attrs }) =>
      forward(backend, x, filter, attrs),
    ),
    kernel<'x' | 'filter' | 'bias' | 'preluActivationWeights', Fusion>('FusedConv2D', ({ inputs, backend, attrs }) =>
      finish(module, backend, forward(backend, inputs.x, inputs.filter, attrs), {
        bias: inputs.bias,
        slopes: inputs.preluActivationWeights,
        activation: attrs.activation ?? 'linear',
        alpha: attrs.leakyreluAlpha ?? 0,
      }),
    ),
    kernel<'x' | 'dy', FilterGradient>('Conv2DBackpropFilter', ({ inputs: { x, dy }, backend, attrs }) => {
      const info = infoOf(x.shape, attrs.filterShape, attrs);
      return convolve(module, backend, run.conv2dFilterGradient, info, [x, dy], info.filterShape);
    }),
    kernel<'dy' | 'filter', InputGradient>('Conv2DBackpropInput', ({ inputs: { dy, filter }, backend, attrs }) => {
      const info = infoOf(attrs.inputShape, filter.shape, attrs);
      return convolve(module, backend, run.conv2dInputGradient, info, [dy, filter], info.inShape);
    }),
    kernel<'x' | 'dy', FilterGradient>(
      'DepthwiseConv2dNativeBackpropFilter',
      ({ inputs: { x, dy }, backend, attrs }) => {
        const info = infoOf(x.shape, attrs.filterShape, attrs, true);
        return depthwise(module, backend, run.depthwiseFilterGradient, info, [x, dy], info.filterShape);
      },
    ),
    kernel<'dy' | 'filter', InputGradient>(
      'DepthwiseConv2dNativeBackpropInput',
      ({ inputs: { dy, filter }, backend, attrs }) => {
        const info = infoOf(attrs.inputShape, filter.shape, attrs, true);
        return depthwise(module, backend, run.depthwiseInputGradient, info, [dy, filter], info.inShape);
      },
    ),
  ];
}

/** Gradients come without dilations: tfjs has none of dilated convolutions. */
function infoOf(
  input: number[],
  filter: number[],
  { strides, pad, dataFormat = 'NHWC', dilations = 1, dimRoundingMode }: Convolution,
  isDepthwise = false,
): backend_util.Conv2DInfo {
  if (dataFormat !== 'NHWC') throw new Error(`convolutions on wasm take NHWC, not ${dataFormat}`);
  return backend_util.computeConv2DInfo(
    input as Shape4,
    filter as Shape4,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    isDepthwise,
  );
}

function convolve(
  module: Module,
  backend: WasmBackend,
  compute: Functions['conv2d'],
  info: backend_util.Conv2DInfo,
  [first, second]: readonly [TensorInfo, TensorInfo],
  shape: readonly number[],
): TensorInfo {
  assertFloats('a convolution', [first, second]);
  const out = backend.makeOutput(shape, 'float32');
  const bytes = module.run.convScratch(writeGeometry(module, backend, info)) >>> 0;
  const geometry = writeGeometry(module, backend, info, bytes);
  const [a, b, to] = [first, second, out].map((tensor) => addressOf(backend, tensor));
  compute(geometry, a!, b!, to!, geometry + GEOMETRY_BYTES);
  return out;
}

function depthwise(
  module: Module,
  backend: WasmBackend,
  compute: Functions['depthwiseInputGradient'],
  info: backend_util.Conv2DInfo,
  [first, second]: readonly [TensorInfo, TensorInfo],
  shape: readonly number[],
): TensorInfo {
  assertFloats('a convolution', [first, second]);
  const out = backend.makeOutput(shape, 'float32');
  const geometry = writeGeometry(module, backend, info);
  const [a, b, to] = [first, second, out].map((tensor) => addressOf(backend, tensor));
  compute(geometry, a!, b!, to!);
  return out;
}
