import { broadcast_util, util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { Activation } from './activation.js';
import { addressOf, type WasmBackend } from './backend.js';
import { finish } from './finish.js';
import { assertFloats, kernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Transpositions {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}
interface Fusion extends Transpositions {
  readonly activation?: Activation;
  readonly leakyreluAlpha?: number;
}

export function matmulKernels(module: Module): readonly Kernel[] {
  return [
    kernel<'a' | 'b', Transpositions>('BatchMatMul', ({ inputs: { a, b }, backend, attrs }) =>
      multiply(module, backend, 'BatchMatMul', a, b, attrs),
    ),
    kernel<'a' | 'b' | 'bias' | 'preluActivationWeights', Fusion>('_FusedMatMul', ({ inputs, backend, attrs }) => {
      const product = multiply(module, backend, '_FusedMatMul', inputs.a, inputs.b, attrs);
      return finish(module, backend, product, {
        bias: inputs.bias,
        slopes: inputs.preluActivationWeights,
        activation: attrs.activation ?? 'linear',
        alpha: attrs.leakyreluAlpha ?? 0,
      });
    }),
  ];
}

/** A [..., m, k] times B [..., k, n], each stored the other way round when transposed; the leading dimensions broadcast. */
function multiply(
  module: Module,
  backend: WasmBackend,
  name: string,
  a: TensorInfo,
  b: TensorInfo,
  { transposeA, transposeB }: Transpositions,
): TensorInfo {
  assertFloats(name, [a, b]);
  const [rowsA, columnsA] = lastTwo(a);
  const [rowsB, columnsB] = lastTwo(b);
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [inner, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB];
  util.assert(
    k === inner,
    () =>
      `Error in matMul: inner shapes (${k}) and (${inner}) of Tensors with shapes ${a.shape.join()} and ` +
      `${b.shape.join()} and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
  );
  const [outerA, outerB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const outer = broadcast_util.assertAndGetBroadcastShape(outerA, outerB);
  const out = backend.makeOutput([...outer, m, n], 'float32');
  const [addressA, addressB, addressOut] = [a, b, out].map((tensor) => addressOf(backend, tensor)) as [
    number,
    number,
    number,
  ];
  const [aRow, aColumn] = transposeA ? [1, columnsA] : [columnsA, 1];
  const [bRow, bColumn] = transposeB ? [1, columnsB] : [columnsB, 1];
  const count = util.sizeFromShape(outer);
  const a1: Matrices = { at: addressA, row: aRow, column: aColumn, next: stepOf(outerA, outer, 4 * m * k) };
  const b1: Matrices = { at: addressB, row: bRow, column: bColumn, next: stepOf(outerB, outer, 4 * k * n) };
  const c1: Matrices = { at: addressOut, row: n, column: 1, next: 4 * m * n };
  if (!transposeA && util.sizeFromShape(outerB) === 1) {
    // One B for every A: the rows of all A are one matrix.
    products(module, 1, [count * m, n, k], a1, b1, c1);
  } else if (a1.next !== undefined && b1.next !== undefined) {
    products(module, count, [m, n, k], a1, b1, c1);
  } else {
    const [placesA, placesB] = [placesIn(outerA, outer), placesIn(outerB, outer)];
    for (let i = 0; i < count; i++)
      products(
        module,
        1,
        [m, n, k],
        { ...a1, at: addressA + 4 * m * k * placesA(i) },
        { ...b1, at: addressB + 4 * k * n * placesB(i) },
        { ...c1, at: addressOut + 4 * m * n * i },
      );
  }
  return out;
}

/** Equally spaced matrices: the address of the first, strides of rows and columns in elements, bytes to the next (0 if undefined). */
interface Matrices {
  readonly at: number;
  readonly row: number;
  readonly column: number;
  readonly next: number | undefined;
}

/** In pieces of some of the products; of one alone, or few, some rows or columns, whichever there are more of. */
function products(
  module: Module,
  count: number,
  [m, n, k]: readonly [number, number, number],
  a: Matrices,
  b: Matrices,
  c: Matrices,
): void {
  const by = count >= 8 ? 'products' : m >= n ? 'rows' : 'columns';
  const [size, step] = { products: [count, 1] as const, rows: [m, 4] as const, columns: [n, 8] as const }[by];
  const [aNext, bNext, cNext] = [a.next ?? 0, b.next ?? 0, c.next ?? 0];
  const calls = module.pieces(size, step, count * m * n * k).map(({ first, count: part }) => {
    const [moveA, moveB, moveC] = {
      products: [aNext, bNext, cNext] as const,
      rows: [4 * a.row, 0, 4 * c.row] as const,
      columns: [0, 4 * b.column, 4] as const,
    }[by];
    const [products, rows, columns] =
      by === 'products' ? [part, m, n] : by === 'rows' ? [count, part, n] : [count, m, part];
    const [fromA, fromB, to] = [a.at + first * moveA, b.at + first * moveB, c.at + first * moveC];
    return [
      products,
      rows,
      columns,
      k,
      fromA,
      a.row,
      a.column,
      aNext,
      fromB,
      b.row,
      b.column,
      bNext,
      to,
      c.row,
      cNext,
      0,
    ];
  });
  module.all('products', calls as Parameters<Module['run']['products']>[], module.run.gemmScratch());
}

/** Bytes from one matrix to the next along `outer`, which `own` is broadcast to; undefined where they are not equally spaced. */
function stepOf(own: readonly number[], outer: readonly number[], bytes: number): number | undefined {
  if (own.every((size) => size === 1)) return 0;
  const isWhole = own.length === outer.length && own.every((size, axis) => size === outer[axis]);
  return isWhole ? bytes : undefined;
}

function lastTwo({ shape }: TensorInfo): readonly [number, number] {
  return [shape.at(-2)!, shape.at(-1)!];
}

/** Which matrix of a tensor with leading dimensions `own` belongs to the i-th one of `outer`, which `own` is broadcast to. */
function placesIn(own: readonly number[], outer: readonly number[]): (i: number) => number {
  if (own.length === outer.length && own.every((size, axis) => size === outer[axis])) return (i) => i;
  return (i) => {
    let place = 0;
    let step = 1;
    let rest = i;
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      const size = own[axis - outer.length + own.length] ?? 1;
      const index = rest % outer[axis]!;
      rest = (rest - index) / outer[axis]!;
      if (size > 1) place += index * step;
      step *= size;
    }
    return place;
  };
}
