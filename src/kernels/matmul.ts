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
  const { run } = module;
  const work = module.scratch(run.gemmScratch());
  const count = util.sizeFromShape(outer);
  if (!transposeA && util.sizeFromShape(outerB) === 1) {
    // One B for every A: the rows of all A are one matrix.
    run.gemm(count * m, n, k, addressA, aRow, aColumn, addressB, bRow, bColumn, addressOut, n, false, work);
    return out;
  }
  const [placesA, placesB] = [placesIn(outerA, outer), placesIn(outerB, outer)];
  for (let i = 0; i < count; i++) {
    const fromA = addressA + 4 * m * k * placesA(i);
    const fromB = addressB + 4 * k * n * placesB(i);
    run.gemm(m, n, k, fromA, aRow, aColumn, fromB, bRow, bColumn, addressOut + 4 * m * n * i, n, false, work);
  }
  return out;
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
