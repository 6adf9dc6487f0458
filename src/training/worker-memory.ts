import * as tf from '@tensorflow/tfjs-core';
import { NmktError } from '../errors.js';

/**
 * Estimates come before a training; this looks while it runs, so that what was estimated too low ends one job and not the machine's other work.
 *
 * @param measure   bytes in use now
 * @param maxBytes  beyond those in use when the guard was made
 * @returns         throws NmktError `training-failed` when it is more
 */
export function memoryGuard(measure: () => number, maxBytes: number): () => void {
  const idle = measure();
  return () => {
    const used = measure() - idle;
    if (used <= maxBytes) return;
    throw new NmktError('training-failed', 'the training uses more memory than the limit', {
      remedy: 'raise the limit if this machine can bear it, or try a smaller batch or model',
      expected: `at most ${maxBytes} bytes`,
      got: `${used} bytes`,
    });
  };
}

/** Of this thread: arrays, and the memory of WebAssembly, which no figure of Node.js contains. V8 bounds its own heap. */
export function threadBytes(): number {
  const wasm = tf.getBackend() === 'wasm' ? (tf.backend() as unknown as WasmMemory).wasm.HEAPU8.byteLength : 0;
  return process.memoryUsage().arrayBuffers + wasm;
}
interface WasmMemory {
  readonly wasm: { readonly HEAPU8: Uint8Array };
}

/** Of this process: native libraries tell nobody what they take. */
export function processBytes(): number {
  return process.memoryUsage.rss();
}
