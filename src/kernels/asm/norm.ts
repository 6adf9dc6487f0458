// Layer normalization (Ba et al. 2016, arXiv:1607.06450) over rows of `width` values, worked out in float64.

import { high64, join32 } from './exp';
import { loadLanes, storeLanes } from './lanes';
import { sumLine } from './reduce';

/** out = gamma (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance of each row. */
export function layerNorm(x: usize, gamma: usize, beta: usize, rows: i32, width: i32, epsilon: f64, out: usize): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < rows; row++) {
    const mean = sumLine(x, width) / <f64>width;
    const scale = f64x2.splat(inverseDeviation(x, bytes, width, mean, epsilon));
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

/**
 * With n the normalized row and g = gamma dy: dx = (g - mean of g - n * mean of g n) / deviation. dgamma and dbeta are
 * the sums of dy n and dy over the rows in order, kept in float64 in `scratch`, 16 bytes per value of a row.
 */
export function layerNormGradient(
  dy: usize,
  x: usize,
  gamma: usize,
  rows: i32,
  width: i32,
  epsilon: f64,
  dx: usize,
  dgamma: usize,
  dbeta: usize,
  scratch: usize,
): void {
  const bytes = (<usize>width) << 2;
  memory.fill(scratch, 0, bytes << 2);
  for (let row = 0; row < rows; row++) {
    const mean = sumLine(x, width) / <f64>width;
    const scale = inverseDeviation(x, bytes, width, mean, epsilon);
    const sums = add(dy, x, gamma, bytes, mean, scale, scratch);
    const means = f64x2.div(sums, f64x2.splat(<f64>width));
    writeRow(dy, x, gamma, bytes, mean, scale, means, dx);
    dy += bytes;
    x += bytes;
    dx += bytes;
  }
  for (let i: usize = 0; i < bytes; i += 4) {
    store<f32>(dgamma + i, <f32>load<f64>(scratch + (i << 1)));
    store<f32>(dbeta + i, <f32>load<f64>(scratch + ((bytes + i) << 1)));
  }
}

/** Adds a row to the sums of dgamma and dbeta; answers the sums of g and of g n. */
function add(dy: usize, x: usize, gamma: usize, bytes: usize, mean: f64, scale: f64, sums: usize): v128 {
  let total = f64x2.splat(0);
  let along = total;
  for (let j: usize = 0; j < bytes; j += 8) {
    const gradient = loadTwo(dy + j, bytes - j);
    const normal = f64x2.mul(f64x2.sub(loadTwo(x + j, bytes - j), f64x2.splat(mean)), f64x2.splat(scale));
    const product = f64x2.mul(gradient, normal);
    const slope = loadTwo(gamma + j, bytes - j);
    total = f64x2.add(total, f64x2.mul(slope, gradient));
    along = f64x2.add(along, f64x2.mul(slope, product));
    addTwo(sums + (j << 1), product, bytes - j);
    addTwo(sums + ((bytes + j) << 1), gradient, bytes - j);
  }
  return f64x2.add(i64x2.shuffle(total, along, 0, 2), i64x2.shuffle(total, along, 1, 3));
}

function writeRow(
  dy: usize,
  x: usize,
  gamma: usize,
  bytes: usize,
  mean: f64,
  scale: f64,
  means: v128,
  dx: usize,
): void {
  const level = f64x2.splat(f64x2.extract_lane(means, 0));
  const along = f64x2.splat(f64x2.extract_lane(means, 1));
  for (let j: usize = 0; j < bytes; j += 8) {
    const normal = f64x2.mul(f64x2.sub(loadTwo(x + j, bytes - j), f64x2.splat(mean)), f64x2.splat(scale));
    const g = f64x2.mul(loadTwo(gamma + j, bytes - j), loadTwo(dy + j, bytes - j));
    const rest = f64x2.sub(f64x2.sub(g, level), f64x2.mul(normal, along));
    const found = f32x4.demote_f64x2_zero(f64x2.mul(rest, f64x2.splat(scale)));
    if (bytes - j >= 8) v128.store64_lane(dx + j, found, 0);
    else v128.store32_lane(dx + j, found, 0);
  }
}

/** Two values as float64, or one and zero. */
function loadTwo(at: usize, bytes: usize): v128 {
  return f64x2.promote_low_f32x4(bytes >= 8 ? v128.load64_zero(at) : v128.load32_zero(at));
}

function addTwo(sums: usize, values: v128, bytes: usize): void {
  if (bytes >= 8) v128.store(sums, f64x2.add(v128.load(sums), values));
  else store<f64>(sums, load<f64>(sums) + f64x2.extract_lane(values, 0));
}
