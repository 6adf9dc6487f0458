import { backend_util, slice_util, util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import { addressesOf, addressOf, type WasmBackend } from './backend.js';
import { orStock, type Kernel } from './kernel.js';
import { copyAxes, strides, type Axis } from './layout.js';
import type { Module } from './module.js';

/** Kernels that move values of four bytes: the stock ones copy row by row in JavaScript, and the whole input before. */
export function copyKernels(module: Module): readonly Kernel[] {
  return [
    orStock<'x', { readonly perm: number[] }>('Transpose', ({ inputs: { x }, backend, attrs: { perm } }) =>
      transpose(module, backend, x, perm),
    ),
    orStock<'x', { readonly begin: number | number[]; readonly size: number | number[] }>(
      'Slice',
      ({ inputs: { x }, backend, attrs }) => {
        if (!isMovable(x)) return undefined;
        const [begin, size] = slice_util.parseSliceParams(x, attrs.begin, attrs.size);
        slice_util.assertParamsValid(x, begin!, size!);
        return cut(module, backend, x, begin!, size!);
      },
    ),
    orStock<'x', { readonly numOrSizeSplits: number[] | number; readonly axis: number }>(
      'SplitV',
      ({ inputs: { x }, backend, attrs: { numOrSizeSplits, axis } }) => {
        if (!isMovable(x)) return undefined;
        const at = util.parseAxisParam(axis, x.shape)[0]!;
        const sizes = backend_util.prepareSplitSize(x, numOrSizeSplits, at);
        return pieces(module, backend, x, at, sizes);
      },
    ),
    orStock<'value', { readonly axis: number }>('Unpack', ({ inputs: { value }, backend, attrs: { axis } }) => {
      if (!isMovable(value)) return undefined;
      const at = util.parseAxisParam(axis, value.shape)[0]!;
      const ones = Array.from({ length: value.shape[at]! }, () => 1);
      const shape = value.shape.filter((_, i) => i !== at);
      return pieces(module, backend, value, at, ones)?.map((piece) => ({ ...piece, shape }));
    }),
    orStock<number, { readonly axis: number }>('Concat', ({ inputs, backend, attrs: { axis } }) => {
      const parts = Object.values(inputs);
      const at = util.parseAxisParam(axis, parts[0]!.shape)[0]!;
      backend_util.assertParamsConsistent(
        parts.map(({ shape }) => shape),
        at,
      );
      return concat(module, backend, parts, at);
    }),
    orStock<number, { readonly axis: number }>('Pack', ({ inputs, backend, attrs: { axis } }) => {
      const parts = Object.values(inputs);
      const { shape, dtype } = parts[0]!;
      const outShape = [...shape.slice(0, axis), 1, ...shape.slice(axis)];
      for (const part of parts)
        util.assert(
          util.arraysEqual(shape, part.shape) && part.dtype === dtype,
          () =>
            `tf.stack takes tensors of one shape and type, not ${dtype} [${shape.join()}] and [${part.shape.join()}]`,
        );
      const wider = parts.map(({ dataId }) => ({ dataId, dtype, shape: outShape }));
      return concat(module, backend, wider, axis);
    }),
    orStock<'x' | 'indices', { readonly axis: number; readonly batchDims: number }>(
      'GatherV2',
      ({ inputs: { x, indices }, backend, attrs: { axis, batchDims } }) => {
        if (!isMovable(x) || indices.dtype !== 'int32' || batchDims !== 0) return undefined;
        return gather(module, backend, x, indices, util.parseAxisParam(axis, x.shape)[0]!);
      },
    ),
    // Both share the values where the stock kernel copies them: nobody writes into a tensor.
    orStock<'x', object>('Identity', ({ inputs: { x }, backend }) => share(backend, x, x.shape)),
    orStock<'x', { readonly dtype: DataType }>('Cast', ({ inputs: { x }, backend, attrs: { dtype } }) =>
      x.dtype === dtype && dtype !== 'string' ? share(backend, x, x.shape) : undefined,
    ),
  ];
}

/** @returns undefined where the stock kernel is to do it */
export function transpose(
  module: Module,
  backend: WasmBackend,
  x: TensorInfo,
  perm: readonly number[],
): TensorInfo | undefined {
  if (!isMovable(x)) return undefined;
  const outShape = perm.map((axis) => x.shape[axis]!);
  const moved = perm.filter((axis) => x.shape[axis] !== 1);
  if (moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)) return share(backend, x, outShape);
  const [from, to] = [strides(x.shape), strides(outShape)];
  const axes = perm.map((axis, i) => ({ size: x.shape[axis]!, from: from[axis]!, to: to[i]! }));
  return fill(module, backend, x, outShape, axes);
}

function isMovable({ dtype }: TensorInfo): boolean {
  return dtype === 'float32' || dtype === 'int32';
}

function share(backend: WasmBackend, x: TensorInfo, shape: number[]): TensorInfo {
  backend.incRef(x.dataId);
  return { dataId: x.dataId, shape, dtype: x.dtype };
}

/** A tensor of that shape from the values of x, the first of which is `skip` bytes from its start. */
function fill(
  module: Module,
  backend: WasmBackend,
  x: TensorInfo,
  shape: number[],
  axes: readonly Axis[],
  skip = 0,
): TensorInfo | undefined {
  const out = backend.makeOutput(shape, x.dtype);
  if (copyAxes(module, backend, axes, addressOf(backend, x) + skip, addressOf(backend, out))) return out;
  backend.disposeData(out.dataId);
  return undefined;
}

function cut(
  module: Module,
  backend: WasmBackend,
  x: TensorInfo,
  begin: readonly number[],
  size: number[],
): TensorInfo | undefined {
  const [from, to] = [strides(x.shape), strides(size)];
  const axes = size.map((count, axis) => ({ size: count, from: from[axis]!, to: to[axis]! }));
  const skip = begin.reduce((sum, at, axis) => sum + at * from[axis]!, 0);
  return fill(module, backend, x, size, axes, skip);
}

/** x cut along one axis. */
function pieces(
  module: Module,
  backend: WasmBackend,
  x: TensorInfo,
  axis: number,
  sizes: readonly number[],
): TensorInfo[] {
  let at = 0;
  return sizes.map((size) => {
    const along = <T>(other: T[], own: T): T[] => other.map((value, i) => (i === axis ? own : value));
    const begin = along(new Array<number>(x.shape.length).fill(0), at);
    at += size;
    return cut(module, backend, x, begin, along(x.shape, size))!; // never more than two axes that cannot be joined
  });
}

function concat(
  module: Module,
  backend: WasmBackend,
  parts: readonly TensorInfo[],
  axis: number,
): TensorInfo | undefined {
  if (!parts.every((part) => isMovable(part) && part.dtype === parts[0]!.dtype)) return undefined;
  const outShape = backend_util.computeOutShape(
    parts.map(({ shape }) => shape),
    axis,
  );
  const out = backend.makeOutput(outShape, parts[0]!.dtype);
  const step = strides(outShape);
  let to = addressOf(backend, out);
  for (const part of parts) {
    const from = strides(part.shape);
    const axes = part.shape.map((size, i) => ({ size, from: from[i]!, to: step[i]! }));
    copyAxes(module, backend, axes, addressOf(backend, part), to); // at most two axes that cannot be joined
    to += part.shape[axis]! * step[axis]!;
  }
  return out;
}

function gather({ run }: Module, backend: WasmBackend, x: TensorInfo, indices: TensorInfo, axis: number): TensorInfo {
  const size = x.shape[axis]!;
  const out = backend.makeOutput([...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], x.dtype);
  const [from, ids, to] = addressesOf(backend, [x, indices, out]);
  const bytes = strides(x.shape)[axis]!;
  const count = util.sizeFromShape(indices.shape);
  for (let outer = 0; outer < util.sizeFromShape(x.shape.slice(0, axis)); outer++) {
    const wrong = run.gather(from + outer * size * bytes, size, ids, count, bytes, to + outer * count * bytes);
    if (wrong < 0) continue;
    const id = new Int32Array(backend.wasm.HEAPU8.buffer, ids, count)[wrong]!;
    backend.disposeData(out.dataId);
    throw new Error(`GatherV2: the index value ${id} is not in [0, ${size - 1}]`);
  }
  return out;
}
