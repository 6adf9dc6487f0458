import type { backend_util } from '@tensorflow/tfjs-core';
import type { WasmBackend } from './backend.js';
import type { Module, Piece } from './module.js';

/** Fields of `asm/geometry.ts`. */
const FIELDS = 16;
/** Bytes that they take. */
export const GEOMETRY_BYTES = 64;

/** Of a convolution or pooling, or of a part of one: some of its images, some of its filter's rows. */
export interface Part {
  readonly images?: Piece;
  readonly filterRows?: Piece;
  readonly blockRows?: number;
}

/** Writes the geometry of that part to the `index`-th place for geometries. @returns its address */
export function writeGeometry(
  module: Module,
  backend: WasmBackend,
  info: backend_util.Conv2DInfo,
  part: Part = {},
  index = 0,
): number {
  const address = module.geometries + index * GEOMETRY_BYTES;
  const { images, filterRows, blockRows = 0 } = part;
  const fields: readonly number[] & { length: typeof FIELDS } = [
    images?.count ?? info.batchSize,
    info.inHeight,
    info.inWidth,
    info.inChannels,
    info.outHeight,
    info.outWidth,
    info.outChannels,
    filterRows?.count ?? info.filterHeight,
    info.filterWidth,
    info.strideHeight,
    info.strideWidth,
    info.dilationHeight,
    info.dilationWidth,
    info.padInfo.top - (filterRows?.first ?? 0) * info.dilationHeight,
    info.padInfo.left,
    blockRows,
  ];
  new Int32Array(backend.wasm.HEAPU8.buffer, address, FIELDS).set(fields);
  return address;
}
