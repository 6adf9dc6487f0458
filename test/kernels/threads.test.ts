import { execFileSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { WasmBackend } from '../../src/kernels/backend.js';
import { readKernels } from '../../src/kernels/file.js';
import { installKernels, makeKernels, registerKernels } from '../../src/kernels/install.js';
import type { Kernel } from '../../src/kernels/kernel.js';
import { useSharedMemory, withSharedMemory } from '../../src/kernels/memory.js';
import { loadModule, type Module } from '../../src/kernels/module.js';
import { kernelNames, makeBuffers, offer, queueIn, takeCalls, waitForCalls } from '../../src/kernels/queue.js';
import type { ThreadStart } from '../../src/kernels/thread.js';
import { computeAll, draw, type Inputs, type Values } from './cases.js';
import { hashOf, networks, STEPS, train } from './networks.js';

let one: Kernel[];
let three: Kernel[];
let threaded: Module;
let stop: () => void;

beforeAll(async () => {
  await useSharedMemory();
  const backend = tf.backend() as unknown as WasmBackend;
  const bytes = readKernels();
  one = makeKernels(await loadModule(backend, bytes));
  threaded = await loadModule(backend, bytes, 3, 1); // every kernel in as many pieces as can be
  three = makeKernels(threaded);
  stop = () => threaded.stop();
});
beforeEach(() => registerKernels(three));
afterAll(() => stop());

/** Does that kernel make the same bits on one thread and on three? */
function agree(name: string, inputs: Inputs, attrs: object = {}): void {
  registerKernels(one);
  const wanted = computeAll('wasm', name, inputs, attrs);
  registerKernels(three);
  const got = computeAll('wasm', name, inputs, attrs);
  for (const [i, { data }] of wanted.entries())
    expect(Buffer.from(got[i]!.data.buffer).equals(Buffer.from(data.buffer)), `${name} ${JSON.stringify(attrs)}`).toBe(
      true,
    );
}

describe('three threads', () => {
  test.each(networks)('train $name to the same bits as one', (network) => {
    registerKernels(one);
    const wanted = hashOf(train(network, STEPS / 5));
    registerKernels(three);
    expect(hashOf(train(network, STEPS / 5))).toBe(wanted);
  });

  test('make the same bits as one in every product', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { int, pick, floats } = draw(seed);
      const [m, k, n] = [int(1, 70), pick([0, 1, 7, 255, 256, 600]), int(1, 70)];
      const [transposeA, transposeB] = [pick([false, true]), pick([false, true])];
      const [outerA, outerB] = pick([
        [[], []],
        [[13], [13]],
        [
          [3, 2],
          [3, 2],
        ],
        [[5], [1]],
        [[1], [9]],
        [
          [3, 1],
          [1, 2],
        ],
      ] as const);
      agree(
        'BatchMatMul',
        {
          a: floats([...outerA, ...(transposeA ? [k, m] : [m, k])], true),
          b: floats([...outerB, ...(transposeB ? [n, k] : [k, n])], true),
        },
        { transposeA, transposeB },
      );
    }
  });

  test('make the same bits as one in convolutions, pooling and their gradients', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const { int, pick, floats } = draw(seed);
      const [batch, height, width, channels, maps] = [int(1, 9), int(5, 20), int(5, 20), int(1, 5), int(1, 9)] as const;
      // 3 x 1: the middle row alone would be a filter of 1 x 1, which is added up in another order.
      const [rows, columns] = pick([
        [1, 1],
        [3, 1],
        [5, 5],
        [2, 3],
      ] as const);
      const strides = pick([1, 2]);
      const pad = pick(['same', 'valid'] as const);
      const size = (whole: number, part: number): number =>
        Math.ceil((pad === 'same' ? whole : whole - part + 1) / strides);
      const [outHeight, outWidth] = [size(height, rows), size(width, columns)];
      const x = floats([batch, height, width, channels]);
      const filter = floats([rows, columns, channels, maps]);
      const dy = floats([batch, outHeight, outWidth, maps]);
      const attrs = { strides, pad, dilations: 1, dataFormat: 'NHWC' };
      agree('Conv2D', { x, filter }, attrs);
      agree('Conv2DBackpropFilter', { x, dy }, { ...attrs, filterShape: filter.shape });
      agree('Conv2DBackpropInput', { dy, filter }, { ...attrs, inputShape: x.shape });
      const wide = floats([batch, outHeight, outWidth, channels * 2]);
      const thin = floats([rows, columns, channels, 2]);
      agree('DepthwiseConv2dNativeBackpropFilter', { x, dy: wide }, { ...attrs, filterShape: thin.shape });
      agree('DepthwiseConv2dNativeBackpropInput', { dy: wide, filter: thin }, { ...attrs, inputShape: x.shape });
      const pooled = floats([batch, outHeight, outWidth, channels]);
      const pooling = { filterSize: [rows, columns], strides, pad };
      agree('MaxPoolGrad', { dy: pooled, input: x, output: pooled }, pooling);
      agree('AvgPoolGrad', { dy: pooled, input: x }, pooling);
    }
  });

  test('make the same bits as one value by value, in sums and in Adam', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const { int, pick, floats } = draw(seed);
      const x = floats([int(1, 40), int(1, 40)], true);
      for (const name of ['Exp', 'Log', 'Tanh', 'Sigmoid']) agree(name, { x });
      agree('Softmax', { logits: x }, { dim: -1 });
      for (const axis of [0, 1, [0, 1]]) agree(pick(['Sum', 'Mean']), { x }, { axis, keepDims: false });
      const [w, g, m, v] = Array.from({ length: 4 }, () => floats(x.shape)) as [typeof x, typeof x, typeof x, typeof x];
      const square = { ...v, data: v.data.map(Math.abs) };
      registerKernels(one);
      const step = { beta1: 0.9, beta2: 0.999, rate: 0.1, scale: 2, epsilon: 1e-7, keep: 0.99 };
      const both = [one, three].map((kernels) => {
        registerKernels(kernels);
        const inputs = Object.entries({ w, g, m, v: square }).map(([name, { shape, data }]) => [
          name,
          tf.tensor(data, [...shape]),
        ]);
        const named = Object.fromEntries(inputs) as unknown as tf.NamedTensorMap;
        const outs = tf.engine().runKernel<tf.Tensor[]>('FusedAdamStep', named, step);
        return hashOf(outs.map((out) => out.dataSync<'float32'>()));
      });
      expect(both[1]).toBe(both[0]);
    }
  });

  test('make the same bits as one in additions, differences and products of values', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { int, pick, floats } = draw(seed);
      const shape = [int(1, 40), int(1, 7), int(1, 90)];
      const b = floats(pick([shape, shape.slice(1), shape.slice(2), []]), true);
      const both = [floats(shape, true), b] as const;
      const [left, right] = pick([both, [b, both[0]] as const]);
      for (const name of ['Add', 'Sub', 'Multiply']) agree(name, { a: left, b: right });
    }
  });

  test('make the same bits as one in kernels of sequences', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const { int, pick, floats } = draw(seed);
      const [rows, width] = [int(1, 40), int(1, 40)];
      const [x, dy] = [floats([rows, width], true), floats([rows, width], true)];
      const exact = pick([true, false]);
      agree('LogSoftmax', { logits: x });
      for (const name of ['SoftmaxGrad', 'LogSoftmaxGrad']) agree(name, { dy, y: x });
      const gamma = floats([width]);
      agree('LayerNorm', { x, gamma, beta: floats([width]) }, { epsilon: 1e-5, keeps: pick([true, false]) });
      agree('LayerNormGrad', { dy, x, gamma, kept: floats([rows, 4]) });
      for (const inputs of [{ x }, { x, bias: floats([width], true) }] as Inputs[])
        agree('Gelu', inputs, { exact, slopes: pick([true, false]) });
      for (const name of ['GeluGrad', 'BiasedGeluGrad']) agree(name, { dy, slopes: x });
      agree('ReluGrad', { dy, x });
      const [heads, t, s, d, e] = [int(1, 9), int(1, 12), int(1, 12), int(1, 9), int(1, 9)];
      const three = { q: floats([heads, t, d]), k: floats([heads, s, d]), v: floats([heads, s, e]) };
      agree('Attention', three, { scale: 0.5, causal: pick([true, false]) });
      agree('AttentionGrad', { ...three, dy: floats([heads, t, e]), weights: floats([heads, t, s]) }, { scale: 0.5 });
      const texts = { texts: int(1, 4), heads, scale: 0.5, causal: pick([true, false]) };
      const [outer, qkv] = [texts.texts * t, floats([texts.texts * t, 3 * heads * d])];
      agree('SelfAttention', { x: qkv }, texts);
      const weights = floats([texts.texts, heads, t, t]);
      agree('SelfAttentionGrad', { dy: floats([outer, heads * d]), x: qkv, weights }, texts);
      const [batch, time, units] = [int(1, 9), int(1, 5), int(1, 17)];
      const state = (): Values => floats([batch, time, units]);
      const before = { recurrent: floats([units, 4 * units]), h0: floats([batch, units]), c0: floats([batch, units]) };
      const gates = floats([batch, time, 4 * units]);
      agree('Lstm', { ...before, sums: gates }, { hard: exact });
      agree('LstmGrad', { ...before, gates, dh: state(), dc: state(), h: state(), c: state() }, { hard: exact });
    }
  });

  test('say so when a kernel fails on any of them, and go on', () => {
    const beyond = 2 ** 31;
    const calls = Array.from({ length: 6 }, () => [beyond, 16, 0, beyond] as [number, number, number, number]);
    expect(() => threaded.all('unary', calls)).toThrow(/memory access out of bounds/);
    agree(
      'BatchMatMul',
      { a: draw(1).floats([50, 50]), b: draw(2).floats([50, 50]) },
      { transposeA: false, transposeB: false },
    );
  });
});

test('without the others a thread makes every call by itself', async () => {
  const module = await loadModule(tf.backend() as unknown as WasmBackend, readKernels(), 2, 1);
  module.stop();
  registerKernels(makeKernels(module));
  const ones = tf.ones<tf.Rank.R2>([64, 64]);
  for (let i = 0; i < 20; i++)
    expect(
      tf
        .matMul(ones, ones)
        .dataSync()
        .every((value) => value === 64),
    ).toBe(true);
});

test('a call that another thread took and never ends is noticed', () => {
  const queue = queueIn(makeBuffers());
  offer(queue, { kernel: 0, calls: [[1], [2]], work: 0, workBytes: 0 });
  Atomics.add(queue.words, 0, 1); // as a thread that takes the first one
  const made: number[] = [];
  takeCalls(queue, [(number) => void made.push(number)], 0);
  expect(made).toEqual([2]);
  expect(waitForCalls(queue, 1)).toBe(false);
});

test('another thread makes calls that this one only offers', async () => {
  const { wasm } = tf.backend() as unknown as WasmBackend;
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: Wasm }).WebAssembly;
  const module = new Module(withSharedMemory(readKernels()));
  const { exports } = new Instance(module, { env: { memory: wasm.asm.memory } });
  const buffers = makeBuffers();
  const workerData: ThreadStart = { module, memory: wasm.asm.memory, buffers, thread: 1 };
  const worker = new Worker(new URL('../../dist/kernels/thread.js', import.meta.url), { workerData, execArgv: [] });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  const address = wasm._malloc(64) >>> 0;
  const values = new Float32Array(wasm.HEAPU8.buffer, address, 16).fill(0);
  const calls = [0, 32].map((bytes) => [address + bytes, 8, 0, address + bytes]); // e^0
  const queue = queueIn(buffers);
  offer(queue, { kernel: kernelNames(exports).indexOf('unary'), calls, work: 0, workBytes: 0 });
  expect(waitForCalls(queue, 30_000)).toBe(true);
  expect([...values]).toEqual(Array.from({ length: 16 }, () => 1));
  await worker.terminate();
});
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
}

test('threads need the shared memory', async () => {
  const script = `
    import '@tensorflow/tfjs-backend-wasm';
    import * as tf from '@tensorflow/tfjs-core';
    import { readKernels } from './dist/kernels/file.js';
    import { installKernels } from './dist/kernels/install.js';
    await tf.setBackend('wasm');
    await installKernels(readKernels(), { threads: 2 }).catch((error) => console.log(error.message));`;
  expect(run(script)).toBe('threads need shared memory: call useSharedMemory first\n');
});

const training = `
  import * as tf from '@tensorflow/tfjs-core';
  import { readKernels } from './dist/kernels/file.js';
  import { installKernels } from './dist/kernels/install.js';
  import { useSharedMemory } from './dist/kernels/memory.js';
  await useSharedMemory();
  await installKernels(readKernels(), { threads: 3, leastWork: 1 });
  const a = tf.ones([100, 100]);`;

test('threads do not keep a process that is done, nor one that disposes of the backend', () => {
  expect(run(`${training} console.log(tf.matMul(a, a).dataSync()[0]);`)).toBe('100\n');
  expect(run(`${training} tf.matMul(a, a); tf.removeBackend('wasm'); console.log('gone');`)).toBe('gone\n');
});

test('a thread that trains can be stopped at any moment, and its kernel threads with it', async () => {
  const script = `${training}
    const { parentPort } = await import('node:worker_threads');
    for (let i = 0; ; i++) { tf.matMul(a, a).dispose(); if (i === 50) parentPort.postMessage('busy'); }`;
  const source = script.replaceAll(/import (.*) from '(.*)';/g, (_, what: string, from: string) => {
    const names = what.replace('* as ', '');
    return `const ${names} = await import('${from.startsWith('.') ? new URL(`../../${from}`, import.meta.url).href : from}');`;
  });
  const worker = new Worker(`(async () => {${source}})()`, { eval: true, execArgv: [] });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  expect(await worker.terminate()).toBe(1);
});

test('one byte of a module says that its memory is shared', () => {
  const bytes = readKernels();
  const shared = withSharedMemory(bytes);
  const different = [...bytes.keys()].filter((i) => bytes[i] !== shared[i]);
  expect(different.map((i) => [bytes[i], shared[i]])).toEqual([[1, 3]]);
  expect(() => withSharedMemory(shared)).toThrow('a memory with flags 3 cannot be shared');
  expect(() => withSharedMemory(bytes.subarray(0, 8))).toThrow('no memory to share');
});

test('a second call of installKernels changes nothing', async () => {
  await installKernels(readKernels(), { threads: 2 });
  const before = tf.getKernel('BatchMatMul', 'wasm');
  await installKernels(readKernels());
  expect(tf.getKernel('BatchMatMul', 'wasm')).toBe(before);
  tf.backend().dispose();
});

function run(script: string): string {
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 60_000,
  });
}
