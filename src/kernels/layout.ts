import { util } from '@tensorflow/tfjs-core';
import type { WasmBackend } from './backend.js';
import type { Module } from './module.js';

/** One axis of a copy: its size, and how many bytes its neighbours lie apart in the input and in the output. */
export interface Axis {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}
/** Of every value that is copied. */
export const BYTES = 4;
/** Outside of a row, as in asm/layout.ts. */
const AXES = 5;
const FIELDS = 3 * AXES + 2;

/** Bytes between neighbours of each axis of a tensor that lies in order. */
export function strides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => BYTES * util.sizeFromShape(shape.slice(axis + 1)));
}

/**
 * Copies every value of `axes` (in any order) from one address to another.
 *
 * @returns  false, with nothing done, when more axes remain than are at hand once neighbours are joined: six do, five of single values
 */
export function copyAxes(
  module: Module,
  backend: WasmBackend,
  axes: readonly Axis[],
  from: number,
  to: number,
): boolean {
  if (axes.some(({ size }) => size === 0)) return true;
  const joined = join(axes);
  const last = joined.at(-1);
  const beside = joined.find((axis) => axis.to === BYTES);
  if (last?.from === BYTES && beside !== undefined && beside !== last) {
    const outer = joined.filter((axis) => axis !== beside && axis !== last);
    if (outer.length + 1 > AXES) return false;
    module.run.turn(write(module, backend, [...outer, beside], last.size, last.to), from, to);
    return true;
  }
  const isRow = last?.from === BYTES && last.to === BYTES;
  const outer = isRow ? joined.slice(0, -1) : joined;
  if (outer.length > AXES) return false;
  module.run.copyRows(write(module, backend, outer, isRow ? BYTES * last.size : BYTES, 0), from, to);
  return true;
}

/** In the order of the input, without axes of one place, and neighbours that are one run in both joined. */
function join(axes: readonly Axis[]): Axis[] {
  const joined: Axis[] = [];
  for (const axis of axes.filter(({ size }) => size !== 1).sort((a, b) => b.from - a.from)) {
    const before = joined.at(-1);
    if (before?.from === axis.size * axis.from && before.to === axis.size * axis.to)
      joined[joined.length - 1] = { ...axis, size: before.size * axis.size };
    else joined.push(axis);
  }
  return joined;
}

function write(module: Module, backend: WasmBackend, axes: readonly Axis[], width: number, across: number): number {
  const address = module.scratch(4 * FIELDS);
  const fields = new Uint32Array(backend.wasm.HEAPU8.buffer, address, FIELDS);
  const unused = AXES - axes.length;
  for (let i = 0; i < AXES; i++) {
    const { size, from, to } = axes[i - unused] ?? { size: 1, from: 0, to: 0 };
    fields[i] = size;
    fields[AXES + i] = from;
    fields[2 * AXES + i] = to;
  }
  fields[3 * AXES] = width;
  fields[3 * AXES + 1] = across;
  return address;
}
