import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { readKernels } from '../../src/kernels/file.js';
import { installKernels } from '../../src/kernels/install.js';
import { startBackends } from './cases.js';

/** Ids of the sections of a WebAssembly binary, in order (core specification 5.5.2). */
function sections(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < bytes.length;) {
    ids.push(bytes[at++]!);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      size += (byte & 127) << shift;
      if (byte < 128) break;
    }
    at += size;
  }
  return ids;
}
const MEMORY = 5;
const START = 8;
const DATA = 11;

describe('kernels.wasm', () => {
  const bytes = readKernels();

  test('brings no memory, no data and no start function: it lives in the memory of tfjs', () => {
    expect(sections(bytes).filter((id) => [MEMORY, START, DATA].includes(id))).toEqual([]);
  });

  test('asks for that memory alone', () => {
    const { Module } = (globalThis as unknown as { WebAssembly: { Module: ModuleReader } }).WebAssembly;
    expect(Module.imports(new Module(bytes))).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
  });

  test('is smaller than 64 KB', () => {
    expect(bytes.length).toBeLessThan(64_000);
  });

  test('uses no relaxed SIMD, whose results depend on the processor', () => {
    // Relaxed instructions are the prefix 0xfd and a LEB128 number from 0x100 to 0x114: 0x80 to 0x94, then 0x02.
    const relaxed = [...bytes].findIndex(
      (byte, i) => byte === 0xfd && bytes[i + 1]! >= 0x80 && bytes[i + 1]! <= 0x94 && bytes[i + 2] === 0x02,
    );
    expect(relaxed).toBe(-1);
  });
});
interface ModuleReader {
  new (bytes: Uint8Array): object;
  imports(module: object): object[];
}

describe('installed kernels', () => {
  beforeAll(startBackends);

  test('refuse another backend', async () => {
    await tf.setBackend('cpu');
    await expect(installKernels(readKernels())).rejects.toThrow('the current backend is cpu, not wasm');
    await tf.setBackend('wasm');
  });

  test('stay as they are at a second call', async () => {
    const before = tf.getKernel('BatchMatMul', 'wasm');
    await installKernels(readKernels());
    expect(tf.getKernel('BatchMatMul', 'wasm')).toBe(before);
  });

  test('leak nothing over a thousand steps of training with gradients', () => {
    const from = tf.randomNormal([32, 20], 0, 1, 'float32', 1);
    const layer = tf.variable(tf.randomNormal([20, 7], 0, 1, 'float32', 2));
    const optimizer = tf.train.adam(0.01);
    const step = (): void => {
      optimizer.minimize(() => tf.mean<tf.Scalar>(tf.square(tf.relu(tf.matMul(from, layer)))));
    };
    const heap = (): number => (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length;
    for (let i = 0; i < 5; i++) step();
    const before = { ...tf.memory(), heap: heap() };
    for (let i = 0; i < 1000; i++) step();
    expect({ ...tf.memory(), heap: heap() }).toEqual(before);
  });
});
