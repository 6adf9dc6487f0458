// e^x of our own: only + - * and shifts of bits, so the same on every machine. Worked out in float64 and rounded once,
// it is the float32 nearest to e^x but for about one value in ten thousand, where it is the next one.

const LN2_HIGH: f64 = 6.9314718036912381649e-1; // fdlibm's split of ln 2: k * LN2_HIGH is exact for the k at hand
const LN2_LOW: f64 = 1.90821492927058770002e-10;
const INVERSE_LN2: f64 = 1.442695040888963387;

const ROUND: f64 = 6755399441055744; // 1.5 * 2^52: adding it rounds to a whole number, which the low bits then hold

/** e^x of two float64, for results that are rounded to float32: outside of [-200, 200] the answer is that of the edge. */
export function exp64(value: v128): v128 {
  const x = f64x2.pmax(f64x2.pmin(value, f64x2.splat(200)), f64x2.splat(-200)); // NaN stays
  const shifted = f64x2.add(f64x2.mul(x, f64x2.splat(INVERSE_LN2)), f64x2.splat(ROUND));
  const k = f64x2.sub(shifted, f64x2.splat(ROUND));
  const r = f64x2.sub(f64x2.sub(x, f64x2.mul(k, f64x2.splat(LN2_HIGH))), f64x2.mul(k, f64x2.splat(LN2_LOW))); // |r| <= ln(2) / 2; the rest of Taylor's series after r^9 is below 7e-12
  let sum = f64x2.splat(1.0 / 362880.0);
  sum = term(sum, r, 1.0 / 40320.0);
  sum = term(sum, r, 1.0 / 5040.0);
  sum = term(sum, r, 1.0 / 720.0);
  sum = term(sum, r, 1.0 / 120.0);
  sum = term(sum, r, 1.0 / 24.0);
  sum = term(sum, r, 1.0 / 6.0);
  sum = term(sum, r, 0.5);
  sum = term(sum, r, 1.0);
  sum = term(sum, r, 1.0);
  return f64x2.mul(sum, i64x2.shl(i64x2.add(shifted, i64x2.splat(1023)), 52));
}

/** e^x of four float32. */
export function exp32(x: v128): v128 {
  return join32(exp64(f64x2.promote_low_f32x4(x)), exp64(high64(x)));
}

function term(sum: v128, r: v128, coefficient: f64): v128 {
  return f64x2.add(f64x2.mul(sum, r), f64x2.splat(coefficient));
}

/**
 * e^x of four float32 in float32 alone, within 2e-7 of itself: a third of the work of `exp32`. Outside of [-87, 88] the answer is that
 * of the edge. The polynomial is that of Cephes (Moshier 1989, expf.c).
 */
export function quickExp32(value: v128): v128 {
  const x = f32x4.pmax(f32x4.pmin(value, f32x4.splat(88)), f32x4.splat(-87)); // NaN stays
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(<f32>INVERSE_LN2)), f32x4.splat(12582912)); // 1.5 * 2^23, as ROUND
  const k = f32x4.sub(shifted, f32x4.splat(12582912));
  const high = f32x4.sub(x, f32x4.mul(k, f32x4.splat(0.693359375)));
  const r = f32x4.add(high, f32x4.mul(k, f32x4.splat(2.1219444e-4)));
  let sum = f32x4.splat(1.98756915e-4);
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1.3981999507e-3));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(8.3334519073e-3));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(4.1665795894e-2));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1.6666665459e-1));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(5.0000001201e-1));
  sum = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(r, r), sum), r), f32x4.splat(1));
  return f32x4.mul(sum, i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23));
}

/** The upper two of four float32, as float64. */
export function high64(x: v128): v128 {
  return f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 0));
}

/** Two pairs of float64, rounded to four float32. */
export function join32(low: v128, high: v128): v128 {
  return i64x2.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}
