import { backend_util, util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { Activation } from './activation.js';
import { addressesOf, type WasmBackend } from './backend.js';
import { finish } from './finish.js';
import { writeGeometry } from './geometry.js';
import { assertFloats, kernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

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

/** Functions of the module; those of depthwise convolutions need no memory to work in. */
type Name =
  'conv2d' | 'conv2dFilterGradient' | 'conv2dInputGradient' | 'depthwiseFilterGradient' | 'depthwiseInputGradient';

export function convKernels(module: Module): readonly Kernel[] {
  const forward = (backend: WasmBackend, x: TensorInfo, filter: TensorInfo, attrs: Convolution): TensorInfo => {
    const info = infoOf(x.shape, filter.shape, attrs);
    const { image, map } = bytesIn(info);
    return convolve(module, backend, 'conv2d', info, [x, filter], info.outShape, [image, 0, map]);
  };
  const filterGradient = (kernelName: string, name: Name): Kernel =>
    kernel<'x' | 'dy', FilterGradient>(kernelName, ({ inputs: { x, dy }, backend, attrs }) => {
      const info = infoOf(x.shape, attrs.filterShape, attrs, isDepthwise(name));
      const row = [0, 0, bytesIn(info).filterRow] as const;
      return convolve(module, backend, name, info, [x, dy], info.filterShape, row, 'filterRows');
    });
  const inputGradient = (kernelName: string, name: Name): Kernel =>
    kernel<'dy' | 'filter', InputGradient>(kernelName, ({ inputs: { dy, filter }, backend, attrs }) => {
      const info = infoOf(attrs.inputShape, filter.shape, attrs, isDepthwise(name));
      const { image, map } = bytesIn(info);
      return convolve(module, backend, name, info, [dy, filter], info.inShape, [map, 0, image]);
    });
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
    filterGradient('Conv2DBackpropFilter', 'conv2dFilterGradient'),
    filterGradient('DepthwiseConv2dNativeBackpropFilter', 'depthwiseFilterGradient'),
    inputGradient('Conv2DBackpropInput', 'conv2dInputGradient'),
    inputGradient('DepthwiseConv2dNativeBackpropInput', 'depthwiseInputGradient'),
  ];
}

function isDepthwise(name: Name): boolean {
  return name.startsWith('depthwise');
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

/** Bytes of one image of the input, of one of the output, and of one row of the filter. */
function bytesIn(info: backend_util.Conv2DInfo): Record<'image' | 'map' | 'filterRow', number> {
  return {
    image: 4 * info.inHeight * info.inWidth * info.inChannels,
    map: 4 * info.outHeight * info.outWidth * info.outChannels,
    filterRow: 4 * util.sizeFromShape(info.filterShape.slice(1)),
  };
}

/**
 * In pieces of some images, which have nothing in common, or of some rows of the filter, for its gradient.
 *
 * @param steps  bytes from one image, or one row of the filter, to the next, in the two tensors and in the result
 */
function convolve(
  module: Module,
  backend: WasmBackend,
  name: Name,
  info: backend_util.Conv2DInfo,
  [first, second]: readonly [TensorInfo, TensorInfo],
  shape: readonly number[],
  steps: readonly [number, number, number],
  by: 'images' | 'filterRows' = 'images',
): TensorInfo {
  assertFloats('a convolution', [first, second]);
  const out = backend.makeOutput(shape, 'float32');
  const blockRows = isDepthwise(name) ? 0 : module.run.blockRows(writeGeometry(module, backend, info));
  const workBytes = isDepthwise(name)
    ? 0
    : module.run.convScratch(writeGeometry(module, backend, info, { blockRows })) >>> 0;
  const work =
    util.sizeFromShape(info.outShape) *
    info.filterHeight *
    info.filterWidth *
    (isDepthwise(name) ? 4 : info.inChannels);
  const pieces = module.pieces(by === 'images' ? info.batchSize : info.filterHeight, 1, work);
  const places = addressesOf(backend, [first, second, out]);
  const calls = pieces.map((piece, i) => {
    const geometry = writeGeometry(module, backend, info, { [by]: piece, blockRows }, i);
    const [a, b, to] = places.map((place, j) => place + piece.first * steps[j]!) as [number, number, number];
    return [geometry, a, b, to, 0] as const;
  });
  module.all(name as 'conv2d', calls as unknown as Parameters<Module['run']['conv2d']>[], workBytes);
  return out;
}
