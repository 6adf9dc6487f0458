import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { sha256Hex } from '../hash.js';
import { readKernels } from '../kernels/file.js';
import { installKernels } from '../kernels/install.js';
import { useSharedMemory } from '../kernels/memory.js';
import type { EngineId, Rung } from '../learning/types.js';
import { findPackages } from './optional-packages.js';
import { loadWebgpu } from './tfjs-webgpu.js';
import { TRAINING_REVISION } from './training-revision.js';

/** Loads one backend of TensorFlow.js into this thread. Only the training worker and the probe import this file. */

const require = createRequire(import.meta.url);

export interface EnginePlace {
  /** Where optional packages may lie besides those of nmkt. */
  readonly folder?: string | undefined;
  /** Lets `webgpu` run on an adapter that computes on the processor, to try the code where there is no GPU. */
  readonly isSoftwareFine?: boolean | undefined;
  /** Processors that the kernels of `wasm` take; default 1. Neither the bits nor the id depend on it. */
  readonly threads?: number | undefined;
}

/**
 * After it, tensors of this thread live on the rung.
 *
 * @returns  `rung/hash/4.22.0/x64`: the hash is over what decides the bits besides the CPU class
 * @throws   whatever the backend throws, or an Error that says what is missing
 */
export async function loadRung(rung: Rung, place: EnginePlace = {}): Promise<EngineId> {
  const modules = await loaders[rung](place);
  const hash = sha256Hex(`nmkt training ${TRAINING_REVISION}\n`, ...modules).slice(0, 8);
  return `${rung}/${hash}/${tf.version_core}/${process.arch}` as EngineId;
}

/** Each answers the bytes that name what computes: the wasm binaries, or versions where there is no one file. */
const loaders: Record<Rung, (place: EnginePlace) => Promise<readonly (Uint8Array | string)[]>> = {
  node: loadNode,
  webgpu: ({ folder, isSoftwareFine = false }) => loadWebgpu(folder, isSoftwareFine),
  wasm: loadWasm,
  cpu: loadCpu,
};

async function loadNode({ folder }: EnginePlace): Promise<string[]> {
  // tfjs-node 4.22 calls util.isNullOrUndefined, which Node 23 removed (tensorflow/tfjs#8609).
  const util = require('node:util') as { isNullOrUndefined?: (value: unknown) => boolean };
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
  const [found] = findPackages('node', folder);
  const node = require(found!.path) as { version: Record<string, string> };
  await use('tensorflow');
  return [`tfjs-node ${JSON.stringify(node.version)}`];
}

async function loadWasm({ threads = 1 }: EnginePlace): Promise<Uint8Array[]> {
  await import('@tensorflow/tfjs-backend-wasm');
  if (threads > 1) await useSharedMemory();
  else await use('wasm');
  if (!(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'))) throw new Error('this Node runs WebAssembly without SIMD');
  const kernels = readKernels();
  await installKernels(kernels, { threads });
  const { installNet } = await import('../kernels/net.js');
  installNet();
  return [readFileSync(require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm')), kernels];
}

async function loadCpu(): Promise<string[]> {
  await import('@tensorflow/tfjs-backend-cpu');
  await use('cpu');
  return [`tfjs-backend-cpu ${tf.version_core} v8 ${process.versions.v8}`];
}

/** `setBackend` answers false after a failed start, and `getBackend` names the backend all the same. */
async function use(backend: string): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error(`the ${backend} backend did not start`);
  await tf.ready();
}
