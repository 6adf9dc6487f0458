// Convolutions as products of matrices: the input unfolded to one row per place of the output, a block of rows at a
// time. With X the unfolded input [places, window], W the filter [window, outChannels] and G the gradient of the output
// [places, outChannels]: output = X W, gradient of W = X^T G, gradient of X = G W^T, folded back by adding.

import { gemm, gemmScratch } from './gemm';
import { Geometry, places, window } from './geometry';

/** Floats of unfolded input that are worked on at a time: 512 KiB. The order of sums depends on it, so it is fixed. */
const UNFOLDED: i32 = 131072;

/**
 * Rows unfolded at a time: whole blocks of `gemm`, at least one; 0 where the input is its own unfolded matrix. Sums
 * depend on it, so a part of a convolution takes the number of the whole.
 */
export function blockRows(g: Geometry): i32 {
  return isPlain(g) ? 0 : max(128, (UNFOLDED / max(1, window(g))) & ~127);
}

/** Bytes that the three functions below need to work in. */
export function convScratch(g: Geometry): usize {
  return gemmScratch() + ((<usize>min(g.blockRows, (places(g) + 3) & ~3) * <usize>window(g)) << 2);
}

/** A filter of 1 x 1 without stride and padding: the input is its own unfolded matrix. */
function isPlain(g: Geometry): bool {
  const one = g.filterHeight == 1 && g.filterWidth == 1 && g.strideHeight == 1 && g.strideWidth == 1;
  return one && g.padTop == 0 && g.padLeft == 0 && g.inHeight == g.outHeight && g.inWidth == g.outWidth;
}

export function conv2d(g: Geometry, x: usize, filter: usize, out: usize, scratch: usize): void {
  const depth = window(g);
  const n = g.outChannels;
  const all = places(g);
  if (g.blockRows == 0) return gemm(all, n, depth, x, depth, 1, filter, n, 1, out, n, false, scratch);
  const unfolded = scratch + gemmScratch();
  const step = g.blockRows;
  for (let row = 0; row < all; row += step) {
    const rows = min(step, all - row);
    unfold(g, x, row, rows, unfolded);
    gemm(rows, n, depth, unfolded, depth, 1, filter, n, 1, out + ((<usize>row * <usize>n) << 2), n, false, scratch);
  }
}

export function conv2dFilterGradient(g: Geometry, x: usize, dy: usize, out: usize, scratch: usize): void {
  const depth = window(g);
  const n = g.outChannels;
  const all = places(g);
  if (g.blockRows == 0) return gemm(depth, n, all, x, 1, depth, dy, n, 1, out, n, false, scratch);
  if (all == 0) memory.fill(out, 0, (<usize>depth * <usize>n) << 2);
  const unfolded = scratch + gemmScratch();
  const step = g.blockRows;
  for (let row = 0; row < all; row += step) {
    const rows = min(step, all - row);
    unfold(g, x, row, rows, unfolded);
    gemm(depth, n, rows, unfolded, 1, depth, dy + ((<usize>row * <usize>n) << 2), n, 1, out, n, row > 0, scratch);
  }
}

export function conv2dInputGradient(g: Geometry, dy: usize, filter: usize, out: usize, scratch: usize): void {
  const depth = window(g);
  const n = g.outChannels;
  const all = places(g);
  if (g.blockRows == 0) return gemm(all, depth, n, dy, n, 1, filter, 1, n, out, depth, false, scratch);
  memory.fill(out, 0, (<usize>(g.batch * g.inHeight) * <usize>(g.inWidth * g.inChannels)) << 2);
  const unfolded = scratch + gemmScratch();
  const step = g.blockRows;
  for (let row = 0; row < all; row += step) {
    const rows = min(step, all - row);
    const from = dy + ((<usize>row * <usize>n) << 2);
    gemm(rows, depth, n, from, n, 1, filter, 1, n, unfolded, depth, false, scratch);
    fold(g, unfolded, row, rows, out);
  }
}

/** Writes `rows` rows of the unfolded input, from the place `first` on; zeros where the filter stands outside. */
function unfold(g: Geometry, x: usize, first: i32, rows: i32, to: usize): void {
  const pixel = (<usize>g.inChannels) << 2;
  const bytes = <usize>g.filterWidth * pixel;
  const filterHeight = g.filterHeight;
  const inHeight = g.inHeight;
  const down = g.dilationHeight;
  let ox = first % g.outWidth;
  let oy = (first / g.outWidth) % g.outHeight;
  let image = first / g.outWidth / g.outHeight;
  for (let row = 0; row < rows; row++) {
    const left = ox * g.strideWidth - g.padLeft;
    const top = oy * g.strideHeight - g.padTop;
    const isInside = g.dilationWidth == 1 && left >= 0 && left + g.filterWidth <= g.inWidth;
    for (let i = 0; i < filterHeight; i++) {
      const y = top + i * down;
      if (y < 0 || y >= inHeight) zero(to, bytes);
      else if (isInside) copy(x + lineAt(g, image, y) + <usize>left * pixel, to, bytes);
      else unfoldLine(g, x + lineAt(g, image, y), left, to);
      to += bytes;
    }
    if (++ox == g.outWidth) {
      ox = 0;
      if (++oy == g.outHeight) {
        oy = 0;
        image++;
      }
    }
  }
}

function unfoldLine(g: Geometry, from: usize, left: i32, to: usize): void {
  const pixel = (<usize>g.inChannels) << 2;
  for (let j = 0; j < g.filterWidth; j++) {
    const x = left + j * g.dilationWidth;
    if (x < 0 || x >= g.inWidth) zero(to, pixel);
    else copy(from + <usize>x * pixel, to, pixel);
    to += pixel;
  }
}

/** Adds each value of the unfolded rows where `unfold` would have read it. */
function fold(g: Geometry, from: usize, first: i32, rows: i32, x: usize): void {
  const pixel = (<usize>g.inChannels) << 2;
  const bytes = <usize>g.filterWidth * pixel;
  const filterHeight = g.filterHeight;
  const inHeight = g.inHeight;
  const down = g.dilationHeight;
  let ox = first % g.outWidth;
  let oy = (first / g.outWidth) % g.outHeight;
  let image = first / g.outWidth / g.outHeight;
  for (let row = 0; row < rows; row++) {
    const left = ox * g.strideWidth - g.padLeft;
    const top = oy * g.strideHeight - g.padTop;
    const isInside = g.dilationWidth == 1 && left >= 0 && left + g.filterWidth <= g.inWidth;
    for (let i = 0; i < filterHeight; i++) {
      const y = top + i * down;
      if (y >= 0 && y < inHeight) {
        const line = x + lineAt(g, image, y);
        if (isInside) addTo(line + <usize>left * pixel, from, bytes);
        else foldLine(g, from, left, line);
      }
      from += bytes;
    }
    if (++ox == g.outWidth) {
      ox = 0;
      if (++oy == g.outHeight) {
        oy = 0;
        image++;
      }
    }
  }
}

function foldLine(g: Geometry, from: usize, left: i32, line: usize): void {
  const pixel = (<usize>g.inChannels) << 2;
  for (let j = 0; j < g.filterWidth; j++) {
    const at = left + j * g.dilationWidth;
    if (at >= 0 && at < g.inWidth) addTo(line + <usize>at * pixel, from + <usize>j * pixel, pixel);
  }
}

/** Byte offset of line `y` of an image of the input. */
function lineAt(g: Geometry, image: i32, y: i32): usize {
  return (<usize>(image * g.inHeight + y) * <usize>(g.inWidth * g.inChannels)) << 2;
}

// Runs are short (a few channels): loops of our own beat memory.copy, which leaves the module.

function copy(from: usize, to: usize, bytes: usize): void {
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
  for (; i < bytes; i += 4) store<f32>(to + i, load<f32>(from + i));
}

function zero(to: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 4) store<f32>(to + i, 0);
}

function addTo(to: usize, from: usize, bytes: usize): void {
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(to + i, f32x4.add(v128.load(to + i), v128.load(from + i)));
  for (; i < bytes; i += 4) store<f32>(to + i, load<f32>(to + i) + load<f32>(from + i));
}
