// Layer normalization (Ba et al. 2016, arXiv:1607.06450) over rows of `width` values, worked out in float64.

import { high64, join32 } from './exp';
import { loadLanes, storeLanes } from './lanes';
import { sumLine } from './reduce';

/** Bytes of what the gradient needs to know of a row: the mean and one over the deviation, in float64. */
const KEPT: usize = 16;

/**
 * out = gamma (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance of each row. `kept`, unless 0, takes KEPT bytes
 * per row.
 */
export function layerNorm(
  x: usize,
  gamma: usize,
  beta: usize,
  rows: i32,
  width: i32,
  epsilon: f64,
  kept: usize,
  out: usize,
): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < rows; row++) {
    const mean = sumLine(x, width) / <f64>width;
    const inverse = inverseDeviation(x, bytes, width, mean, epsilon);
    const scale = f64x2.splat(inverse);
    if (kept != 0) {
      store<f64>(kept, mean);
      store<f64>(kept, inverse, 8);
      kept += KEPT;
    }
    const centre = f64x2.splat(mean);
    for (let j: usize = 0; j < bytes; j += 16) {
      const four = loadLanes(x + j, bytes - j);
      const slope = loadLanes(gamma + j, bytes - j);
      const shift = loadLanes(beta + j, bytes - j);
      const low = f64x2.mul(f64x2.sub(f64x2.promote_low_f32x4(four), centre), scale);
      const high = f64x2.mul(f64x2.sub(high64(four), centre), scale);
      const found = join32(
        f64x2.add(f64x2.mul(low, f64x2.promote_low_f32x4(slope)), f64x2.promote_low_f32x4(shift)),
        f64x2.add(f64x2.mul(high, high64(slope)), high64(shift)),
      );
      storeLanes(out + j, found, bytes - j);
    }
    x += bytes;
    out += bytes;
  }
}

function inverseDeviation(x: usize, bytes: usize, width: i32, mean: f64, epsilon: f64): f64 {
  const centre = f64x2.splat(mean);
  const vectors = bytes & ~15;
  let low = f64x2.splat(0);
  let high = low;
  for (let j: usize = 0; j < vectors; j += 16) {
    const four = v128.load(x + j);
    const a = f64x2.sub(f64x2.promote_low_f32x4(four), centre);
    const b = f64x2.sub(high64(four), centre);
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  const both = f64x2.add(low, high);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (let j = vectors; j < bytes; j += 4) {
    const one = <f64>load<f32>(x + j) - mean;
    sum += one * one;
  }
  return 1 / sqrt(sum / <f64>width + epsilon);
}

/** With n the normalized row and g = gamma dy: dx = (g - mean of g - n * mean of g n) / deviation. */
export function layerNormGradient(
  dy: usize,
  x: usize,
  gamma: usize,
  kept: usize,
  rows: i32,
  width: i32,
  dx: usize,
): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < rows; row++) {
    const mean = v128.load64_splat(kept);
    const scale = v128.load64_splat(kept, 8);
    const means = f64x2.div(sumsOf(dy, x, gamma, bytes, mean, scale), f64x2.splat(<f64>width));
    const level = f64x2.splat(f64x2.extract_lane(means, 0));
    const along = f64x2.splat(f64x2.extract_lane(means, 1));
    for (let j: usize = 0; j < bytes; j += 16) {
      const left = bytes - j;
      const gradient = loadLanes(dy + j, left);
      const four = loadLanes(x + j, left);
      const slope = loadLanes(gamma + j, left);
      const low = f64x2.mul(f64x2.promote_low_f32x4(slope), f64x2.promote_low_f32x4(gradient));
      const high = f64x2.mul(high64(slope), high64(gradient));
      const lowNormal = normal(f64x2.promote_low_f32x4(four), mean, scale);
      const highNormal = normal(high64(four), mean, scale);
      const found = join32(
        f64x2.mul(f64x2.sub(f64x2.sub(low, level), f64x2.mul(lowNormal, along)), scale),
        f64x2.mul(f64x2.sub(f64x2.sub(high, level), f64x2.mul(highNormal, along)), scale),
      );
      storeLanes(dx + j, found, left);
    }
    dy += bytes;
    x += bytes;
    dx += bytes;
    kept += KEPT;
  }
}

function normal(x: v128, mean: v128, scale: v128): v128 {
  return f64x2.mul(f64x2.sub(x, mean), scale);
}

/** The sums over a row of g and of g n, each by two lanes in order. */
function sumsOf(dy: usize, x: usize, gamma: usize, bytes: usize, mean: v128, scale: v128): v128 {
  let total = f64x2.splat(0);
  let along = total;
  for (let j: usize = 0; j < bytes; j += 16) {
    const left = bytes - j;
    const gradient = loadLanes(dy + j, left);
    const four = loadLanes(x + j, left);
    const slope = loadLanes(gamma + j, left);
    const low = f64x2.promote_low_f32x4(gradient);
    const high = high64(gradient);
    const lowSlope = f64x2.promote_low_f32x4(slope);
    const highSlope = high64(slope);
    const lowProduct = f64x2.mul(low, normal(f64x2.promote_low_f32x4(four), mean, scale));
    const highProduct = f64x2.mul(high, normal(high64(four), mean, scale));
    total = f64x2.add(f64x2.add(total, f64x2.mul(lowSlope, low)), f64x2.mul(highSlope, high));
    along = f64x2.add(f64x2.add(along, f64x2.mul(lowSlope, lowProduct)), f64x2.mul(highSlope, highProduct));
  }
  return f64x2.add(i64x2.shuffle(total, along, 0, 2), i64x2.shuffle(total, along, 1, 3));
}

/**
 * dgamma and dbeta of the first `columns` of `width`: the sums of dy n and dy over the rows in order, kept in float64 in `scratch`, 64
 * bytes for four columns.
 */
export function layerNormSums(
  dy: usize,
  x: usize,
  kept: usize,
  rows: i32,
  columns: i32,
  width: i32,
  dgamma: usize,
  dbeta: usize,
  scratch: usize,
): void {
  const bytes = (<usize>columns) << 2;
  const step = (<usize>width) << 2;
  memory.fill(scratch, 0, (bytes + 15) << 2);
  for (let row = 0; row < rows; row++) {
    const mean = v128.load64_splat(kept);
    const scale = v128.load64_splat(kept, 8);
    let sums = scratch;
    for (let j: usize = 0; j < bytes; j += 16) {
      const gradient = loadLanes(dy + j, bytes - j);
      const four = loadLanes(x + j, bytes - j);
      const low = f64x2.promote_low_f32x4(gradient);
      const high = high64(gradient);
      const lowProduct = f64x2.mul(low, normal(f64x2.promote_low_f32x4(four), mean, scale));
      const highProduct = f64x2.mul(high, normal(high64(four), mean, scale));
      v128.store(sums, f64x2.add(v128.load(sums), lowProduct));
      v128.store(sums, f64x2.add(v128.load(sums, 16), highProduct), 16);
      v128.store(sums, f64x2.add(v128.load(sums, 32), low), 32);
      v128.store(sums, f64x2.add(v128.load(sums, 48), high), 48);
      sums += 64;
    }
    dy += step;
    x += step;
    kept += KEPT;
  }
  for (let j: usize = 0; j < bytes; j += 16) {
    storeLanes(dgamma + j, join32(v128.load(scratch), v128.load(scratch, 16)), bytes - j);
    storeLanes(dbeta + j, join32(v128.load(scratch, 32), v128.load(scratch, 48)), bytes - j);
    scratch += 64;
  }
}
