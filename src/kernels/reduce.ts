import { backend_util, util, type TensorInfo } from '@tensorflow/tfjs-core';
import { addressOf, type WasmBackend } from './backend.js';
import { transpose } from './copy.js';
import { elseStock, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Axes {
  readonly keepDims: boolean;
}
interface Addition extends Axes {
  readonly axis: number | number[];
}
interface Maximum extends Axes {
  readonly reductionIndices: number | number[];
}
/** Reduces the middle of [outer, count, inner]. */
type Reduction = (x: number, outer: number, count: number, inner: number, out: number) => void;

export function reduceKernels(module: Module): readonly Kernel[] {
  const scaled =
    (name: 'Sum' | 'Mean'): Reduction =>
    (x, outer, count, inner, out) =>
      sum(module, x, [outer, count, inner], name === 'Mean' ? 1 / count : 1, out);
  return [
    ...(['Sum', 'Mean'] as const).map((name) =>
      elseStock<'x', Addition>(name, 'x', ({ inputs: { x }, backend, attrs: { axis, keepDims } }) =>
        reduce(module, backend, x, axis, keepDims, scaled(name)),
      ),
    ),
    elseStock<'x', Maximum>('Max', 'x', ({ inputs: { x }, backend, attrs: { reductionIndices, keepDims } }) =>
      reduce(module, backend, x, reductionIndices, keepDims, (...call) => module.run.max(...call)),
    ),
  ];
}

/** Axes that do not lie side by side are brought to the end first. */
function reduce(
  module: Module,
  backend: WasmBackend,
  x: TensorInfo,
  axis: number | number[],
  keepDims: boolean,
  compute: Reduction,
): TensorInfo | undefined {
  const axes = [...util.parseAxisParam(axis, x.shape)].sort((a, b) => a - b);
  const [outShape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
  const [first, last] = [axes[0] ?? 0, axes.at(-1) ?? -1];
  const isRun = last - first + 1 === axes.length;
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const from = isRun ? x : transpose(module, backend, x, [...kept, ...axes]);
  if (from === undefined) return undefined;
  const [start, end] = isRun ? [first, last + 1] : [kept.length, x.shape.length];
  const [outer, count, inner] = [from.shape.slice(0, start), from.shape.slice(start, end), from.shape.slice(end)].map(
    (sizes) => util.sizeFromShape(sizes),
  ) as [number, number, number];
  const out = backend.makeOutput(keepDims ? backend_util.expandShapeToKeepDim(outShape, axes) : outShape, 'float32');
  compute(addressOf(backend, from), outer, count, inner, addressOf(backend, out));
  if (!isRun) backend.disposeData(from.dataId);
  return out;
}

/** In pieces of outer places, or of columns where there is one such place. */
function sum(module: Module, x: number, size: readonly [number, number, number], scale: number, out: number): void {
  const [outer, count, inner] = size;
  const byColumns = outer === 1;
  const stride = byColumns ? 1 : count * inner;
  const pieces = module.pieces(byColumns ? inner : outer, byColumns ? 8 : 1, 2 * outer * count * inner);
  module.all(
    'sum',
    pieces.map(({ first, count: some }) => {
      const [from, to] = [x + 4 * first * stride, out + 4 * first * (byColumns ? 1 : inner)];
      return [from, byColumns ? 1 : some, count, byColumns ? some : inner, inner, scale, to];
    }),
  );
}
