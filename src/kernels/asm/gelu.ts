// GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415), x times the normal distribution's Phi(x), in its two usual
// forms, and gradients of activations; worked out in float64 and rounded once.

import { exp64, high64, join32 } from './exp';
import { loadLanes, storeLanes } from './lanes';
import { sigmoid64 } from './unary';

const CUBE: f64 = 0.044715;
const ROOT_2_BY_PI: f64 = 7.978845608028654e-1; // sqrt(2 / pi)
const ROOT_HALF: f64 = 7.071067811865476e-1;
const DENSITY: f64 = 3.989422804014327e-1; // 1 / sqrt(2 pi)

/** `exact` takes Phi from the error function, otherwise it is 0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
export function gelu(x: usize, count: i32, exact: bool, out: usize): void {
  const bytes = (<usize>count) << 2;
  for (let j: usize = 0; j < bytes; j += 16) {
    const four = loadLanes(x + j, bytes - j);
    const low = value(f64x2.promote_low_f32x4(four), exact);
    storeLanes(out + j, join32(low, value(high64(four), exact)), bytes - j);
  }
}

export function geluGradient(dy: usize, x: usize, count: i32, exact: bool, out: usize): void {
  const bytes = (<usize>count) << 2;
  for (let j: usize = 0; j < bytes; j += 16) {
    const four = loadLanes(x + j, bytes - j);
    const gradient = loadLanes(dy + j, bytes - j);
    const low = f64x2.mul(f64x2.promote_low_f32x4(gradient), slope(f64x2.promote_low_f32x4(four), exact));
    const high = f64x2.mul(high64(gradient), slope(high64(four), exact));
    storeLanes(out + j, join32(low, high), bytes - j);
  }
}

function value(x: v128, exact: bool): v128 {
  return f64x2.mul(x, exact ? normal(x) : byTanh(x));
}

function slope(x: v128, exact: bool): v128 {
  const one = f64x2.splat(1);
  const square = f64x2.mul(x, x);
  if (exact) {
    const density = f64x2.mul(f64x2.splat(DENSITY), exp64(f64x2.mul(square, f64x2.splat(-0.5))));
    return f64x2.add(normal(x), f64x2.mul(x, density));
  }
  const share = byTanh(x);
  const inner = f64x2.mul(f64x2.splat(2 * ROOT_2_BY_PI), f64x2.add(one, f64x2.mul(f64x2.splat(3 * CUBE), square)));
  const change = f64x2.mul(f64x2.mul(share, f64x2.sub(one, share)), inner);
  return f64x2.add(share, f64x2.mul(x, change));
}

/** 0.5 (1 + tanh(u)) is 1 / (1 + e^-2u), without the cancellation where u is far below zero; there it is 0. */
function byTanh(x: v128): v128 {
  const cube = f64x2.mul(f64x2.splat(CUBE), f64x2.mul(x, f64x2.mul(x, x)));
  const twice = f64x2.mul(f64x2.splat(2 * ROOT_2_BY_PI), f64x2.add(x, cube));
  return v128.andnot(sigmoid64(twice), f64x2.lt(twice, f64x2.splat(-199)));
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
