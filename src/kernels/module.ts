import type { WasmBackend } from './backend.js';

/** Functions of kernels.wasm. Addresses and sizes are bytes, strides elements; see `asm/` for what each does. */
export interface Functions {
  gemmScratch(): number;
  gemm(
    m: number,
    n: number,
    k: number,
    a: number,
    aRow: number,
    aColumn: number,
    b: number,
    bRow: number,
    bColumn: number,
    c: number,
    ldc: number,
    accumulate: boolean,
    scratch: number,
  ): void;
  /** Of the geometry at that address. */
  convScratch(geometry: number): number;
  conv2d: Convolution;
  conv2dFilterGradient: Convolution;
  conv2dInputGradient: Convolution;
  depthwiseInputGradient: DepthwiseGradient;
  depthwiseFilterGradient: DepthwiseGradient;
  maxPoolGradient(geometry: number, x: number, dy: number, dx: number): void;
  avgPoolGradient(geometry: number, dy: number, dx: number): void;
  segmentSum(x: number, ids: number, count: number, width: number, segments: number, out: number): void;
  /** Of the layout at that address. */
  copyRows(layout: number, from: number, to: number): void;
  turn(layout: number, from: number, to: number): void;
  gather(x: number, size: number, ids: number, count: number, bytes: number, out: number): number;
  unary(x: number, count: number, kind: number, out: number): void;
  softmax(x: number, rows: number, width: number, out: number): void;
  max(x: number, outer: number, count: number, inner: number, out: number): void;
  sum(x: number, outer: number, count: number, inner: number, scale: number, out: number): void;
  /** Addresses of w, g, m, v and of the new w, m, v; then beta1, beta2, rate, scale, epsilon, keep. */
  adam(count: number, ...addressesAndFactors: readonly number[]): void;
  finish(c: number, rows: number, n: number, bias: number, kind: number, alpha: number, slopes: number): void;
}

type Convolution = (geometry: number, first: number, second: number, out: number, scratch: number) => void;
type DepthwiseGradient = (geometry: number, first: number, second: number, out: number) => void;

/** Our module, running on the memory of tfjs's. */
export interface Module {
  readonly run: Functions;
  /** Address, 64-byte aligned, of memory to work in: grown when a kernel asks for more, kept, and anyone's at the next call. */
  scratch(bytes: number): number;
}

const ALIGNMENT = 64;

/** The part of it that we use; TypeScript knows it from the browser's library alone. */
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ readonly instance: { readonly exports: object } }>;
};

/**
 * @param bytes  kernels.wasm: it brings no data, no stack and no allocator, so it disturbs nothing in that memory
 * @throws       WebAssembly.CompileError or LinkError when this host runs no SIMD, or the memory is shared between threads
 */
export async function loadModule(backend: WasmBackend, bytes: Uint8Array): Promise<Module> {
  const { memory } = backend.wasm.asm;
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  let block = 0;
  let size = 0;
  return {
    run: instance.exports as unknown as Functions,
    scratch(wanted) {
      if (wanted > size) {
        const larger = backend.wasm._malloc(wanted + ALIGNMENT) >>> 0;
        if (block !== 0) backend.wasm._free(block);
        block = larger;
        size = wanted;
      }
      return Math.ceil(block / ALIGNMENT) * ALIGNMENT;
    },
  };
}
