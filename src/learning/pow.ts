import { fromWords, highWord, lowWord, scale, topHalf } from './float64.js';

/** After fdlibm e_pow.c (Sun Microsystems 2004), see math.ts. */

const LN2 = 6.93147180559945286227e-1;
const LN2_HIGH = 6.93147182464599609375e-1;
const LN2_LOW = -1.90465429995776804525e-9;
/** 2 / (3 ln 2), in two parts. */
const CP = 9.61796693925975554329e-1;
const CP_HIGH = 9.61796700954437255859e-1;
const CP_LOW = -7.02846165095275826516e-9;
const INVERSE_LN2 = 1.442695040888963387;
const INVERSE_LN2_HIGH = 1.4426950216293335;
const INVERSE_LN2_LOW = 1.92596299112661746887e-8;
/** log2(1.5), in two parts. */
const LOG2_1_5_HIGH = 5.84962487220764160156e-1;
const LOG2_1_5_LOW = 1.35003920212974897128e-8;
/** How far 1024 - log2(the largest double plus half a unit) is below 0. */
const OVERFLOW_LEFT = 8.008566259537294e-17;

/** x^y with the special cases of ECMAScript: x^0 is 1 for any x, NaN included; 1^Infinity is NaN. */
export function pow(x: number, y: number): number {
  if (y === 0) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  const size = Math.abs(x);
  if (Math.abs(y) === Infinity) {
    if (size === 1) return NaN;
    return size > 1 === y > 0 ? Infinity : 0;
  }
  const isOdd = Number.isInteger(y) && Math.abs(y % 2) === 1;
  const isBelow = x < 0 || Object.is(x, -0);
  const sign = isBelow && isOdd ? -1 : 1;
  if (size === 0 || size === Infinity) return sign * ((size === 0) === y > 0 ? 0 : Infinity);
  if (isBelow && !Number.isInteger(y)) return NaN;
  if (size === 1) return sign;
  if (y === 1) return x;
  if (y === -1) return 1 / x;
  if (y === 2) return x * x;
  if (y === 0.5 && !isBelow) return Math.sqrt(x);
  if (Math.abs(y) > 2 ** 64) return sign * (size > 1 === y > 0 ? Infinity : 0);
  if (Math.abs(y) > 2 ** 31 && Math.abs(size - 1) > 2 ** -20) return sign * (size > 1 === y > 0 ? Infinity : 0);
  const log = Math.abs(y) > 2 ** 31 ? log2Near1(size) : log2(size);
  return sign * exp2Product(y, log);
}

/** log2 of a number > 0 in two parts, the first with a short mantissa. */
interface Log {
  readonly high: number;
  readonly low: number;
}

function log2Near1(x: number): Log {
  const t = x - 1;
  const w = t * t * (0.5 - t * (0.3333333333333333 - t * 0.25));
  const u = INVERSE_LN2_HIGH * t;
  const v = t * INVERSE_LN2_LOW - w * INVERSE_LN2;
  const high = topHalf(u + v);
  return { high, low: v - (high - u) };
}

function log2(x: number): Log {
  const isSmall = x < 2.2250738585072014e-308;
  const normal = isSmall ? x * 9007199254740992 : x;
  let n = (highWord(normal) >> 20) - 1023 - (isSmall ? 53 : 0);
  const mantissa = highWord(normal) & 0xfffff;
  let top = mantissa | 0x3ff00000;
  let is1_5 = false; // is the mantissa nearer to 1.5 than to 1 or 2?
  if (mantissa > 0x3988e) {
    if (mantissa < 0xbb67a) is1_5 = true;
    else {
      n += 1;
      top -= 0x100000;
    }
  }
  const a = fromWords(top, lowWord(normal));
  const b = is1_5 ? 1.5 : 1;
  // s = (a - b) / (a + b) in two parts
  let u = a - b;
  let v = 1 / (a + b);
  const s = u * v;
  const sHigh = topHalf(s);
  let tHigh = fromWords(((top >> 1) | 0x20000000) + 0x80000 + (is1_5 ? 1 << 18 : 0), 0);
  let tLow = a - (tHigh - b);
  const sLow = v * (u - sHigh * tHigh - sHigh * tLow);
  let square = s * s;
  let r =
    square *
    square *
    (5.99999999999994648725e-1 +
      square *
        (4.28571428578550184252e-1 +
          square *
            (3.33333329818377432918e-1 +
              square *
                (2.72728123808534006489e-1 +
                  square * (2.30660745775561754067e-1 + square * 2.06975017800338417784e-1)))));
  r += sLow * (sHigh + s);
  square = sHigh * sHigh;
  tHigh = topHalf(3 + square + r);
  tLow = r - (tHigh - 3 - square);
  u = sHigh * tHigh;
  v = sLow * tHigh + tLow * s;
  const pHigh = topHalf(u + v);
  const pLow = v - (pHigh - u);
  const zHigh = CP_HIGH * pHigh;
  const zLow = CP_LOW * pHigh + pLow * CP + (is1_5 ? LOG2_1_5_LOW : 0);
  const offset = is1_5 ? LOG2_1_5_HIGH : 0;
  const high = topHalf(zHigh + zLow + offset + n);
  return { high, low: zLow - (high - n - offset - zHigh) };
}

/** 2^(y * log). */
function exp2Product(y: number, log: Log): number {
  const yHigh = topHalf(y);
  const pLow = (y - yHigh) * log.high + y * log.low;
  let pHigh = yHigh * log.high;
  let z = pLow + pHigh;
  if (z > 1024 || (z === 1024 && pLow + OVERFLOW_LEFT > z - pHigh)) return Infinity;
  if (z < -1075 || (z === -1075 && pLow <= z - pHigh)) return 0;
  let n = 0;
  if (Math.abs(z) > 0.5) {
    n = Math.trunc(z + (z < 0 ? -0.5 : 0.5));
    pHigh -= n;
  }
  let t = topHalf(pLow + pHigh);
  const u = t * LN2_HIGH;
  const v = (pLow - (t - pHigh)) * LN2 + t * LN2_LOW;
  z = u + v;
  const w = v - (z - u);
  t = z * z;
  const t1 =
    z -
    t *
      (1.66666666666666019037e-1 +
        t *
          (-2.77777777770155933842e-3 +
            t * (6.61375632143793436117e-5 + t * (-1.6533902205465251539e-6 + t * 4.13813679705723846039e-8))));
  const r = (z * t1) / (t1 - 2) - (w + z * w);
  return scale(1 - (r - z), n);
}
