import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hex, sha256 } from '../../src/hash.js';
import { cos, exp, log, pow, sin, tanh } from '../../src/learning/math.js';
import { prng } from '../../src/learning/prng.js';

const functions: Readonly<Record<string, (x: number, y: number) => number>> = { exp, log, tanh, sin, cos, pow };
/** Arguments and correctly rounded results, from arbitrary precision: make-math-vectors.py. */
const vectors = JSON.parse(readFileSync(new URL('../vectors/learning/math.json', import.meta.url), 'utf8')) as Record<
  string,
  string[][]
>;

const doubleOf = (digits: string): number => Buffer.from(digits, 'hex').readDoubleBE();

/** Distance in units of the last place, also across 0. */
function ulps(a: number, b: number): number {
  const place = (x: number): bigint => {
    const bits = new BigInt64Array(Float64Array.of(x).buffer)[0]!;
    return bits < 0n ? -(bits & 0x7fff_ffff_ffff_ffffn) : bits;
  };
  const distance = place(a) - place(b);
  return Number(distance < 0n ? -distance : distance);
}

test.each(Object.keys(functions))('%s is within 1 unit in the last place of the correctly rounded result', (name) => {
  const rows = vectors[name]!;
  expect(rows.length).toBeGreaterThan(140);
  const off = rows.map((row) => {
    const [x, y, wanted] = [doubleOf(row[0]!), doubleOf(row.at(-2)!), doubleOf(row.at(-1)!)];
    return { x, y, wanted, got: functions[name]!(x, y) };
  });
  const worst = off.map((one) => ({ ...one, ulps: ulps(one.got, one.wanted) })).sort((a, b) => b.ulps - a.ulps)[0]!;
  expect(worst.ulps, JSON.stringify(worst)).toBeLessThanOrEqual(1);
  // Most are the nearest double itself.
  expect(off.filter(({ got, wanted }) => got === wanted).length / off.length).toBeGreaterThan(0.7);
});

/** Arguments over all sizes; the bits of these results are the same on every machine, or work cannot be repeated elsewhere. */
test('20,000 results have the bits that they had', () => {
  const stream = prng(sha256('math'), 'arguments');
  const results = new Float64Array(20_000);
  const names = Object.keys(functions);
  for (let i = 0; i < results.length; i++) {
    const [a, b] = [2 * stream.float() - 1, 2 * stream.float() - 1];
    const x = a * 4 ** (i % 20);
    results[i] = functions[names[i % names.length]!]!(names[i % names.length] === 'log' ? Math.abs(x) : x, b * 30);
  }
  expect(hex(sha256(new Uint8Array(results.buffer)))).toBe(
    'a4ad2dfff2e1daa269ca0eb2fc84a3bd5f00601e9f4208bd07fa1fb1b478ffb7',
  );
});

test('at the ends and outside of their domains', () => {
  expect([exp(-1000), exp(1000), exp(-Infinity), exp(NaN)]).toEqual([0, Infinity, 0, NaN]);
  expect([log(Infinity), log(0), log(-0), log(-1), log(NaN)]).toEqual([Infinity, -Infinity, -Infinity, NaN, NaN]);
  expect([tanh(Infinity), tanh(-30), tanh(NaN), tanh(-0)]).toEqual([1, -1, NaN, -0]);
  expect([sin(Infinity), sin(NaN), sin(-0), cos(0), cos(-Infinity)]).toEqual([NaN, NaN, -0, 1, NaN]);
});

/** ECMA-262, Number::exponentiate. */
test('pow treats special values as ECMAScript does', () => {
  const values = [
    0,
    -0,
    1,
    -1,
    0.5,
    -0.5,
    2,
    -2,
    3,
    -3,
    2 ** 53,
    -(2 ** 53) - 1,
    1e300,
    5e-324,
    Infinity,
    -Infinity,
    NaN,
  ];
  for (const x of values)
    for (const y of values) {
      const isExact = [0, 1, Infinity].includes(Math.abs(x ** y)) || Number.isNaN(x ** y);
      if (isExact) expect(pow(x, y), `${x} ** ${y}`).toBe(x ** y);
      else expect(ulps(pow(x, y), x ** y), `${x} ** ${y}`).toBeLessThanOrEqual(1);
    }
});

test('constants', () => {
  expect([exp(0), exp(1), exp(-1), exp(-0.5)]).toEqual([
    1, 2.7182818284590455, 0.36787944117144233, 0.6065306597126334,
  ]);
  expect([log(1), log(2), log(10), log(Math.E)]).toEqual([0, Math.LN2, Math.LN10, 1]);
  expect([pow(10, -3), pow(2, 0.5), pow(2, 1023), pow(-2, 3), tanh(0)]).toEqual([0.001, Math.SQRT2, 2 ** 1023, -8, 0]);
  expect([sin(Math.PI / 2), cos(Math.PI), sin(2 ** 22)]).toEqual([1, -1, 0.975129394941707]);
});
