import { backend_util, util, type TensorInfo } from '@tensorflow/tfjs-core';
import { addressesOf, addressOf, type WasmBackend } from './backend.js';
import { orStock, type Kernel } from './kernel.js';
import type { Module } from './module.js';

/** In the order of the numbers in asm/binary.ts. */
const FUNCTIONS = ['Add', 'Sub', 'Multiply'] as const;

/** Of one value, in multiplications of matrices. */
const WORK = 4;
/** Rows shorter than that are repeated first: the loop over a row of six would be all beginnings and ends. */
const SHORT = 64;

/**
 * The bits are those of the stock kernels. What is smaller must be a row along the last axes of the other, or one value;
 * other shapes and types stay with the stock kernel.
 */
export function binaryKernels(module: Module): readonly Kernel[] {
  return FUNCTIONS.map((name, kind) =>
    orStock<'a' | 'b', object>(name, ({ inputs: { a, b }, backend }) => {
      if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
      if (util.arraysEqual(a.shape, b.shape)) {
        const out = backend.makeOutput(a.shape, 'float32');
        const size = util.sizeFromShape(a.shape);
        const [x, y, to] = addressesOf(backend, [a, b, out]);
        const pieces = module.pieces(size, 4, WORK * size);
        module.all(
          'binary',
          pieces.map(({ first, count }) => [kind, x + 4 * first, 0, y + 4 * first, 0, count, count, to + 4 * first]),
        );
        return out;
      }
      if (isRowOf(b, a)) return withRow(module, backend, kind, a, b, false);
      if (isRowOf(a, b)) return withRow(module, backend, kind, b, a, true);
      return undefined;
    }),
  );
}

/** @param isFirst  `row` is the first operand, otherwise `whole` is */
function withRow(
  module: Module,
  backend: WasmBackend,
  kind: number,
  whole: TensorInfo,
  row: TensorInfo,
  isFirst: boolean,
): TensorInfo {
  const out = backend.makeOutput(backend_util.assertAndGetBroadcastShape(whole.shape, row.shape), 'float32');
  const size = util.sizeFromShape(out.shape);
  if (size === 0) return out;
  const n = util.sizeFromShape(row.shape);
  const times = n < SHORT ? Math.min(size / n, 4 * Math.ceil(SHORT / 4 / n)) : 1;
  const width = n * times;
  let at = addressOf(backend, row);
  if (times > 1) {
    const repeated = module.scratch(4 * width);
    module.run.repeat(at, n, times, repeated);
    at = repeated;
  }
  const [from, to] = [addressOf(backend, whole), addressOf(backend, out)];
  module.all(
    'binary',
    module.pieces(size, width, WORK * size).map(({ first, count }) => {
      const x = from + 4 * first;
      return isFirst
        ? [kind, at, 0, x, 4 * width, count, width, to + 4 * first]
        : [kind, x, 4 * width, at, 0, count, width, to + 4 * first];
    }),
  );
  return out;
}

/** Is the shape of `row`, without ones in front, the end of that of `whole`? */
function isRowOf({ shape: row }: TensorInfo, { shape: whole }: TensorInfo): boolean {
  let first = 0;
  while (row[first] === 1) first++;
  const length = row.length - first;
  if (length > whole.length) return false;
  for (let i = 1; i <= length; i++) if (row.at(-i) !== whole.at(-i)) return false;
  return true;
}
