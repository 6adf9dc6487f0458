import { exp32, exp64, high64, join32 } from './exp';
import { loadLanes, storeLanes } from './lanes';
import { log64 } from './log';
import { largest, sumLine } from './reduce';

/** Each of `rows` rows of `width` values to e^(x - largest) over the sum of those, added in float64. */
export function softmax(x: usize, rows: i32, width: i32, out: usize): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < rows; row++) {
    softmaxRow(x, width, 1, out);
    x += bytes;
    out += bytes;
  }
}

/** softmax of `scale` times a row; in place too. */
export function softmaxRow(x: usize, width: i32, scale: f32, out: usize): void {
  const sum = powers(x, width, scale * largest(x, width), scale, out);
  const bytes = (<usize>width) << 2;
  const vectors = bytes & ~15;
  const share = f64x2.splat(1 / sum);
  for (let j: usize = 0; j < vectors; j += 16) {
    const four = v128.load(out + j);
    v128.store(out + j, join32(f64x2.mul(f64x2.promote_low_f32x4(four), share), f64x2.mul(high64(four), share)));
  }
  for (let j = vectors; j < bytes; j += 4) store<f32>(out + j, <f32>(<f64>load<f32>(out + j) * (1 / sum)));
}

/** Writes e^(scale x - top) of each value and answers their sum: four side by side, then one. */
function powers(x: usize, width: i32, top: f32, scale: f32, out: usize): f64 {
  const bytes = (<usize>width) << 2;
  const vectors = bytes & ~15;
  const tops = f32x4.splat(top);
  const scales = f32x4.splat(scale);
  let low = f64x2.splat(0);
  let high = low;
  for (let j: usize = 0; j < vectors; j += 16) {
    const four = exp32(f32x4.sub(f32x4.mul(v128.load(x + j), scales), tops));
    v128.store(out + j, four);
    low = f64x2.add(low, f64x2.promote_low_f32x4(four));
    high = f64x2.add(high, high64(four));
  }
  const both = f64x2.add(low, high);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (let j = vectors; j < bytes; j += 4) {
    const one = f32x4.extract_lane(exp32(f32x4.splat(load<f32>(x + j) * scale - top)), 0);
    store<f32>(out + j, one);
    sum += <f64>one;
  }
  return sum;
}

/**
 * softmax of `scale` times each row, of which row r sees the first r + 1 values alone when `causal`: the others become
 * zeros.
 */
export function attentionWeights(x: usize, height: i32, width: i32, scale: f32, causal: bool, out: usize): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < height; row++) {
    const seen = causal ? min(width, row + 1) : width;
    softmaxRow(x, seen, scale, out);
    for (let j = (<usize>seen) << 2; j < bytes; j += 16) storeLanes(out + j, f32x4.splat(0), bytes - j); // memory.fill is slow to start
    x += bytes;
    out += bytes;
  }
}

/** Of dL/dy and y = softmax(x): scale y (dy - sum of dy y), worked out in float64; into dy too. */
export function softmaxGradient(dy: usize, y: usize, rows: i32, width: i32, scale: f64, out: usize): void {
  const bytes = (<usize>width) << 2;
  const scales = f64x2.splat(scale);
  for (let row = 0; row < rows; row++) {
    const sum = f64x2.splat(dot(dy, y, bytes));
    for (let j: usize = 0; j < bytes; j += 16) {
      const one = loadLanes(dy + j, bytes - j);
      const other = loadLanes(y + j, bytes - j);
      const low = f64x2.mul(scales, f64x2.promote_low_f32x4(other));
      const high = f64x2.mul(scales, high64(other));
      const found = join32(
        f64x2.mul(low, f64x2.sub(f64x2.promote_low_f32x4(one), sum)),
        f64x2.mul(high, f64x2.sub(high64(one), sum)),
      );
      storeLanes(out + j, found, bytes - j);
    }
    dy += bytes;
    y += bytes;
    out += bytes;
  }
}

/** Four sums side by side, then one. */
function dot(a: usize, b: usize, bytes: usize): f64 {
  let low = f64x2.splat(0);
  let high = low;
  for (let j: usize = 0; j < bytes; j += 16) {
    const one = loadLanes(a + j, bytes - j);
    const other = loadLanes(b + j, bytes - j);
    low = f64x2.add(low, f64x2.mul(f64x2.promote_low_f32x4(one), f64x2.promote_low_f32x4(other)));
    high = f64x2.add(high, f64x2.mul(high64(one), high64(other)));
  }
  const both = f64x2.add(low, high);
  return f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
}

/** x - largest - log of the sum of e^(x - largest), for each row; worked out in float64. */
export function logSoftmax(x: usize, rows: i32, width: i32, out: usize): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < rows; row++) {
    const top = largest(x, width);
    const sum = powers(x, width, top, 1, out);
    const shift = f64x2.add(f64x2.splat(<f64>top), log64(f64x2.splat(sum)));
    for (let j: usize = 0; j < bytes; j += 16) {
      const four = loadLanes(x + j, bytes - j);
      const found = join32(f64x2.sub(f64x2.promote_low_f32x4(four), shift), f64x2.sub(high64(four), shift));
      storeLanes(out + j, found, bytes - j);
    }
    x += bytes;
    out += bytes;
  }
}

/** Of dL/dy and y = logSoftmax(x): dy - e^y times the sum of dy, worked out in float64. */
export function logSoftmaxGradient(dy: usize, y: usize, rows: i32, width: i32, out: usize): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < rows; row++) {
    const sum = f64x2.splat(sumLine(dy, width));
    for (let j: usize = 0; j < bytes; j += 16) {
      const one = loadLanes(dy + j, bytes - j);
      const other = loadLanes(y + j, bytes - j);
      const found = join32(
        f64x2.sub(f64x2.promote_low_f32x4(one), f64x2.mul(sum, exp64(f64x2.promote_low_f32x4(other)))),
        f64x2.sub(high64(one), f64x2.mul(sum, exp64(high64(other)))),
      );
      storeLanes(out + j, found, bytes - j);
    }
    dy += bytes;
    y += bytes;
    out += bytes;
  }
}
