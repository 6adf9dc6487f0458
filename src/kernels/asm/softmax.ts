import { exp32, high64, join32 } from './exp';
import { largest } from './reduce';

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
