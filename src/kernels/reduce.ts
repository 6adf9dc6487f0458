import { backend_util, util } from '@tensorflow/tfjs-core';
import { addressOf } from './backend.js';
import { elseStock, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Reduction {
  readonly axis: number | number[];
  readonly keepDims: boolean;
}

/** Over axes that lie side by side; others are left to the stock kernel, which transposes first. */
export function reduceKernels({ run }: Module): readonly Kernel[] {
  return (['Sum', 'Mean'] as const).map((name) =>
    elseStock<'x', Reduction>(name, 'x', ({ inputs: { x }, backend, attrs: { axis, keepDims } }) => {
      const axes = [...util.parseAxisParam(axis, x.shape)].sort((a, b) => a - b);
      const [first, last] = [axes[0] ?? 0, axes.at(-1) ?? -1];
      if (last - first + 1 !== axes.length) return undefined;
      const count = util.sizeFromShape(x.shape.slice(first, last + 1));
      const outer = util.sizeFromShape(x.shape.slice(0, first));
      const inner = util.sizeFromShape(x.shape.slice(last + 1));
      const [outShape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
      const out = backend.makeOutput(
        keepDims ? backend_util.expandShapeToKeepDim(outShape, axes) : outShape,
        'float32',
      );
      const scale = name === 'Mean' ? 1 / count : 1;
      run.sum(addressOf(backend, x), outer, count, inner, scale, addressOf(backend, out));
      return out;
    }),
  );
}
