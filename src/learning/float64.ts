/** The two halves of a double: hidden in one place, the same on every machine whatever its byte order. */

const scratch = new DataView(new ArrayBuffer(8));

/** Upper 32 bits, signed: sign, exponent, top of the mantissa. */
export function highWord(x: number): number {
  scratch.setFloat64(0, x);
  return scratch.getInt32(0);
}

export function lowWord(x: number): number {
  scratch.setFloat64(0, x);
  return scratch.getUint32(4);
}

export function fromWords(high: number, low: number): number {
  scratch.setInt32(0, high);
  scratch.setUint32(4, low);
  return scratch.getFloat64(0);
}

/** The same number with the lower half of its mantissa zero: products of two such numbers are exact. */
export function topHalf(x: number): number {
  return fromWords(highWord(x), 0);
}

/** 2^k for an integer k in [-1022, 1023]. */
export function powerOfTwo(k: number): number {
  return fromWords((k + 1023) << 20, 0);
}

/** x * 2^k, rounded once; |x| in [0.5, 2^53], |k| <= 2000. */
export function scale(x: number, k: number): number {
  if (k > 1023) return x * powerOfTwo(1023) * powerOfTwo(Math.min(k - 1023, 1023));
  if (k >= -1022) return x * powerOfTwo(k);
  // Only the last factor may leave the normal numbers.
  return x * powerOfTwo(-969) * powerOfTwo(Math.max(k + 969, -1022));
}
