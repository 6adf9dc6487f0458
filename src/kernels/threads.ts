import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { kernelNames, makeBuffers, offer, queueIn, takeCalls, waitForCalls, type Kernel } from './queue.js';
import type { ThreadStart } from './thread.js';

/** Threads that help this one with kernels, on the same memory. */
export interface Others {
  /** Makes the calls of that function together with this thread, and waits for all. @throws Error as one of them did */
  all(name: string, calls: readonly (readonly number[])[], work: number, workBytes: number): void;
  stop(): void;
}

/** A call of a kernel takes seconds at most; a thread of a machine that was asleep did not run meanwhile. */
const PATIENCE_MS = 60_000;

/**
 * They do not keep the process alive, and sleep while nothing is offered.
 *
 * @param exports  of this thread's instance of `module`
 * @throws         what a thread throws that cannot start
 */
export async function startThreads(count: number, module: object, memory: object, exports: object): Promise<Others> {
  const buffers = makeBuffers();
  const queue = queueIn(buffers);
  const names = kernelNames(exports);
  const kernels = names.map((name) => (exports as Record<string, Kernel>)[name]!);
  const workers: Worker[] = [];
  let isLost = false;
  const stop = (): void => {
    for (const worker of workers) void worker.terminate();
  };
  try {
    for (let thread = 1; thread <= count; thread++) {
      const workerData: ThreadStart = { module, memory, buffers, thread };
      const worker = new Worker(compiledThread(), { workerData, execArgv: [], env: {} });
      workers.push(worker);
      await started(worker);
      worker.unref();
    }
  } catch (error) {
    stop();
    throw error;
  }
  return {
    all(name, calls, work, workBytes) {
      if (isLost) throw new Error('a kernel thread did not answer, so none is asked again');
      offer(queue, { kernel: names.indexOf(name), calls, work, workBytes });
      takeCalls(queue, kernels, 0);
      if (waitForCalls(queue, PATIENCE_MS)) return;
      isLost = true;
      stop();
      throw new Error(`a kernel thread did nothing for ${PATIENCE_MS} ms: was it stopped?`);
    },
    stop,
  };
}

function started(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('a kernel thread ended before it began')));
  });
}

/** thread.js beside this file, or in dist when this one runs from TypeScript. */
function compiledThread(): string {
  for (const place of ['./thread.js', '../../dist/kernels/thread.js']) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new Error('dist/kernels/thread.js is missing: npm run build');
}
