import { backend_util } from '@tensorflow/tfjs-core';
import { addressesOf, addressOf, type WasmBackend } from './backend.js';
import { writeGeometry } from './geometry.js';
import { assertFloats, kernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Pooling {
  readonly filterSize: [number, number] | number;
  readonly strides: [number, number] | number;
  readonly pad: 'valid' | 'same' | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

export function poolKernels(module: Module): readonly Kernel[] {
  return [
    kernel<'dy' | 'input', Pooling>('MaxPoolGrad', ({ inputs: { dy, input }, backend, attrs }) => {
      assertFloats('MaxPoolGrad', [dy, input]);
      const out = backend.makeOutput(input.shape, 'float32');
      const info = infoOf(input.shape, attrs);
      const [x, from, to] = addressesOf(backend, [input, dy, out]);
      module.all(
        'maxPoolGradient',
        byImages(module, backend, info).map(({ geometry, image, map }) => [
          geometry,
          x + image,
          from + map,
          to + image,
        ]),
      );
      return out;
    }),
    kernel<'dy' | 'input', Pooling>('AvgPoolGrad', ({ inputs: { dy, input }, backend, attrs }) => {
      assertFloats('AvgPoolGrad', [dy]);
      const out = backend.makeOutput(input.shape, 'float32');
      const info = infoOf(input.shape, attrs);
      const [from, to] = [addressOf(backend, dy), addressOf(backend, out)];
      module.all(
        'avgPoolGradient',
        byImages(module, backend, info).map(({ geometry, image, map }) => [geometry, from + map, to + image]),
      );
      return out;
    }),
  ];
}

/** Pieces of some images: where their geometry is, and the bytes before them in the input and in the output. */
function byImages(
  module: Module,
  backend: WasmBackend,
  info: backend_util.Conv2DInfo,
): readonly Record<'geometry' | 'image' | 'map', number>[] {
  const places = info.outHeight * info.outWidth * info.outChannels;
  const work = 4 * info.batchSize * places * info.filterHeight * info.filterWidth;
  return module.pieces(info.batchSize, 1, work).map((images, i) => ({
    geometry: writeGeometry(module, backend, info, { images }, i),
    image: 4 * images.first * info.inHeight * info.inWidth * info.inChannels,
    map: 4 * images.first * places,
  }));
}

function infoOf(shape: number[], { filterSize, strides, pad, dimRoundingMode }: Pooling): backend_util.Conv2DInfo {
  const input = shape as [number, number, number, number];
  return backend_util.computePool2DInfo(input, filterSize, strides, 1, pad, dimRoundingMode);
}
