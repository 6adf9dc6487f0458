import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { loadRung } from '../../src/training/tfjs-rungs.js';
import { memoryGuard, threadBytes } from '../../src/training/worker-memory.js';

test('the memory of WebAssembly counts', async () => {
  await loadRung('wasm');
  const guard = memoryGuard(threadBytes, 100_000_000);
  const before = process.memoryUsage().arrayBuffers;
  const tensor = tf.fill([32_000_000], 1);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000_000);
  expect(guard).toThrow('the training uses more memory than the limit');
  tensor.dispose();
});
