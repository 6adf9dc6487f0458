import type { backend_util } from '@tensorflow/tfjs-core';
import type { WasmBackend } from './backend.js';
import type { Module } from './module.js';

/** Fields of `asm/geometry.ts`. */
const FIELDS = 15;
/** Bytes at the start of the scratch memory that hold them. */
export const GEOMETRY_BYTES = 64;

/**
 * Makes room for `bytes` to work in besides the geometry, and writes the geometry.
 *
 * @returns  the address of the geometry; the room follows GEOMETRY_BYTES later
 */
export function writeGeometry(module: Module, backend: WasmBackend, info: backend_util.Conv2DInfo, bytes = 0): number {
  const address = module.scratch(GEOMETRY_BYTES + bytes);
  const fields: readonly number[] & { length: typeof FIELDS } = [
    info.batchSize,
    info.inHeight,
    info.inWidth,
    info.inChannels,
    info.outHeight,
    info.outWidth,
    info.outChannels,
    info.filterHeight,
    info.filterWidth,
    info.strideHeight,
    info.strideWidth,
    info.dilationHeight,
    info.dilationWidth,
    info.padInfo.top,
    info.padInfo.left,
  ];
  new Int32Array(backend.wasm.HEAPU8.buffer, address, FIELDS).set(fields);
  return address;
}
