import { parentPort, workerData } from 'node:worker_threads';
import { kernelNames, queueIn, serve, type Buffers, type Kernel } from './queue.js';

/** A thread that helps with kernels: our module once more, on the same memory. It ends when it is terminated. */
export interface ThreadStart {
  readonly module: object;
  readonly memory: object;
  readonly buffers: Buffers;
  /** From 1; 0 is the one that offers. */
  readonly thread: number;
}

declare const WebAssembly: { Instance: new (module: object, imports: object) => { readonly exports: object } };

const { module, memory, buffers, thread } = workerData as ThreadStart;
const { exports } = new WebAssembly.Instance(module, { env: { memory } });
const kernels = kernelNames(exports).map((name) => (exports as Record<string, Kernel>)[name]!);
parentPort!.postMessage('started');
serve(queueIn(buffers), kernels, thread);
