import * as tf from '@tensorflow/tfjs-core';
import { adamKernels } from './adam.js';
import { guardAllocation, type WasmBackend } from './backend.js';
import { convKernels } from './conv.js';
import { copyKernels } from './copy.js';
import { matmulKernels } from './matmul.js';
import { loadModule } from './module.js';
import { poolKernels } from './pool.js';
import { reduceKernels } from './reduce.js';
import { segmentKernels } from './segment.js';
import { unaryKernels } from './unary.js';

const installed = new WeakSet<object>();

/**
 * Puts our kernels in the place of those of the current backend, which must be tfjs-backend-wasm 4.22 with SIMD and
 * without threads. Everything that runs through TensorFlow.js uses them from then on. A second call changes nothing.
 *
 * @param bytes  kernels.wasm (`readKernels` in Node)
 */
export async function installKernels(bytes: Uint8Array): Promise<void> {
  if (tf.getBackend() !== 'wasm') throw new Error(`the current backend is ${tf.getBackend()}, not wasm`);
  const backend = tf.backend() as WasmBackend;
  if (installed.has(backend)) return;
  guardAllocation(backend.wasm);
  const module = await loadModule(backend, bytes);
  const makers = [
    matmulKernels,
    convKernels,
    poolKernels,
    segmentKernels,
    copyKernels,
    unaryKernels,
    reduceKernels,
    adamKernels,
  ];
  const kernels = makers.flatMap((make) => make(module));
  for (const { kernelName, kernelFunc } of kernels) {
    if (tf.getKernel(kernelName, 'wasm')) tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc });
  }
  installed.add(backend);
}
