import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import type { WasmBackend, WasmModule } from './backend.js';

/**
 * Makes `wasm` a backend whose memory threads can share, and the current one: the very code of the one without, see
 * `withSharedMemory`. Before anything else: tensors of the wasm backend that was there are lost. Node.js only.
 *
 * @throws Error when this host runs no SIMD
 */
export async function useSharedMemory(): Promise<void> {
  const require = createRequire(import.meta.url);
  const { BackendWasm } = await import('@tensorflow/tfjs-backend-wasm');
  if (!(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'))) throw new Error('this host runs WebAssembly without SIMD');
  const binary = readFileSync(require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm'));
  const start = require('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js') as Factory;
  const wasm = await start({ wasmBinary: withSharedMemory(binary) });
  // As `init` of tfjs-backend-wasm 4.22 (backend_wasm.ts) does.
  const tfjs = {
    init: wasm.cwrap('init', null, []),
    initWithThreadsCount: wasm.cwrap('init_with_threads_count', null, ['number']),
    getThreadsCount: wasm.cwrap('get_threads_count', 'number', []),
    registerTensor: wasm.cwrap('register_tensor', null, ['number', 'number', 'number']),
    disposeData: wasm.cwrap('dispose_data', null, ['number']),
    dispose: wasm.cwrap('dispose', null, []),
  };
  const backend = new BackendWasm(Object.assign(wasm, { tfjs }) as never) as unknown as WasmBackend;
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => backend, 2);
  await tf.setBackend('wasm');
}

/** What emscripten made of tfjs's C++. */
type Factory = (options: { wasmBinary: Uint8Array }) => Promise<Emscripten>;
interface Emscripten extends WasmModule {
  cwrap(name: string, returns: 'number' | null, takes: readonly 'number'[]): (...numbers: number[]) => unknown;
}

const IMPORTS = 2;
const MEMORIES = 5;
/** Flags of a memory's limits: it has a maximum; it is shared (threads proposal, section "Memory Types"). */
const BOUNDED = 1;
const SHARED = 3;

/**
 * The same module with its memory, its own or its only import, said to be shared: one byte is another one. Every
 * instruction is the same, and so is every result.
 *
 * @throws Error when that memory has no maximum, which a shared one needs
 */
export function withSharedMemory(module: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(module);
  let at = 8;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const flagAt = (section: number): number | undefined => {
    if (number() !== 1) return undefined;
    if (section === MEMORIES) return at;
    for (let names = 0; names < 2; names++) {
      const length = number();
      at += length;
    }
    const isMemory = bytes[at] === 2;
    return isMemory ? at + 1 : undefined;
  };
  while (at < bytes.length) {
    const section = number();
    const end = number() + at;
    const flag = section === IMPORTS || section === MEMORIES ? flagAt(section) : undefined;
    if (flag !== undefined) {
      if (bytes[flag] !== BOUNDED) throw new Error(`a memory with flags ${bytes[flag]} cannot be shared`);
      bytes[flag] = SHARED;
      return bytes;
    }
    at = end;
  }
  throw new Error('no memory to share in this module');
}
