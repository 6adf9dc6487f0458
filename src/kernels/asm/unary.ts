import { exp64, high64, join32 } from './exp';
import { log64 } from './log';

/** Numbers of the functions, as in ../unary.ts. */
const EXP = 0;
const LOG = 1;
const TANH = 2;

/** out[i] = f(x[i]), each worked out in float64 and rounded once. */
export function unary(x: usize, count: i32, kind: i32, out: usize): void {
  const end = x + ((<usize>count) << 2);
  for (; x + 16 <= end; x += 16) {
    v128.store(out, apply(v128.load(x), kind));
    out += 16;
  }
  for (; x < end; x += 4) {
    store<f32>(out, f32x4.extract_lane(apply(f32x4.splat(load<f32>(x)), kind), 0));
    out += 4;
  }
}

function apply(x: v128, kind: i32): v128 {
  const low = f64x2.promote_low_f32x4(x);
  const high = high64(x);
  if (kind == EXP) return join32(exp64(low), exp64(high));
  if (kind == LOG) return join32(log64(low), log64(high));
  if (kind == TANH) return join32(tanh64(low), tanh64(high));
  return join32(sigmoid64(low), sigmoid64(high));
}

/** 1 / (1 + e^-x) */
export function sigmoid64(x: v128): v128 {
  const one = f64x2.splat(1);
  return f64x2.div(one, f64x2.add(one, exp64(f64x2.neg(x))));
}

/** (1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x; x itself below 1e-4, where x^3 / 3 is lost in rounding. */
export function tanh64(x: v128): v128 {
  const one = f64x2.splat(1);
  const size = f64x2.abs(x);
  const power = exp64(f64x2.mul(size, f64x2.splat(-2)));
  const found = f64x2.div(f64x2.sub(one, power), f64x2.add(one, power));
  const signed = v128.or(found, v128.and(x, f64x2.splat(-0.0)));
  return v128.bitselect(x, signed, f64x2.lt(size, f64x2.splat(1e-4)));
}
