import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import type { WasmBackend } from '../../src/kernels/backend.js';
import { startBackends } from './cases.js';

beforeAll(startBackends);

test('memory that is used up is an error, and what was computed before stays right', () => {
  const backend = tf.backend() as unknown as WasmBackend;
  const [a, b] = [tf.ones<tf.Rank.R2>([300, 300]), tf.ones<tf.Rank.R2>([300, 300])];
  const before = tf.matMul(a, b);
  const blocks: number[] = [];
  const fill = (): void => {
    // Reserved, never touched: the pages stay virtual.
    for (let size = 2 ** 30; size >= 2 ** 10; size /= 2)
      for (let i = 0; i < 8; i++)
        try {
          blocks.push(backend.wasm._malloc(size) >>> 0);
        } catch {
          break;
        }
  };
  fill();
  expect(() => tf.matMul(a, b)).toThrow(/out of WebAssembly memory: 360000 bytes/);
  expect(before.dataSync().every((value) => value === 300)).toBe(true);
  for (const block of blocks) backend.wasm._free(block);
  const again = tf.matMul(a, b);
  expect(again.dataSync().every((value) => value === 300)).toBe(true);
});
