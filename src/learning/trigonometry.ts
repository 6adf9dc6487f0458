import { fromWords, highWord, powerOfTwo, scale } from './float64.js';

/** After fdlibm k_sin.c, k_cos.c and e_rem_pio2.c (Sun Microsystems 1993), see math.ts. */

/** Sine of an angle in radians; NaN for Infinity. */
export function sin(x: number): number {
  if (x === 0) return x;
  const { quadrant, high, low } = reduce(x);
  const value = quadrant % 2 === 0 ? sinNear0(high, low) : cosNear0(high, low);
  return quadrant < 2 ? value : -value;
}

/** Cosine of an angle in radians; NaN for Infinity. */
export function cos(x: number): number {
  const { quadrant, high, low } = reduce(x);
  const value = quadrant % 2 === 0 ? cosNear0(high, low) : sinNear0(high, low);
  return quadrant === 1 || quadrant === 2 ? -value : value;
}

/** |x| <= pi / 4 in two parts. */
function sinNear0(x: number, low: number): number {
  if (Math.abs(x) < 1.4901161193847656e-8) return x;
  const z = x * x;
  const v = z * x;
  const r =
    8.33333333332248946124e-3 +
    z *
      (-1.98412698298579493134e-4 +
        z * (2.75573137070700676789e-6 + z * (-2.50507602534068634195e-8 + z * 1.58969099521155010221e-10)));
  return x - (z * (0.5 * low - v * r) - low - v * -1.66666666666666324348e-1);
}

function cosNear0(x: number, low: number): number {
  const z = x * x;
  const r =
    z *
    (4.16666666666666019037e-2 +
      z *
        (-1.38888888888741095749e-3 +
          z *
            (2.48015872894767294178e-5 +
              z * (-2.75573143513906633035e-7 + z * (2.0875723212981748279e-9 + z * -1.13596475577881948265e-11)))));
  const size = Math.abs(x);
  if (size < 0.3) return 1 - (0.5 * z - (z * r - x * low));
  const q = size > 0.78125 ? 0.28125 : fromWords((highWord(x) & 0x7fffffff) - 0x200000, 0); // about |x| / 4
  return 1 - q - (0.5 * z - q - (z * r - x * low));
}

interface Reduced {
  /** 0 to 3: how many right angles, modulo 4, were taken away. */
  readonly quadrant: number;
  /** The rest, in [-pi/4, pi/4], in two parts. */
  readonly high: number;
  readonly low: number;
}

/** pi / 2 in three parts of 33 bits, each with what is left after it. */
const PARTS = [
  [1.57079632673412561417, 6.07710050650619224932e-11],
  [6.0771005063039659766e-11, 2.02226624879595063154e-21],
  [2.0222662487111664558e-21, 8.47842766036889956997e-32],
] as const;

function reduce(x: number): Reduced {
  if (!Number.isFinite(x)) return { quadrant: 0, high: NaN, low: NaN };
  const size = Math.abs(x);
  if (size <= 0.7853981633974483) return { quadrant: 0, high: x, low: 0 };
  const { turns, high, low } = size < 1_647_099 ? reduceFast(size) : reduceExactly(size);
  return x < 0 ? { quadrant: (4 - turns) % 4, high: -high, low: -low } : { quadrant: turns, high, low };
}

/** Below 2^20 right angles: n times each part of pi / 2 is exact. */
function reduceFast(size: number): { turns: number; high: number; low: number } {
  const n = Math.trunc(size * 6.36619772367581382433e-1 + 0.5);
  let r = size - n * PARTS[0][0];
  let w = n * PARTS[0][1];
  let high = r - w;
  // Many digits cancelled: take the next part as well.
  const exponent = (value: number): number => (highWord(value) >> 20) & 0x7ff;
  for (const [part, limit] of [
    [1, 16],
    [2, 49],
  ] as const) {
    if (exponent(size) - exponent(high) <= limit) break;
    const before = r;
    w = n * PARTS[part][0];
    r = before - w;
    w = n * PARTS[part][1] - (before - r - w);
    high = r - w;
  }
  return { turns: n % 4, high, low: r - high - w };
}

/** Fraction bits of pi below: the largest double has 1024 bits before the point, and the rest needs about 200 after it. */
const PI_BITS = 1_300n;

/** atan(1 / n) * 2^bits by its series. */
function arctangentOfInverse(n: bigint, bits: bigint): bigint {
  let power = (1n << bits) / n;
  let sum = power;
  for (let i = 3n, sign = -1n; power !== 0n; i += 2n, sign = -sign) {
    power /= n * n;
    sum += (sign * power) / i;
  }
  return sum;
}

let halfPi: bigint | undefined;
/** pi / 2 * 2^PI_BITS by Machin's formula: pi / 4 = 4 atan(1/5) - atan(1/239). */
function exactHalfPi(): bigint {
  const guard = 32n;
  const bits = PI_BITS + guard;
  halfPi ??= (2n * (4n * arctangentOfInverse(5n, bits) - arctangentOfInverse(239n, bits))) >> guard;
  return halfPi;
}

/** In whole numbers of 2^-PI_BITS: slow, and right for every double. */
function reduceExactly(size: number): { turns: number; high: number; low: number } {
  // From 2^20 on a double is a multiple of 2^-32.
  const exact = size < 2 ** 53 ? BigInt(size * 2 ** 32) << (PI_BITS - 32n) : BigInt(size) << PI_BITS;
  const right = exactHalfPi();
  const n = (2n * exact + right) / (2n * right);
  const rest = exact - n * right;
  const high = toNumber(rest);
  // No double comes nearer to a multiple of pi / 2 than 2^-70: this is a whole number.
  const taken = BigInt(high * powerOfTwo(1_000)) << (PI_BITS - 1_000n);
  return { turns: Number(n % 4n), high, low: toNumber(rest - taken) };
}

/** In units of 2^-PI_BITS. */
function toNumber(value: bigint): number {
  const digits = (value < 0n ? -value : value).toString(16).length;
  const dropped = Math.max(0, digits - 20) * 4;
  return scale(Number(value >> BigInt(dropped)), dropped - Number(PI_BITS));
}
