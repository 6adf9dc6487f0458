// Two values at a time, each rounded once as IEEE 754 has it.

import { loadLanes, storeLanes } from './lanes';

/** Numbers of the functions, as in ../binary.ts. */
const ADD = 0;
const SUBTRACT = 1;

/**
 * out[i] = f(a[i], b[i]) for `count` values in blocks of `width`; after each block a and b go on by `aNext` and `bNext`
 * bytes: 0 for the one that begins anew.
 */
export function binary(
  kind: i32,
  a: usize,
  aNext: i32,
  b: usize,
  bNext: i32,
  count: i32,
  width: i32,
  out: usize,
): void {
  for (let left = count; left > 0; left -= width) {
    const bytes = (<usize>min(left, width)) << 2;
    const vectors = bytes & ~15;
    for (let j: usize = 0; j < vectors; j += 16) v128.store(out + j, apply(kind, v128.load(a + j), v128.load(b + j)));
    const rest = bytes - vectors;
    if (rest > 0) {
      const last = apply(kind, loadLanes(a + vectors, rest), loadLanes(b + vectors, rest));
      storeLanes(out + vectors, last, rest);
    }
    a += aNext;
    b += bNext;
    out += bytes;
  }
}

function apply(kind: i32, a: v128, b: v128): v128 {
  if (kind == ADD) return f32x4.add(a, b);
  if (kind == SUBTRACT) return f32x4.sub(a, b);
  return f32x4.mul(a, b);
}

/** The same row `times` times. */
export function repeat(row: usize, n: i32, times: i32, out: usize): void {
  const bytes = (<usize>n) << 2;
  for (let i = 0; i < times; i++) {
    for (let j: usize = 0; j < bytes; j += 4) store<f32>(out + j, load<f32>(row + j));
    out += bytes;
  }
}
