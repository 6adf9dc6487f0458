import { isShared, type WasmBackend } from './backend.js';
import { GEOMETRY_BYTES } from './geometry.js';
import { withSharedMemory } from './memory.js';
import type { Kernel } from './queue.js';
import { startThreads } from './threads.js';

/** Functions of kernels.wasm. Addresses and sizes are bytes, strides elements; see `asm/` for what each does. */
export interface Functions {
  gemmScratch(): number;
  /** `count` products, the addresses of each `aNext`, `bNext` and `cNext` bytes after those of the one before. */
  products(
    count: number,
    m: number,
    n: number,
    k: number,
    a: number,
    aRow: number,
    aColumn: number,
    aNext: number,
    b: number,
    bRow: number,
    bColumn: number,
    bNext: number,
    c: number,
    cRow: number,
    cNext: number,
    scratch: number,
  ): void;
  /** Of the geometry at that address: what belongs into its last field, and what the three below it need to work in. */
  blockRows(geometry: number): number;
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
  /** Kind; addresses of a and b, each followed by its step in bytes; count, width of a block, address of the output. */
  binary(...call: number[]): void;
  repeat(row: number, n: number, times: number, out: number): void;
  softmax(x: number, rows: number, width: number, out: number): void;
  logSoftmax(x: number, rows: number, width: number, out: number): void;
  softmaxGradient(dy: number, y: number, rows: number, width: number, scale: number, out: number): void;
  logSoftmaxGradient(dy: number, y: number, rows: number, width: number, out: number): void;
  /** Count of heads; t, s, d, e; addresses of q, k, v; scale, causal (1 or 0); addresses of weights, output and scratch. */
  attention(...call: number[]): void;
  /** The same five; addresses of dy, q, k, v, weights; scale; addresses of dq, dk, dv and scratch. */
  attentionGradient(...call: number[]): void;
  /** First head and count of heads; heads per text, t, d; address of x; scale, causal; addresses of weights, output and scratch. */
  selfAttention(...call: number[]): void;
  /** The same five; addresses of dy, x, weights; scale; addresses of dx and scratch. */
  selfAttentionGradient(...call: number[]): void;
  /** Addresses of x, gamma, beta; rows, width, epsilon; addresses of what the gradient needs (0: not wanted) and of the output. */
  layerNorm(...call: number[]): void;
  /** Addresses of dy, x, gamma and what was kept; rows, width; address of dx. */
  layerNormGradient(...call: number[]): void;
  /** Addresses of dy, x and what was kept; rows, columns, width; addresses of dgamma, dbeta and scratch. */
  layerNormSums(...call: number[]): void;
  /** Addresses of x and bias (0: none); rows, width, exact (1 or 0); addresses of slopes (0: not wanted) and of the output. */
  gelu(...call: number[]): void;
  /** Addresses of a, b; rows, columns, width; addresses of the products, the sums and scratch. */
  multiplyAndSum(...call: number[]): void;
  reluGradient(dy: number, x: number, count: number, out: number): void;
  /** batch, time, units, hard; addresses of gates, recurrent kernel, h0, c0, h, c and scratch. */
  lstm(...call: number[]): void;
  /** The same four; addresses of gates, recurrent kernel, c0, c, dh, dc, dhNext, dcNext, dz and scratch. */
  lstmGradient(...call: number[]): void;
  max(x: number, outer: number, count: number, inner: number, out: number): void;
  sum(x: number, outer: number, count: number, inner: number, width: number, scale: number, out: number): void;
  adam(...numbers: Adam): void;
  finish(c: number, rows: number, n: number, bias: number, kind: number, alpha: number, slopes: number): void;
}

/** Count; addresses of w, g, m, v and of the new w, m, v; then beta1, beta2, rate, scale, epsilon, keep. */
type Adam = [number, ...Seven, ...Seven];
type Seven = [number, number, number, number, number, number, number];
type Convolution = (geometry: number, first: number, second: number, out: number, scratch: number) => void;
type DepthwiseGradient = (geometry: number, first: number, second: number, out: number) => void;

/** Our module, running on the memory of tfjs's. */
export interface Module {
  readonly run: Functions;
  /** Address, 64-byte aligned, of memory to work in: grown when a kernel asks for more, kept, and anyone's at the next call. */
  scratch(bytes: number): number;
  /**
   * [0, size) whole, or, where there are threads and `work`, counted in about multiplications, pays for them, in pieces
   * that begin at multiples of `step`. Pieces never share a sum: the bits do not depend on the number of threads.
   */
  pieces(size: number, step: number, work: number): readonly Piece[];
  /**
   * Makes the calls, in any order and on any thread, and waits for all.
   *
   * @param workBytes  where it is not 0, the last argument of each call becomes the address of so much memory to work in
   */
  all<Name extends keyof Functions>(
    name: Name,
    calls: readonly Parameters<Functions[Name]>[],
    workBytes?: number,
  ): void;
  /** Room for the geometries of as many calls as there are pieces at most. */
  readonly geometries: number;
  stop(): void;
}

export interface Piece {
  readonly first: number;
  readonly count: number;
}

const ALIGNMENT = 64;
const MOST_PIECES = 16;
/** Below it, and for pieces smaller than that, threads cost more than they save: some 20 microseconds of one. */
const LEAST_WORK = 400_000;

/** The part of it that we use; TypeScript knows it from the browser's library alone. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  instantiate(module: object, imports: object): Promise<{ readonly exports: object }>;
};

/**
 * @param bytes    kernels.wasm: it brings no data, no stack and no allocator, so it disturbs nothing in that memory
 * @param threads  more than one: the memory must be shared
 * @throws         WebAssembly.CompileError or LinkError when this host runs no SIMD; what a thread throws that does not start
 */
export async function loadModule(
  backend: WasmBackend,
  bytes: Uint8Array,
  threads = 1,
  leastWork = LEAST_WORK,
): Promise<Module> {
  const { wasm } = backend;
  const { memory } = wasm.asm;
  const module = new WebAssembly.Module(isShared(backend) ? withSharedMemory(bytes) : bytes);
  const exports = (await WebAssembly.instantiate(module, { env: { memory } })).exports as unknown as Functions;
  const kernels = exports as unknown as Record<string, Kernel>;
  const others = threads > 1 ? await startThreads(threads - 1, module, memory, exports) : undefined;
  const aligned = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT;
  let block = 0;
  let size = 0;
  const scratch = (wanted: number): number => {
    if (wanted > size) {
      const larger = wasm._malloc(wanted + ALIGNMENT) >>> 0;
      if (block !== 0) wasm._free(block);
      block = larger;
      size = wanted;
    }
    return aligned(block);
  };
  return {
    run: exports,
    scratch,
    geometries: aligned(wasm._malloc(MOST_PIECES * GEOMETRY_BYTES + ALIGNMENT) >>> 0),
    pieces(whole, step, work) {
      const most = others === undefined ? 1 : Math.min(MOST_PIECES, 2 * threads, work / leastWork);
      return most < 2 ? [{ first: 0, count: whole }] : cut(whole, step, Math.floor(most));
    },
    all(name, calls, workBytes = 0) {
      const each = aligned(workBytes);
      if (others !== undefined && calls.length > 1)
        return others.all(name, calls, each === 0 ? 0 : scratch(threads * each), each);
      for (const numbers of calls as readonly number[][]) {
        if (each > 0) numbers[numbers.length - 1] = scratch(each);
        kernels[name]!(...numbers);
      }
    },
    stop: () => others?.stop(),
  };
}

/** At most `most` pieces of about the same size. */
function cut(whole: number, step: number, most: number): Piece[] {
  const steps = Math.ceil(whole / step);
  const pieces = Math.max(1, Math.min(most, steps));
  const places = Array.from({ length: pieces + 1 }, (_, i) => Math.min(whole, Math.round((i * steps) / pieces) * step));
  return places.slice(1).map((end, i) => ({ first: places[i]!, count: end - places[i]! }));
}
