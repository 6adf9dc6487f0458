/**
 * exp and log from + - * / alone, so that losses have the same bits on every machine and V8 version.
 * Constants and reductions: fdlibm e_exp.c and e_log.c (Sun Microsystems 1993), below 1 ulp.
 */
const LN2_HIGH = 6.9314718036912381649e-1;
const LN2_LOW = 1.90821492927058770002e-10;
const INVERSE_LN2 = 1.442695040888963387;

const scratch = new DataView(new ArrayBuffer(8));

/** 2^k for an integer k in [-1022, 1023]. */
function powerOfTwo(k: number): number {
  scratch.setUint32(0, (k + 1023) << 20);
  scratch.setUint32(4, 0);
  return scratch.getFloat64(0);
}

/** e^x. Below -708 (the edge of normal numbers) the answer is 0; above 709 Infinity; NaN stays NaN. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x < -708) return 0;
  if (x > 709) return Infinity;
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
  return (1 - (low - (r * c) / (2 - c) - high)) * powerOfTwo(k);
}

/** Natural logarithm of a normal number > 0 (>= 2^-1022), or Infinity; NaN for anything else. */
export function log(x: number): number {
  if (x === Infinity) return x;
  if (!(x >= 2.2250738585072014e-308)) return NaN;
  scratch.setFloat64(0, x);
  const top = scratch.getUint32(0);
  const mantissa = top & 0xfffff;
  const carry = (mantissa + 0x95f64) & 0x100000; // halve the mantissa above sqrt(2)
  const k = (top >>> 20) - 1023 + (carry >>> 20);
  scratch.setUint32(0, mantissa | (carry ^ 0x3ff00000));
  const f = scratch.getFloat64(0) - 1; // in [sqrt(1/2) - 1, sqrt(2) - 1]
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
