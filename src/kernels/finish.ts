import { getKernel, util, type TensorInfo } from '@tensorflow/tfjs-core';
import { ACTIVATIONS, type Activation } from './activation.js';
import { addressOf, type WasmBackend } from './backend.js';
import type { Module } from './module.js';

/** Parts of a fused kernel after its product. */
interface Finish {
  readonly bias: TensorInfo | undefined;
  readonly slopes: TensorInfo | undefined;
  readonly activation: Activation;
  readonly alpha: number;
}

/**
 * Bias and activation, in place. Shapes other than one value per column, which is what layers have, are written out
 * in full first (the stock Prelu knows one slope per column alone). Consumes `product`.
 */
export function finish(module: Module, backend: WasmBackend, product: TensorInfo, how: Finish): TensorInfo {
  const { bias, slopes, activation, alpha } = how;
  let out = product;
  let rowBias = bias;
  if (bias !== undefined && !(isRow(bias, out) && (slopes === undefined || isRow(slopes, out)))) {
    out = add(backend, product, bias);
    backend.disposeData(product.dataId);
    rowBias = undefined;
  }
  if (rowBias === undefined && activation === 'linear') return out;
  const size = util.sizeFromShape(out.shape);
  const byRow = activation !== 'prelu' || isRow(slopes!, out);
  const allSlopes = byRow ? slopes : spread(backend, slopes!, out.shape);
  const n = byRow ? out.shape.at(-1)! : size;
  const [biasAt, slopesAt] = [rowBias, allSlopes].map((row) => (row === undefined ? 0 : addressOf(backend, row)));
  const at = addressOf(backend, out);
  const kind = ACTIVATIONS.indexOf(activation);
  module.all(
    'finish',
    module
      .pieces(size / (n || 1), 1, 4 * size)
      .map(({ first, count }) => [at + 4 * first * n, count, n, biasAt!, kind, alpha, slopesAt!]),
  );
  if (!byRow) backend.disposeData(allSlopes!.dataId);
  return out;
}

/** One value per column? */
function isRow({ shape }: TensorInfo, out: TensorInfo): boolean {
  return shape.at(-1) === out.shape.at(-1) && util.sizeFromShape(shape) === shape.at(-1);
}

function add(backend: WasmBackend, a: TensorInfo, b: TensorInfo): TensorInfo {
  return getKernel('Add', 'wasm').kernelFunc({ inputs: { a, b }, backend, attrs: {} }) as TensorInfo;
}

function spread(backend: WasmBackend, tensor: TensorInfo, shape: number[]): TensorInfo {
  const zeros = backend.makeOutput(shape, 'float32');
  const from = addressOf(backend, zeros);
  backend.wasm.HEAPU8.fill(0, from, from + 4 * util.sizeFromShape(shape));
  const all = add(backend, zeros, tensor);
  backend.disposeData(zeros.dataId);
  return all;
}
