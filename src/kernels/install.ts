import * as tf from '@tensorflow/tfjs-core';
import { adamKernels } from './adam.js';
import { attentionKernels } from './attention.js';
import { guardAllocation, isShared, type WasmBackend } from './backend.js';
import { binaryKernels } from './binary.js';
import { convKernels } from './conv.js';
import { copyKernels } from './copy.js';
import { giveBackOnFailure } from './failure.js';
import { refuseSecondDerivatives, type Kernel } from './kernel.js';
import { matmulKernels } from './matmul.js';
import { geluKernels, registerReluGradient } from './gelu.js';
import { lstmKernels, registerLstmGradient } from './lstm.js';
import { loadModule, type Module } from './module.js';
import { normKernels } from './norm.js';
import { poolKernels } from './pool.js';
import { reduceKernels } from './reduce.js';
import { segmentKernels } from './segment.js';
import { registerSoftmaxGradients, softmaxKernels } from './softmax.js';
import { unaryKernels } from './unary.js';

export interface Options {
  /** Default 1. With more the backend must be that of `useSharedMemory`; the bits stay the same. */
  readonly threads?: number;
  /** Multiplications for which a kernel wakes another thread; default 400,000. */
  readonly leastWork?: number;
}

const installed = new WeakSet<object>();

/**
 * Puts our kernels in the place of those of the current backend, which must be tfjs-backend-wasm 4.22 with SIMD,
 * not its threaded build. Everything that runs through TensorFlow.js uses them from then on. A second call changes nothing.
 *
 * @param bytes  kernels.wasm (`readKernels` in Node)
 */
export async function installKernels(bytes: Uint8Array, options: Options = {}): Promise<void> {
  if (tf.getBackend() !== 'wasm') throw new Error(`the current backend is ${tf.getBackend()}, not wasm`);
  const backend = tf.backend() as WasmBackend;
  if (installed.has(backend)) return;
  const { threads = 1, leastWork } = options;
  if (threads > 1 && !isShared(backend)) throw new Error('threads need shared memory: call useSharedMemory first');
  guardAllocation(backend.wasm);
  const module = await loadModule(backend, bytes, threads, leastWork);
  registerKernels(makeKernels(module));
  giveBackOnFailure(backend);
  const dispose = backend.dispose.bind(backend);
  backend.dispose = () => {
    module.stop();
    dispose();
  };
  installed.add(backend);
}

/** All of ours, over that module; before any of them is registered, because some call the stock one. */
export function makeKernels(module: Module): Kernel[] {
  const makers = [
    matmulKernels,
    convKernels,
    poolKernels,
    segmentKernels,
    copyKernels,
    unaryKernels,
    binaryKernels,
    reduceKernels,
    adamKernels,
    softmaxKernels,
    normKernels,
    geluKernels,
    attentionKernels,
    lstmKernels,
  ];
  return makers.flatMap((make) => make(module));
}

/** In the place of those with these names, and with the gradients that belong to them. */
export function registerKernels(kernels: readonly Kernel[]): void {
  for (const { kernelName, kernelFunc } of kernels) {
    if (tf.getKernel(kernelName, 'wasm')) tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc });
  }
  for (const register of [registerSoftmaxGradients, registerReluGradient, registerLstmGradient]) register();
  refuseSecondDerivatives({
    ...{ AttentionGrad: 'attention', SelfAttentionGrad: 'selfAttention', LayerNormGrad: 'layerNorm' },
    ...{ GeluGrad: 'gelu', BiasedGeluGrad: 'gelu', LstmGrad: 'lstm' },
    FusedAdamStep: 'a step of Adam',
  });
}
