// GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415), x times the normal distribution's Phi(x), in its two usual
// forms, and the gradient of relu. The form by tanh is worked out in float32, the one by erf in float64 and rounded once.

import { exp64, high64, join32, quickExp32 } from './exp';
import { loadLanes, storeLanes } from './lanes';

const CUBE: f32 = 0.044715;
const TWICE_ROOT: f32 = 1.5957691216057308; // 2 sqrt(2 / pi)
const ROOT_HALF: f64 = 7.071067811865476e-1;
const DENSITY: f64 = 3.989422804014327e-1; // 1 / sqrt(2 pi)

/**
 * Of x and, unless its address is 0, a bias per column, for `rows` of `width`. `exact` takes Phi from the error function,
 * otherwise it is 0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). `slopes`, unless 0, takes the derivative.
 */
export function gelu(x: usize, bias: usize, rows: i32, width: i32, exact: bool, slopes: usize, out: usize): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < rows; row++) {
    for (let j: usize = 0; j < bytes; j += 16) {
      const left = bytes - j;
      let four = loadLanes(x + j, left);
      if (bias != 0) four = f32x4.add(four, loadLanes(bias + j, left));
      if (exact) byNormal(four, left, slopes == 0 ? 0 : slopes + j, out + j);
      else byTanh(four, left, slopes == 0 ? 0 : slopes + j, out + j);
    }
    x += bytes;
    out += bytes;
    if (slopes != 0) slopes += bytes;
  }
}

/**
 * 0.5 (1 + tanh(u)) is s = 1 / (1 + e^-2u), without the cancellation where u is far below zero; there it is 0. The derivative of x s
 * is s + x s (1 - s) 2u'. Beyond 16 on either side s is 0 or 1.
 */
function byTanh(x: v128, bytes: usize, slopes: usize, out: usize): void {
  const one = f32x4.splat(1);
  const near = f32x4.pmax(f32x4.pmin(x, f32x4.splat(16)), f32x4.splat(-16)); // NaN stays
  const square = f32x4.mul(near, near);
  const rise = f32x4.add(one, f32x4.mul(f32x4.splat(CUBE), square));
  const twice = f32x4.mul(f32x4.mul(f32x4.splat(TWICE_ROOT), near), rise);
  const whole = f32x4.div(one, f32x4.add(one, quickExp32(f32x4.neg(twice))));
  const share = v128.andnot(whole, f32x4.lt(twice, f32x4.splat(-87)));
  storeLanes(out, f32x4.mul(x, share), bytes);
  if (slopes == 0) return;
  const steep = f32x4.add(one, f32x4.mul(f32x4.splat(3 * CUBE), square));
  const change = f32x4.mul(f32x4.mul(share, f32x4.sub(one, share)), f32x4.mul(f32x4.splat(TWICE_ROOT), steep));
  storeLanes(slopes, f32x4.add(share, f32x4.mul(near, change)), bytes);
}

function byNormal(x: v128, bytes: usize, slopes: usize, out: usize): void {
  const low = f64x2.promote_low_f32x4(x);
  const high = high64(x);
  const lowShare = normal(low);
  const highShare = normal(high);
  storeLanes(out, join32(f64x2.mul(low, lowShare), f64x2.mul(high, highShare)), bytes);
  if (slopes != 0) storeLanes(slopes, join32(slope(low, lowShare), slope(high, highShare)), bytes);
}

/** The derivative of x Phi(x): Phi(x) and x times the density. */
function slope(x: v128, share: v128): v128 {
  const density = f64x2.mul(f64x2.splat(DENSITY), exp64(f64x2.mul(f64x2.mul(x, x), f64x2.splat(-0.5))));
  return f64x2.add(share, f64x2.mul(x, density));
}

/**
 * out = a b value by value, and their sums by column, over the rows in order in float64 as `sum` of one column has them: the
 * gradients of x and of the bias that was added to it. `columns` of rows of `width`; `scratch` holds 8 bytes for each of the columns
 * rounded up to four.
 */
export function multiplyAndSum(
  a: usize,
  b: usize,
  rows: i32,
  columns: i32,
  width: i32,
  out: usize,
  sums: usize,
  scratch: usize,
): void {
  const bytes = (<usize>columns) << 2;
  const step = (<usize>width) << 2;
  for (let j: usize = 0; j < bytes; j += 16) addFour(scratch + 2 * j, f32x4.splat(0), true);
  for (let row = 0; row < rows; row++) {
    for (let j: usize = 0; j < bytes; j += 16) {
      const found = f32x4.mul(loadLanes(a + j, bytes - j), loadLanes(b + j, bytes - j));
      storeLanes(out + j, found, bytes - j);
      addFour(scratch + 2 * j, found, false);
    }
    a += step;
    b += step;
    out += step;
  }
  for (let j: usize = 0; j < bytes; j += 16)
    storeLanes(sums + j, join32(v128.load(scratch + 2 * j), v128.load(scratch + 2 * j, 16)), bytes - j);
}

function addFour(sums: usize, four: v128, isFirst: bool): void {
  const low = f64x2.promote_low_f32x4(four);
  const high = high64(four);
  v128.store(sums, isFirst ? low : f64x2.add(v128.load(sums), low));
  v128.store(sums, isFirst ? high : f64x2.add(v128.load(sums, 16), high), 16);
}

/**
 * Phi(x), from the error function by Abramowitz and Stegun 7.1.26 (off by 1.5e-7 at most), which tfjs-backend-cpu takes
 * as well, without the cancellation below zero.
 */
function normal(x: v128): v128 {
  const size = f64x2.mul(f64x2.abs(x), f64x2.splat(ROOT_HALF));
  const one = f64x2.splat(1);
  const t = f64x2.div(one, f64x2.add(one, f64x2.mul(f64x2.splat(0.3275911), size)));
  let sum = f64x2.splat(1.061405429);
  sum = f64x2.add(f64x2.mul(sum, t), f64x2.splat(-1.453152027));
  sum = f64x2.add(f64x2.mul(sum, t), f64x2.splat(1.421413741));
  sum = f64x2.add(f64x2.mul(sum, t), f64x2.splat(-0.284496736));
  sum = f64x2.add(f64x2.mul(sum, t), f64x2.splat(0.254829592));
  const power = exp64(f64x2.neg(f64x2.mul(size, size)));
  const half = f64x2.mul(f64x2.mul(f64x2.mul(sum, t), power), f64x2.splat(0.5));
  return v128.bitselect(half, f64x2.sub(one, half), f64x2.lt(x, f64x2.splat(0)));
}

/** dy where x is above zero, dy times 0 elsewhere; NaN where x is. */
export function reluGradient(dy: usize, x: usize, count: i32, out: usize): void {
  const bytes = (<usize>count) << 2;
  const zero = f32x4.splat(0);
  for (let j: usize = 0; j < bytes; j += 16) {
    const four = loadLanes(x + j, bytes - j);
    const step = v128.and(f32x4.splat(1), f32x4.gt(four, zero));
    const factor = v128.bitselect(step, four, f32x4.eq(four, four));
    storeLanes(out + j, f32x4.mul(loadLanes(dy + j, bytes - j), factor), bytes - j);
  }
}
