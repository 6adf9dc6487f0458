import { util } from '@tensorflow/tfjs-core';
import { addressesOf } from './backend.js';
import { assertFloats, kernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

export function segmentKernels(module: Module): readonly Kernel[] {
  return [
    kernel<'x' | 'segmentIds', { readonly numSegments: number }>(
      'UnsortedSegmentSum',
      ({ inputs: { x, segmentIds }, backend, attrs: { numSegments } }) => {
        assertFloats('UnsortedSegmentSum', [x]);
        const [count, ...row] = x.shape;
        util.assert(
          segmentIds.shape.length === 1 && segmentIds.shape[0] === count && segmentIds.dtype === 'int32',
          () => `UnsortedSegmentSum takes one int32 per row of x, not ${segmentIds.dtype} [${segmentIds.shape.join()}]`,
        );
        const out = backend.makeOutput([numSegments, ...row], 'float32');
        const [from, ids, to] = addressesOf(backend, [x, segmentIds, out]);
        module.run.segmentSum(from, ids, count!, util.sizeFromShape(row), numSegments, to);
        return out;
      },
    ),
  ];
}
