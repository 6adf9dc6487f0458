// softmax(scale q kT) v (Vaswani et al. 2017, arXiv:1706.03762) of heads: q [t, d], k [s, d], v [s, e] each, weights [t, s].
// `scratch` holds what a product needs, and for the gradient one head's weights more.

import { gemm, gemmScratch } from './gemm';
import { attentionWeights, softmaxGradient } from './softmax';

/** Of `count` heads that lie side by side. */
export function attention(
  count: i32,
  t: i32,
  s: i32,
  d: i32,
  e: i32,
  q: usize,
  k: usize,
  v: usize,
  scale: f32,
  causal: bool,
  weights: usize,
  out: usize,
  scratch: usize,
): void {
  for (let i = 0; i < count; i++) {
    head(t, s, d, e, q, d, k, d, v, e, scale, causal, weights, out, e, scratch);
    q += bytes(t, d);
    k += bytes(s, d);
    v += bytes(s, e);
    weights += bytes(t, s);
    out += bytes(t, e);
  }
}

/**
 * Of the heads from `first` on, `count` of them, `heads` per text: x [texts, t, 3, heads, d] holds queries, keys and values,
 * out is [texts, t, heads, d].
 */
export function selfAttention(
  first: i32,
  count: i32,
  heads: i32,
  t: i32,
  d: i32,
  x: usize,
  scale: f32,
  causal: bool,
  weights: usize,
  out: usize,
  scratch: usize,
): void {
  const width = heads * d;
  const side = bytes(1, width);
  for (let i = first; i < first + count; i++) {
    const q = x + place(i, heads, t, 3 * width, d);
    const to = out + place(i, heads, t, width, d);
    const own = weights + bytes(i, t * t);
    head(
      t,
      t,
      d,
      d,
      q,
      3 * width,
      q + side,
      3 * width,
      q + 2 * side,
      3 * width,
      scale,
      causal,
      own,
      to,
      width,
      scratch,
    );
  }
}

/** Byte offset of the i-th head in rows of `row` values. */
function place(i: i32, heads: i32, t: i32, row: i32, d: i32): usize {
  return bytes((i / heads) * t, row) + bytes(i % heads, d);
}

/** The lengths of rows count values. */
function head(
  t: i32,
  s: i32,
  d: i32,
  e: i32,
  q: usize,
  qRow: i32,
  k: usize,
  kRow: i32,
  v: usize,
  vRow: i32,
  scale: f32,
  causal: bool,
  weights: usize,
  out: usize,
  outRow: i32,
  scratch: usize,
): void {
  gemm(t, s, d, q, qRow, 1, k, 1, kRow, weights, s, false, scratch);
  attentionWeights(weights, t, s, scale, causal, weights);
  gemm(t, e, s, weights, s, 1, v, vRow, 1, out, outRow, false, scratch);
}

/** The mask needs no care: a weight of 0 passes no gradient on. */
export function attentionGradient(
  count: i32,
  t: i32,
  s: i32,
  d: i32,
  e: i32,
  dy: usize,
  q: usize,
  k: usize,
  v: usize,
  weights: usize,
  scale: f64,
  dq: usize,
  dk: usize,
  dv: usize,
  scratch: usize,
): void {
  for (let i = 0; i < count; i++) {
    headGradient(t, s, d, e, dy, e, q, k, v, d, e, weights, scale, dq, dk, dv, scratch);
    dy += bytes(t, e);
    q += bytes(t, d);
    k += bytes(s, d);
    v += bytes(s, e);
    weights += bytes(t, s);
    dq += bytes(t, d);
    dk += bytes(s, d);
    dv += bytes(s, e);
  }
}

/** dx has the layout of x, dy that of the output. */
export function selfAttentionGradient(
  first: i32,
  count: i32,
  heads: i32,
  t: i32,
  d: i32,
  dy: usize,
  x: usize,
  weights: usize,
  scale: f64,
  dx: usize,
  scratch: usize,
): void {
  const width = heads * d;
  const side = bytes(1, width);
  for (let i = first; i < first + count; i++) {
    const at = place(i, heads, t, 3 * width, d);
    const q = x + at;
    const dq = dx + at;
    const from = dy + place(i, heads, t, width, d);
    const own = weights + bytes(i, t * t);
    const row = 3 * width;
    headGradient(
      t,
      t,
      d,
      d,
      from,
      width,
      q,
      q + side,
      q + 2 * side,
      row,
      row,
      own,
      scale,
      dq,
      dq + side,
      dq + 2 * side,
      scratch,
    );
  }
}

/** `row` is the length of a row of queries and keys, and of their gradients, `vRow` that of values. */
function headGradient(
  t: i32,
  s: i32,
  d: i32,
  e: i32,
  dy: usize,
  dyRow: i32,
  q: usize,
  k: usize,
  v: usize,
  row: i32,
  vRow: i32,
  weights: usize,
  scale: f64,
  dq: usize,
  dk: usize,
  dv: usize,
  scratch: usize,
): void {
  const inner = scratch + gemmScratch(); // [t, s]: by the weights, then by the products of queries and keys
  gemm(t, s, e, dy, dyRow, 1, v, 1, vRow, inner, s, false, scratch);
  softmaxGradient(inner, weights, t, s, scale, inner);
  gemm(t, d, s, inner, s, 1, k, row, 1, dq, row, false, scratch);
  gemm(s, d, t, inner, 1, s, q, row, 1, dk, row, false, scratch);
  gemm(s, e, t, weights, 1, s, dy, dyRow, 1, dv, vRow, false, scratch);
}

function bytes(rows: i32, columns: i32): usize {
  return (<usize>rows * <usize>columns) << 2;
}
