/** Powers as exact fractions where there are any, else by roots of whole numbers and by a long series: none of it as the code under test. */

const PLACES = 128n;

/** floor(2^128 (qPpm / 10^6)^(over / under)): the largest whole number whose power is not above. */
export function powerOf(qPpm: number, over: bigint, under: bigint): bigint {
  const g = common(over, under);
  const [a, b] = [over / g, under / g];
  // x <= 2^128 (p / 10^6)^(a / b) where x^b 10^(6 a) <= 2^(128 b) p^a
  const most = (1n << (PLACES * b)) * BigInt(qPpm) ** a;
  const scale = 1_000_000n ** a;
  let x = 0n;
  for (let bit = 1n << PLACES; bit > 0n; bit >>= 1n) if ((x + bit) ** b * scale <= most) x += bit;
  return x;
}

/** floor(2^128 e^-(over / under)), by halving the exponent until its series is short and squaring it again. */
export function expOf(over: bigint, under: bigint): bigint {
  const digits = 1_024n;
  const halvings = BigInt((over / under).toString(2).length);
  const z = (over << digits) / (under << halvings);
  let term = 1n << digits;
  let sum = term;
  for (let n = 1n; term > 0n; n++) {
    term = (term * z) / (n << digits);
    sum += term;
  }
  for (let i = 0n; i < halvings; i++) sum = (sum * sum) >> digits;
  return (1n << (digits + PLACES)) / sum;
}

function common(a: bigint, b: bigint): bigint {
  return b === 0n ? a : common(b, a % b);
}
