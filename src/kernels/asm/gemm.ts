// C[m, n] (+)= A[m, k] * B[k, n] in float32. Strides make every transposition an order of packing.
//
// A and B are packed in blocks: A into strips of 4 rows (for each k: 4 values), B into strips of 8 columns (for each k:
// 8 values), padded with values of no meaning, so that the innermost loop reads both in order and keeps a tile of 4 x 8 sums in
// registers. Each element of C is the sum, in order, of the sums over DEPTH consecutive k: an order that depends on k
// alone, not on m, n, the block sizes of rows and columns, or the machine.

import { copyPair, copySixteen, pack4 } from './pack';

const DEPTH: i32 = 256;
const ROWS: i32 = 128; // 128 KiB of packed A: stays in the second-level cache
const COLUMNS: i32 = 1024; // 1 MiB of packed B
const SIDE: i32 = 24; // columns that meet four rows at a time: 24 KiB of packed B stay in the first-level cache
const BAND: i32 = 32; // rows of a matrix whose pages of memory are at hand while strips are packed from them
const PACKED_A: usize = 4 * DEPTH * ROWS;
const PACKED_B: usize = 4 * DEPTH * COLUMNS;
const TILE: usize = 4 * 4 * 8;

/** Bytes that `gemm` needs to work in. */
export function gemmScratch(): usize {
  return PACKED_A + PACKED_B + TILE;
}

/**
 * Strides and `ldc` count elements. With `accumulate` the product is added to what stands in C.
 * `scratch` is 16-byte aligned and holds `gemmScratch()` bytes.
 */
export function gemm(
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: i32,
  aColumn: i32,
  b: usize,
  bRow: i32,
  bColumn: i32,
  c: usize,
  ldc: i32,
  accumulate: bool,
  scratch: usize,
): void {
  const packedA = scratch;
  const packedB = scratch + PACKED_A;
  const tile = packedB + PACKED_B;
  if (k == 0 && !accumulate) for (let i = 0; i < m; i++) memory.fill(c + at(i, ldc), 0, (<usize>n) << 2);
  for (let j = 0; j < n; j += COLUMNS) {
    const columns = min(COLUMNS, n - j);
    for (let p = 0; p < k; p += DEPTH) {
      const depth = min(DEPTH, k - p);
      packColumns(b + at(p, bRow) + at(j, bColumn), bRow, bColumn, depth, columns, packedB);
      for (let i = 0; i < m; i += ROWS) {
        const rows = min(ROWS, m - i);
        packRows(a + at(i, aRow) + at(p, aColumn), aRow, aColumn, rows, depth, packedA);
        block(
          rows,
          columns,
          depth,
          packedA,
          packedB,
          c + at(i, ldc) + ((<usize>j) << 2),
          ldc,
          accumulate || p > 0,
          tile,
        );
      }
    }
  }
}

/** `count` products whose matrices lie `aNext`, `bNext` and `cNext` bytes apart; 0: the same one each time. */
export function products(
  count: i32,
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: i32,
  aColumn: i32,
  aNext: usize,
  b: usize,
  bRow: i32,
  bColumn: i32,
  bNext: usize,
  c: usize,
  cRow: i32,
  cNext: usize,
  scratch: usize,
): void {
  for (let i = 0; i < count; i++) {
    gemm(m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, false, scratch);
    a += aNext;
    b += bNext;
    c += cNext;
  }
}

/** Byte offset of `count` steps of `stride` elements. */
function at(count: i32, stride: i32): usize {
  return (<usize>count * <usize>stride) << 2;
}

function packRows(a: usize, aRow: i32, aColumn: i32, rows: i32, depth: i32, to: usize): void {
  let i = 0;
  if (aRow == 1) {
    i = rows & ~15;
    for (let k = 0; k < depth; k += BAND) {
      const steps = min(BAND, depth - k);
      const from = a + at(k, aColumn);
      for (let s = 0; s < i; s += 16)
        copySixteen(from + at(s, 1), aColumn, steps, to + at(s, depth) + at(k, 4), at(4, depth));
    }
  }
  for (; i < rows; i += 4) pack4(a + at(i, aRow), aRow, aColumn, min(4, rows - i), depth, to + at(i, depth), 16);
}

function packColumns(b: usize, bRow: i32, bColumn: i32, depth: i32, columns: i32, to: usize): void {
  let j = 0;
  if (bColumn == 1) {
    j = columns & ~15;
    for (let k = 0; k < depth; k += BAND) {
      const steps = min(BAND, depth - k);
      const from = b + at(k, bRow);
      for (let s = 0; s < j; s += 16)
        copyPair(from + at(s, 1), bRow, steps, to + at(s, depth) + at(k, 8), at(8, depth));
    }
  }
  for (; j < columns; j += 8) {
    const strip = to + at(j, depth);
    pack4(b + at(j, bColumn), bColumn, bRow, min(4, columns - j), depth, strip, 32);
    pack4(b + at(j + 4, bColumn), bColumn, bRow, max(0, min(4, columns - j - 4)), depth, strip + 16, 32);
  }
}

function block(
  rows: i32,
  columns: i32,
  depth: i32,
  packedA: usize,
  packedB: usize,
  c: usize,
  ldc: i32,
  add: bool,
  tile: usize,
): void {
  const step = (<usize>ldc) << 2;
  for (let first = 0; first < columns; first += SIDE) {
    const end = min(columns, first + SIDE);
    for (let i = 0; i < rows; i += 4) {
      for (let j = first; j < end; j += 8) {
        const to = c + at(i, ldc) + ((<usize>j) << 2);
        const inside = columns - j >= 8 && rows - i >= 4;
        micro(
          depth,
          packedA + at(i, depth),
          packedB + at(j, depth),
          inside ? to : tile,
          inside ? step : 32,
          inside && add,
        );
        if (!inside) copyTile(tile, min(4, rows - i), min(8, columns - j), to, step, add);
      }
    }
  }
}

/** The first `columns` of a tile's rows: whole vectors where there are four. */
function copyTile(tile: usize, rows: i32, columns: i32, to: usize, step: usize, add: bool): void {
  const vectors = (<usize>(columns & ~3)) << 2;
  const width = (<usize>columns) << 2;
  for (let i = 0; i < rows; i++) {
    let at: usize = 0;
    for (; at < vectors; at += 16) {
      const values = v128.load(tile + at);
      v128.store(to + at, add ? f32x4.add(v128.load(to + at), values) : values);
    }
    for (; at < width; at += 4) {
      const value = load<f32>(tile + at);
      store<f32>(to + at, add ? load<f32>(to + at) + value : value);
    }
    tile += 32;
    to += step;
  }
}

/** One tile of 4 x 8: eight sums of four lanes each. Not unrolled: V8 has 15 registers for them and their operands. */
function micro(depth: i32, pa: usize, pb: usize, c: usize, step: usize, add: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  const end = pa + ((<usize>depth) << 4);
  while (pa < end) {
    const b0 = v128.load(pb);
    const b1 = v128.load(pb, 16);
    const a0 = v128.load_splat<f32>(pa);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    const a1 = v128.load_splat<f32>(pa, 4);
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    const a2 = v128.load_splat<f32>(pa, 8);
    c20 = f32x4.add(c20, f32x4.mul(a2, b0));
    c21 = f32x4.add(c21, f32x4.mul(a2, b1));
    const a3 = v128.load_splat<f32>(pa, 12);
    c30 = f32x4.add(c30, f32x4.mul(a3, b0));
    c31 = f32x4.add(c31, f32x4.mul(a3, b1));
    pa += 16;
    pb += 32;
  }
  if (add) {
    c00 = f32x4.add(v128.load(c), c00);
    c01 = f32x4.add(v128.load(c, 16), c01);
    c10 = f32x4.add(v128.load(c + step), c10);
    c11 = f32x4.add(v128.load(c + step, 16), c11);
    c20 = f32x4.add(v128.load(c + 2 * step), c20);
    c21 = f32x4.add(v128.load(c + 2 * step, 16), c21);
    c30 = f32x4.add(v128.load(c + 3 * step), c30);
    c31 = f32x4.add(v128.load(c + 3 * step, 16), c31);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c + step, c10);
  v128.store(c + step, c11, 16);
  v128.store(c + 2 * step, c20);
  v128.store(c + 2 * step, c21, 16);
  v128.store(c + 3 * step, c30);
  v128.store(c + 3 * step, c31, 16);
}
