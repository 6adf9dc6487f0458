// Natural logarithm of our own, in float64: fdlibm's e_log.c (Sun Microsystems 1993) for two lanes at a time.

const LN2_HIGH: f64 = 6.9314718036912381649e-1;
const LN2_LOW: f64 = 1.90821492927058770002e-10;
const ROOT_2: f64 = 1.4142135623730951;

/** ln of two float64 that were float32 (so none of them is denormal). Zero: -Infinity; below zero: NaN. */
export function log64(x: v128): v128 {
  const bits = v128.and(x, i64x2.splat(0x000fffffffffffff));
  const whole = v128.or(bits, i64x2.splat(0x3ff0000000000000)); // mantissa in [1, 2)
  const above = f64x2.gt(whole, f64x2.splat(ROOT_2));
  const mantissa = v128.bitselect(f64x2.mul(whole, f64x2.splat(0.5)), whole, above);
  const exponent = i64x2.sub(i64x2.sub(i64x2.shr_u(x, 52), i64x2.splat(1023)), above); // above is -1 or 0
  const k = f64x2.convert_low_i32x4_s(i32x4.shuffle(exponent, exponent, 0, 2, 0, 2));
  const f = f64x2.sub(mantissa, f64x2.splat(1));
  const s = f64x2.div(f, f64x2.add(f64x2.splat(2), f));
  const z = f64x2.mul(s, s);
  const half = f64x2.mul(f64x2.splat(0.5), f64x2.mul(f, f));
  const inner = f64x2.add(f64x2.mul(s, f64x2.add(half, series(z))), f64x2.mul(k, f64x2.splat(LN2_LOW)));
  const found = f64x2.add(f64x2.mul(k, f64x2.splat(LN2_HIGH)), f64x2.add(f64x2.sub(inner, half), f));
  const zero = f64x2.splat(0);
  const whereZero = v128.bitselect(f64x2.splat(-Infinity), found, f64x2.eq(x, zero));
  const infinite = v128.bitselect(x, whereZero, f64x2.eq(x, f64x2.splat(Infinity)));
  return v128.bitselect(f64x2.splat(NaN), infinite, v128.or(f64x2.lt(x, zero), f64x2.ne(x, x)));
}

/** fdlibm's R: 2/3 z + 2/5 z^2 + ..., as a polynomial fitted on [0, 0.1716]. */
function series(z: v128): v128 {
  let sum = f64x2.splat(1.479819860511658591e-1);
  sum = next(sum, z, 1.531383769920937332e-1);
  sum = next(sum, z, 1.818357216161805012e-1);
  sum = next(sum, z, 2.222219843214978396e-1);
  sum = next(sum, z, 2.857142874366239149e-1);
  sum = next(sum, z, 3.999999999940941908e-1);
  sum = next(sum, z, 6.66666666666673513e-1);
  return f64x2.mul(sum, z);
}

function next(sum: v128, z: v128, coefficient: f64): v128 {
  return f64x2.add(f64x2.mul(sum, z), f64x2.splat(coefficient));
}
