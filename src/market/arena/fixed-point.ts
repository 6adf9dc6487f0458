/**
 * Powers as integers, so that what they pay is the same on every machine to the msat: arguments in 2^-160, results in 2^-128. Rewards
 * that fall off by rank or by deviation (AIArena, arXiv:2412.14566) need them; the source leaves rounding open.
 */

/** Digits behind the point of an argument. */
export const ARGUMENT_BITS = 160n;
/** Digits behind the point of a result: weights below 2^-128 are 0. */
export const RESULT_BITS = 128n;

const ONE = 1n << ARGUMENT_BITS;
/** floor(ln 2 * 2^160). */
const LN2 = 0xb17217f7d1cf79abc9e3b39803f2f6af40f34326n;

/** A quotient of whole numbers >= 0 as an argument, rounded down. @param denominator  > 0 */
export function argument(numerator: bigint, denominator: bigint): bigint {
  return (numerator << ARGUMENT_BITS) / denominator;
}

/** 2^-y: below by less than 2^-128 + 2^-152, above by less than 2^-152; exact for whole y <= 128. @param y  >= 0 */
export function twoToMinus(y: bigint): bigint {
  const whole = y >> ARGUMENT_BITS;
  if (whole > RESULT_BITS) return 0n;
  const rest = y - (whole << ARGUMENT_BITS);
  return toResult(expMinusSmall((rest * LN2) >> ARGUMENT_BITS), whole);
}

/** e^-z: below by less than 2^-128 + 2^-152, above by less than 2^-152. @param z  >= 0 */
export function expMinus(z: bigint): bigint {
  const whole = z / LN2;
  return whole > RESULT_BITS ? 0n : toResult(expMinusSmall(z - whole * LN2), whole);
}

/**
 * -log2(q): below by less than 2^-159; exact for powers of 1/2. One bit after the other: the logarithm of a square is twice as large. A
 * square is cut at 2^-192, which the k-th bit weighs by 2^-k.
 *
 * @param qPpm  q in ppm, in [1, 1,000,000]
 */
export function minusLog2(qPpm: number): bigint {
  const digits = 192n;
  let x = (1_000_000n << digits) / BigInt(qPpm);
  let log = 0n;
  for (; x >> digits >= 2n; x >>= 1n) log += ONE;
  for (let bit = ONE >> 1n; bit > 0n; bit >>= 1n) {
    x = (x * x) >> digits;
    if (x >> digits < 2n) continue;
    log += bit;
    x >>= 1n;
  }
  return log;
}

/** e^-t in 2^-160 for t in [0, ln 2] by its power series; each of its at most 40 terms is cut by less than 2^-159. */
function expMinusSmall(t: bigint): bigint {
  let sum = ONE;
  let term = ONE;
  for (let k = 1n; term > 0n; k++) {
    term = (term * t) / (k << ARGUMENT_BITS);
    sum += k % 2n === 0n ? term : -term;
  }
  return sum;
}

function toResult(value: bigint, halvings: bigint): bigint {
  return value >> (ARGUMENT_BITS - RESULT_BITS + halvings);
}
