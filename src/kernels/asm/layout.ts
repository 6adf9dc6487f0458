import { turnFour } from './turn';

// Copies between places of different strides: slices, concatenations and transpositions of values of four bytes.

/**
 * Up to five axes of values or rows, as `../layout.ts` writes it: uint32 in this order; strides in bytes. `width` is the
 * length of a row in bytes for `copyRows`, and for `turn` the number of values that lie side by side in the input, which
 * come `across` bytes apart in the output.
 */
@unmanaged
export class Layout {
  size0: u32;
  size1: u32;
  size2: u32;
  size3: u32;
  size4: u32;
  from0: u32;
  from1: u32;
  from2: u32;
  from3: u32;
  from4: u32;
  to0: u32;
  to1: u32;
  to2: u32;
  to3: u32;
  to4: u32;
  width: u32;
  across: u32;
}

export function copyRows(g: Layout, from: usize, to: usize): void {
  visit(g, from, to, false);
}

/** As copyRows, but the values of a row, `width` of them, go to places `across` apart, and axis 4 lies side by side there. */
export function turn(g: Layout, from: usize, to: usize): void {
  visit(g, from, to, true);
}

function visit(g: Layout, from: usize, to: usize, turned: bool): void {
  for (let a: u32 = 0; a < g.size0; a++)
    for (let b: u32 = 0; b < g.size1; b++)
      for (let c: u32 = 0; c < g.size2; c++)
        for (let d: u32 = 0; d < g.size3; d++) {
          const source = from + a * g.from0 + b * g.from1 + c * g.from2 + d * g.from3;
          const target = to + a * g.to0 + b * g.to1 + c * g.to2 + d * g.to3;
          if (turned) turnPlane(g, source, target);
          else copyPlane(source, g.from4, target, g.to4, g.size4, g.width);
        }
}

function copyPlane(from: usize, fromStep: usize, to: usize, toStep: usize, rows: u32, bytes: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    copy(from, to, bytes);
    from += fromStep;
    to += toStep;
  }
}

/** A multiple of four bytes. */
function copy(from: usize, to: usize, bytes: usize): void {
  if (bytes >= 1024) {
    memory.copy(to, from, bytes);
    return;
  }
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
  for (; i < bytes; i += 4) store<u32>(to + i, load<u32>(from + i));
}

const BAND: u32 = 32; // rows of input whose lines stay in the cache while those of the output are filled

function turnPlane(g: Layout, from: usize, to: usize): void {
  for (let start: u32 = 0; start < g.size4; start += BAND) {
    const rows = min(BAND, g.size4 - start);
    turnBand(from + <usize>start * g.from4, g.from4, rows, g.width, to + ((<usize>start) << 2), g.across);
  }
}

function turnBand(from: usize, step: usize, rows: usize, width: usize, to: usize, across: usize): void {
  let column: usize = 0;
  for (; column + 4 <= width; column += 4) {
    let row: usize = 0;
    for (; row + 4 <= rows; row += 4)
      turnFour(from + row * step + (column << 2), step, to + column * across + (row << 2), across);
    for (; row < rows; row++)
      for (let i = column; i < column + 4; i++)
        store<u32>(to + i * across + (row << 2), load<u32>(from + row * step + (i << 2)));
  }
  for (; column < width; column++)
    for (let row: usize = 0; row < rows; row++)
      store<u32>(to + column * across + (row << 2), load<u32>(from + row * step + (column << 2)));
}

/**
 * out[i] = x[ids[i]] for rows of `bytes` bytes.
 *
 * @returns the place of the first id outside of [0, size), or -1; then nothing is written
 */
export function gather(x: usize, size: i32, ids: usize, count: i32, bytes: usize, out: usize): i32 {
  for (let i = 0; i < count; i++) {
    const id = load<i32>(ids + ((<usize>i) << 2));
    if (id < 0 || id >= size) return i;
  }
  for (let i = 0; i < count; i++) {
    copy(x + <usize>load<i32>(ids + ((<usize>i) << 2)) * bytes, out, bytes);
    out += bytes;
  }
  return -1;
}
