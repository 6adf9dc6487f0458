import * as tf from '@tensorflow/tfjs-core';
import type { DataId } from '@tensorflow/tfjs-core';
import type { WasmBackend } from './backend.js';

/**
 * From now on a kernel of this backend, ours or stock, that throws (out of memory, mostly) leaves nothing behind: what it made so
 * far is freed, what it holds of its inputs given back. tfjs knows of outputs alone, and of those only when all are there.
 */
export function giveBackOnFailure(backend: WasmBackend): void {
  const ids: DataId[] = [];
  const changes: number[] = [];
  let depth = 0;
  const note = (dataId: DataId, change: number): void => {
    if (depth === 0) return;
    ids.push(dataId);
    changes.push(change);
  };
  const { dataIdMap } = backend;
  const set = dataIdMap.set.bind(dataIdMap);
  const incRef = backend.incRef.bind(backend);
  const dispose = backend.disposeData.bind(backend);
  dataIdMap.set = (dataId, entry) => {
    set(dataId, entry);
    note(dataId, 1);
  };
  backend.incRef = (dataId) => {
    incRef(dataId);
    note(dataId, 1);
  };
  backend.disposeData = (dataId, force) => {
    note(dataId, force ? -Infinity : -1);
    return dispose(dataId, force);
  };
  const giveBack = (): void => {
    const held = new Map<DataId, number>();
    for (const [i, dataId] of ids.entries()) held.set(dataId, (held.get(dataId) ?? 0) + changes[i]!);
    for (const [dataId, count] of held) for (let i = 0; i < count; i++) dispose(dataId);
  };
  for (const config of tf.getKernelsForBackend('wasm')) {
    const { kernelName, kernelFunc } = config;
    const run: tf.KernelFunc = (call) => {
      depth += 1; // kernels call others
      try {
        return kernelFunc(call);
      } catch (error) {
        if (depth === 1) giveBack();
        throw error;
      } finally {
        depth -= 1;
        if (depth === 0) ids.length = changes.length = 0;
      }
    };
    tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({ ...config, kernelFunc: run });
  }
}
