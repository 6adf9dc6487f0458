import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { attention } from '../../src/kernels/attention.js';
import type { WasmBackend } from '../../src/kernels/backend.js';
import { gelu } from '../../src/kernels/gelu.js';
import { lstm } from '../../src/kernels/lstm.js';
import { layerNorm } from '../../src/kernels/norm.js';
import { startBackends } from './cases.js';

beforeAll(startBackends);

test('memory that is used up is an error, and what was computed before stays right', () => {
  const backend = tf.backend() as unknown as WasmBackend;
  const [a, b] = [tf.ones<tf.Rank.R2>([300, 300]), tf.ones<tf.Rank.R2>([300, 300])];
  const before = tf.matMul(a, b);
  const [row, four] = [tf.ones<tf.Rank.R1>([300]), tf.ones<tf.Rank.R4>([1, 30, 100, 30])];
  const cell = { kernel: tf.ones<tf.Rank.R2>([300, 4]), recurrentKernel: tf.ones<tf.Rank.R2>([1, 4]) };
  const text = tf.ones<tf.Rank.R3>([1, 2000, 300]);
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
  expect(() => layerNorm(a, row, row)).toThrow(/out of WebAssembly memory/);
  expect(() => gelu(a)).toThrow(/out of WebAssembly memory/);
  expect(() => attention(four, four, four)).toThrow(/out of WebAssembly memory/);
  expect(() => lstm(text, cell)).toThrow(/out of WebAssembly memory/);
  expect(before.dataSync().every((value) => value === 300)).toBe(true);
  for (const block of blocks) backend.wasm._free(block);
  const again = tf.matMul(a, b);
  expect(again.dataSync().every((value) => value === 300)).toBe(true);
});
