import { fromWords, highWord, lowWord, powerOfTwo, scale } from './float64.js';

/**
 * Elementary functions from + - * / alone, so that everything computed with them has the same bits on every machine and V8 version
 * (`Math.pow` alone differs in a tenth of all doubles between Node 22 and 24). After fdlibm (Sun Microsystems 1993); below 1 unit in
 * the last place, `pow` below 0.7. pow.ts and trigonometry.ts hold the longer ones.
 */

export { pow } from './pow.js';
export { cos, sin } from './trigonometry.js';

const LN2_HIGH = 6.9314718036912381649e-1;
const LN2_LOW = 1.90821492927058770002e-10;
const INVERSE_LN2 = 1.442695040888963387;

/** e^x: 0 below -745.14, Infinity above 709.79, NaN for NaN. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x < -745.1332191019412) return 0;
  if (x > 709.782712893384) return Infinity;
  const k = Math.trunc(INVERSE_LN2 * x + (x < 0 ? -0.5 : 0.5));
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low; // |r| <= ln(2) / 2
  const t = r * r;
  const c =
    r -
    t *
      (1.66666666666666019037e-1 +
        t *
          (-2.77777777770155933842e-3 +
            t * (6.61375632143793436117e-5 + t * (-1.6533902205465251539e-6 + t * 4.13813679705723846039e-8))));
  return scale(1 - (low - (r * c) / (2 - c) - high), k);
}

/** Natural logarithm: -Infinity at 0, NaN below. */
export function log(x: number): number {
  if (x === 0) return -Infinity;
  if (!(x > 0)) return NaN;
  if (x === Infinity) return x;
  // Numbers below 2^-1022 have fewer digits: make them normal first.
  const isSmall = x < 2.2250738585072014e-308;
  const normal = isSmall ? x * powerOfTwo(54) : x;
  const top = highWord(normal);
  const mantissa = top & 0xfffff;
  const carry = (mantissa + 0x95f64) & 0x100000; // halve the mantissa above sqrt(2)
  const k = (top >>> 20) - 1023 + (carry >>> 20) - (isSmall ? 54 : 0);
  const f = fromWords(mantissa | (carry ^ 0x3ff00000), lowWord(normal)) - 1; // in [sqrt(1/2) - 1, sqrt(2) - 1]
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const even = w * (3.999999999940941908e-1 + w * (2.222219843214978396e-1 + w * 1.531383769920937332e-1));
  const odd =
    z *
    (6.66666666666673513e-1 +
      w * (2.857142874366239149e-1 + w * (1.818357216161805012e-1 + w * 1.479819860511658591e-1)));
  const halfSquare = 0.5 * f * f;
  return s * (halfSquare + odd + even) + k * LN2_LOW - halfSquare + f + k * LN2_HIGH;
}

/** e^x - 1 for |x| <= 50, exact near 0 where e^x - 1 is not. */
function expMinusOne(x: number): number {
  if (Math.abs(x) < 5.551115123125783e-17) return x;
  const k = Math.abs(x) <= 0.34657359027997264 ? 0 : Math.trunc(INVERSE_LN2 * x + (x < 0 ? -0.5 : 0.5));
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const c = high - r - low;
  const half = 0.5 * r;
  const s = r * half;
  const q =
    1 +
    s *
      (-3.33333333333331316428e-2 +
        s *
          (1.58730158725481460165e-3 +
            s * (-7.93650757867487942473e-5 + s * (4.00821782732936239552e-6 + s * -2.01099218183624371326e-7))));
  const t = 3 - q * half;
  const e = s * ((q - t) / (6 - r * t));
  if (k === 0) return r - (r * e - s);
  const d = r * (e - c) - c - s;
  if (k === -1) return 0.5 * (r - d) - 0.5;
  if (k === 1) return r < -0.25 ? -2 * (d - (r + 0.5)) : 1 + 2 * (r - d);
  if (k <= -2 || k > 56) return scale(1 - (d - r), k) - 1;
  if (k < 20) return scale(1 - powerOfTwo(-k) - (d - r), k);
  return scale(r - (d + powerOfTwo(-k)) + 1, k);
}

/** Hyperbolic tangent, in [-1, 1]. */
export function tanh(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  const size = Math.abs(x);
  if (size >= 22) return x < 0 ? -1 : 1;
  let value: number;
  if (size >= 1) value = 1 - 2 / (expMinusOne(2 * size) + 2);
  else {
    const t = expMinusOne(-2 * size);
    value = -t / (t + 2);
  }
  return x < 0 ? -value : value;
}
