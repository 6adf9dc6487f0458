// Sums and maxima over the middle of [outer, count, inner]. Sums are added in float64 and rounded once; their order
// depends on `count` and `width` alone.

import { high64, join32 } from './exp';
import { loadLanes, storeLanes } from './lanes';

/** out[o, i] = scale * sum over r of x[o, r, i], for the first `inner` of `width` columns i. */
export function sum(x: usize, outer: i32, count: i32, inner: i32, width: i32, scale: f64, out: usize): void {
  const row = (<usize>width) << 2;
  for (let o = 0; o < outer; o++) {
    if (width == 1) store<f32>(out, <f32>(scale * sumLine(x, count)));
    else sumColumns(x, count, (<usize>inner) << 2, row, scale, out);
    x += <usize>count * row;
    out += row;
  }
}

/** Four sums side by side, then one. */
export function sumLine(x: usize, count: i32): f64 {
  let low = f64x2.splat(0);
  let high = low;
  const end = x + ((<usize>count) << 2);
  for (; x + 16 <= end; x += 16) {
    const four = v128.load(x);
    low = f64x2.add(low, f64x2.promote_low_f32x4(four));
    high = f64x2.add(high, high64(four));
  }
  const both = f64x2.add(low, high);
  let total = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (; x < end; x += 4) total += <f64>load<f32>(x);
  return total;
}

function sumColumns(x: usize, count: i32, columns: usize, row: usize, scale: f64, out: usize): void {
  const scales = f64x2.splat(scale);
  let column: usize = 0;
  for (; column + 32 <= columns; column += 32) {
    let a = f64x2.splat(0);
    let b = a;
    let c = a;
    let d = a;
    let from = x + column;
    for (let r = 0; r < count; r++) {
      const left = v128.load(from);
      const right = v128.load(from, 16);
      a = f64x2.add(a, f64x2.promote_low_f32x4(left));
      b = f64x2.add(b, high64(left));
      c = f64x2.add(c, f64x2.promote_low_f32x4(right));
      d = f64x2.add(d, high64(right));
      from += row;
    }
    v128.store(out + column, join32(f64x2.mul(a, scales), f64x2.mul(b, scales)));
    v128.store(out + column, join32(f64x2.mul(c, scales), f64x2.mul(d, scales)), 16);
  }
  if (column < columns) sumLast(x + column, count, columns - column, row, scales, out + column);
}

/** Of the last one to seven columns, side by side as well: each is added up in the same order alone. */
function sumLast(x: usize, count: i32, bytes: usize, row: usize, scales: v128, out: usize): void {
  let a = f64x2.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const more = bytes > 16 ? bytes - 16 : 0;
  for (let r = 0; r < count; r++) {
    const four = loadLanes(x, bytes);
    a = f64x2.add(a, f64x2.promote_low_f32x4(four));
    b = f64x2.add(b, high64(four));
    if (more > 0) {
      const others = loadLanes(x + 16, more);
      c = f64x2.add(c, f64x2.promote_low_f32x4(others));
      d = f64x2.add(d, high64(others));
    }
    x += row;
  }
  storeLanes(out, join32(f64x2.mul(a, scales), f64x2.mul(b, scales)), bytes);
  if (more > 0) storeLanes(out + 16, join32(f64x2.mul(c, scales), f64x2.mul(d, scales)), more);
}

/** out[o, i] = the largest x[o, r, i]; NaN if one of them is, -Infinity of none. */
export function max(x: usize, outer: i32, count: i32, inner: i32, out: usize): void {
  const row = (<usize>inner) << 2;
  for (let o = 0; o < outer; o++) {
    if (inner == 1) store<f32>(out, largest(x, count));
    else maxColumns(x, count, row, out);
    x += <usize>count * row;
    out += row;
  }
}

export function largest(x: usize, count: i32): f32 {
  let four = f32x4.splat(-Infinity);
  let other = four;
  const end = x + ((<usize>count) << 2);
  for (; x + 32 <= end; x += 32) {
    four = f32x4.max(four, v128.load(x));
    other = f32x4.max(other, v128.load(x, 16));
  }
  four = f32x4.max(four, other);
  for (; x < end; x += 4) four = f32x4.max(four, v128.load32_splat(x));
  const two = f32x4.max(four, i64x2.shuffle(four, four, 1, 0));
  return f32x4.extract_lane(f32x4.max(two, i32x4.shuffle(two, two, 1, 0, 3, 2)), 0);
}

function maxColumns(x: usize, count: i32, row: usize, out: usize): void {
  let column: usize = 0;
  for (; column + 16 <= row; column += 16) {
    let four = f32x4.splat(-Infinity);
    let from = x + column;
    for (let r = 0; r < count; r++) {
      four = f32x4.max(four, v128.load(from));
      from += row;
    }
    v128.store(out + column, four);
  }
  for (; column < row; column += 4) {
    let one = f32x4.splat(-Infinity);
    let from = x + column;
    for (let r = 0; r < count; r++) {
      one = f32x4.max(one, v128.load32_splat(from));
      from += row;
    }
    store<f32>(out + column, f32x4.extract_lane(one, 0));
  }
}
