import { backend_util } from '@tensorflow/tfjs-core';
import { addressOf } from './backend.js';
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
      const geometry = writeGeometry(module, backend, infoOf(input.shape, attrs));
      const [x, from, to] = [input, dy, out].map((tensor) => addressOf(backend, tensor));
      module.run.maxPoolGradient(geometry, x!, from!, to!);
      return out;
    }),
    kernel<'dy' | 'input', Pooling>('AvgPoolGrad', ({ inputs: { dy, input }, backend, attrs }) => {
      assertFloats('AvgPoolGrad', [dy]);
      const out = backend.makeOutput(input.shape, 'float32');
      const geometry = writeGeometry(module, backend, infoOf(input.shape, attrs));
      module.run.avgPoolGradient(geometry, addressOf(backend, dy), addressOf(backend, out));
      return out;
    }),
  ];
}

function infoOf(shape: number[], { filterSize, strides, pad, dimRoundingMode }: Pooling): backend_util.Conv2DInfo {
  const input = shape as [number, number, number, number];
  return backend_util.computePool2DInfo(input, filterSize, strides, 1, pad, dimRoundingMode);
}
