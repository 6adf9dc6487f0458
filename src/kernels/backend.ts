import type { DataId, DataType, KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';

/** What is used of tfjs-backend-wasm 4.22: its memory, its allocator, and its book of tensors. */
export interface WasmBackend extends KernelBackend {
  readonly wasm: WasmModule;
  readonly dataIdMap: { get(dataId: DataId): Entry; set(dataId: DataId, entry: Entry): void };
  makeOutput(shape: readonly number[], dtype: DataType): TensorInfo;
}
interface Entry {
  readonly memoryOffset: number;
  readonly shape: readonly number[];
  readonly dtype: DataType;
}
export interface WasmModule {
  _malloc(bytes: number): number;
  _free(address: number): void;
  /** Replaced whenever the memory grows. */
  readonly HEAPU8: Uint8Array;
  readonly asm: { readonly memory: { readonly buffer: ArrayBuffer | SharedArrayBuffer } };
}

/** Is its memory one that threads can share? */
export function isShared({ wasm }: WasmBackend): boolean {
  return wasm.asm.memory.buffer instanceof SharedArrayBuffer;
}

/** Byte address of the tensor's first value; it stays where it is as long as the tensor lives. */
export function addressOf(backend: WasmBackend, tensor: TensorInfo): number {
  return backend.dataIdMap.get(tensor.dataId).memoryOffset;
}

export function addressesOf<T extends readonly TensorInfo[]>(
  backend: WasmBackend,
  tensors: readonly [...T],
): { [K in keyof T]: number } {
  return tensors.map((tensor) => addressOf(backend, tensor)) as { [K in keyof T]: number };
}

/** Above this size the heap, which ends at 4 GiB, may not be able to grow for what tfjs asks for by itself. */
const NEARLY_FULL = 3.5 * 2 ** 30;
/** Kept free then for tfjs's own book of tensors and for what its kernels work in: it does not look whether it got it. */
const HEADROOM = 16 * 2 ** 20;

/**
 * With the 4 GiB of wasm used up `malloc` answers 0, and tfjs would write there: from now on it throws instead. Memory
 * that was given back is used again, but never returned to the system.
 */
export function guardAllocation(wasm: WasmModule): void {
  wasm._free(wasm._malloc(16)); // emscripten replaces its stub at the first call
  const malloc = wasm._malloc.bind(wasm);
  wasm._malloc = (bytes) => {
    const address = malloc(bytes);
    if (wasm.HEAPU8.length >= NEARLY_FULL) {
      const spare = malloc(HEADROOM);
      if (spare !== 0) wasm._free(spare);
      else if (address !== 0) wasm._free(address);
      if (spare === 0) throw refused(wasm, bytes);
    }
    if (address === 0 && bytes > 0) throw refused(wasm, bytes);
    return address;
  };
}

function refused({ HEAPU8 }: WasmModule, bytes: number): Error {
  const taken = `${Math.round(HEAPU8.length / 2 ** 20)} of 4096 MiB are taken`;
  return new Error(
    `out of WebAssembly memory: ${bytes} bytes were refused, ${taken}; try smaller batches or a smaller model`,
  );
}
