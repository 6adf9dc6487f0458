import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, test } from 'vitest';
import type { WasmBackend } from '../../src/kernels/backend.js';
import { startBackends } from './cases.js';
import { everyKernel, type KernelCall } from './every-kernel.js';

beforeAll(startBackends);

const backend = (): WasmBackend => tf.backend() as unknown as WasmBackend;
/** Of `Draw`, which wants a canvas, there is nothing to see in Node.js. */
const without = new Set(['Draw']);
/** Give their input another name or shape, or answer words. */
const takesNothing = new Set(['Identity', 'Reshape', 'ExpandDims', 'StaticRegexReplace']);
/** Stock kernels that take memory in C++, where the guard keeps some free, and lose the sign of addresses above 2 GiB. */
const isInner = (name: string): boolean => name.startsWith('NonMaxSuppression');

test('there is a call of every kernel of the registry', () => {
  const names = tf.getKernelsForBackend('wasm').map(({ kernelName }) => kernelName);
  expect(names.filter((name) => !without.has(name)).sort()).toEqual(Object.keys(everyKernel).sort());
});

interface Outcome {
  readonly values?: readonly unknown[];
  readonly error?: string;
}

function run(kernelName: string, { inputs, attrs = {} }: KernelCall): Outcome {
  let outs: tf.Tensor[] = [];
  try {
    outs = [tf.engine().runKernel<tf.Tensor>(kernelName, inputs as tf.NamedTensorMap, attrs as tf.NamedAttrMap)].flat();
    return { values: outs.map((tensor) => [tensor.shape, tensor.dtype, [...tensor.dataSync()]]) };
  } catch (error) {
    return { error: String(error) };
  } finally {
    tf.dispose(outs);
  }
}

function seen(): object {
  return { ...tf.memory(), ids: ['wasm', 'cpu'].map((name) => tf.findBackend(name).numDataIds()) };
}

/** Counts blocks of wasm's memory, and refuses all but the first `left` that are asked for. */
class Allocator {
  left = Infinity;
  blocks = 0;
  private readonly wasm = backend().wasm;
  private readonly malloc = this.wasm._malloc.bind(this.wasm);
  private readonly free = this.wasm._free.bind(this.wasm);

  constructor() {
    Object.assign(this.wasm, {
      _malloc: (bytes: number) => {
        this.left -= 1;
        if (this.left < 0) throw new Error('refused here');
        this.blocks += 1;
        const address = this.malloc(bytes);
        // No kernel may count on what it finds there: not a number, as float32.
        this.wasm.HEAPU8.fill(0xff, address >>> 0, (address >>> 0) + bytes);
        return address;
      },
      _free: (address: number | null) => {
        if (address) this.blocks -= 1;
        this.free(address ?? 0);
      },
    });
  }

  end(): void {
    Object.assign(this.wasm, { _malloc: this.malloc, _free: this.free });
  }
}

let allocator: Allocator | undefined;
afterEach(() => {
  allocator?.end();
  allocator = undefined;
});

test.each(Object.entries(everyKernel))('%s: memory may end at any place, and nothing is left behind', (name, make) => {
  tf.engine().startScope();
  const call = make();
  const wanted = run(name, call);
  expect(wanted.error).toBeUndefined();
  const before = seen();
  allocator = new Allocator();
  const failures: Outcome[] = [];
  for (;;) {
    const held = allocator.blocks;
    allocator.left = failures.length;
    const outcome = run(name, call);
    expect(seen()).toEqual(before);
    if (outcome.error === undefined) {
      expect(outcome).toEqual(wanted);
      break;
    }
    expect(allocator.blocks).toBe(held);
    failures.push(outcome);
  }
  expect(failures).toEqual(failures.map(() => ({ error: 'Error: refused here' })));
  expect(failures.length > 0).toBe(!takesNothing.has(name) && !isInner(name));
  tf.engine().endScope();
});

test('memory to work in may be refused too', () => {
  // More of it than any kernel had before.
  const of = (...shape: number[]): tf.Tensor => tf.ones(shape);
  const call = { inputs: { dy: of(1, 500_000), x: of(1, 500_000), gamma: of(500_000), kept: of(1, 4) } };
  const before = seen();
  allocator = new Allocator();
  for (const left of [0, 1, 2, 3]) {
    allocator.left = left;
    expect(run('LayerNormGrad', call)).toEqual({ error: 'Error: refused here' });
    expect([allocator.blocks, seen()]).toEqual([0, before]);
  }
  allocator.left = Infinity;
  expect(run('LayerNormGrad', call).values).toHaveLength(3);
  expect(seen()).toEqual(before);
  tf.dispose(Object.values(call.inputs));
});

test('with 4 GiB used up every kernel says so; what was computed before stays right, and works again with room', () => {
  const { wasm } = backend();
  tf.engine().startScope();
  const makeAll = () => Object.entries(everyKernel).map(([name, make]) => [name, make()] as const);
  const calls = makeAll();
  const wanted = calls.map(([name, call]) => run(name, call));
  const held = tf.matMul(tf.ones([300, 300]), tf.ones([300, 300]));
  const blocks: number[] = [];
  // Reserved, never touched: the pages stay virtual.
  for (let size = 2 ** 30; size >= 1; size /= 2)
    try {
      for (;;) blocks.push(wasm._malloc(size) >>> 0);
    } catch {
      continue;
    }
  const before = seen();
  const told =
    /^Error: out of WebAssembly memory: \d+ bytes were refused, 4096 of 4096 MiB are taken; try smaller batches/;
  for (const [i, [name, call]] of calls.entries()) {
    const outcome = run(name, call);
    if (takesNothing.has(name)) expect(outcome, name).toEqual(wanted[i]);
    else expect(outcome.error, name).toMatch(isInner(name) ? /^RangeError: Start offset -/ : told);
  }
  expect(seen()).toEqual(before);
  expect(held.dataSync().every((value) => value === 300)).toBe(true);
  const HALF = 2 ** 31;
  for (const block of blocks) if (block >= HALF) wasm._free(block);
  for (const [i, [name, call]] of makeAll().entries())
    if (!isInner(name)) expect(run(name, call), `${name} above 2 GiB`).toEqual(wanted[i]);
  for (const block of blocks) if (block < HALF) wasm._free(block);
  for (const [i, [name, call]] of calls.entries()) expect(run(name, call), name).toEqual(wanted[i]);
  tf.engine().endScope();
});
