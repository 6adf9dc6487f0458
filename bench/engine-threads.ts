import '@tensorflow/tfjs-backend-wasm';
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { readKernels } from '../src/kernels/file.js';
import { installKernels } from '../src/kernels/install.js';
import { useSharedMemory } from '../src/kernels/memory.js';
import { examplesIn, models } from './engine-models.js';

/**
 * What a second kernel thread is worth to nmkt's char-GPT: by the clock, because processor time would count both. Each number
 * of threads in a process of its own, in turns; only a machine without other work shows the whole of it.
 */
const MODEL = models.find(({ name }) => name.startsWith('nmkt'))!;
const ROUNDS = 3;

/** Tokens a second on one and on two threads, or why not. */
export function threadRates(): { readonly one: number; readonly two: number } | string {
  if (availableParallelism() < 2) return 'SKIP one processor core';
  const best = [0, 0];
  for (let round = 0; round < ROUNDS; round++)
    for (const i of [0, 1]) {
      const script = fileURLToPath(import.meta.url);
      const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, String(i + 1)], {
        encoding: 'utf8',
      });
      const rate = Number(/rate (\S+)/.exec(stdout)?.[1]);
      if (!(rate > 0)) throw new Error(`no rate on ${i + 1} threads: ${stderr}`);
      best[i] = Math.max(best[i]!, rate);
    }
  return { one: best[0]!, two: best[1]! };
}

async function measure(threads: number): Promise<void> {
  await useSharedMemory();
  await installKernels(readKernels(), { threads });
  const { step } = MODEL.start(MODEL.batch);
  for (let i = 0; i < 10; i++) step();
  let best = Infinity;
  for (let i = 0; i < 10; i++) {
    const begin = performance.now();
    step();
    best = Math.min(best, performance.now() - begin);
  }
  console.log(`rate ${(1000 * examplesIn(MODEL, MODEL.batch)) / best}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await measure(Number(process.argv[2]));
