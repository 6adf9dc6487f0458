// softmax(scale q kT) v (Vaswani et al. 2017, arXiv:1706.03762) of `count` heads that lie side by side: q [t, d], k [s, d],
// v [s, e] each, weights [t, s]. `scratch` holds what a product needs, and for the gradient one head's weights more.

import { gemm, gemmScratch } from './gemm';
import { attentionWeights, softmaxGradient } from './softmax';

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
    gemm(t, s, d, q, d, 1, k, 1, d, weights, s, false, scratch);
    attentionWeights(weights, t, s, scale, causal, weights);
    gemm(t, e, s, weights, s, 1, v, e, 1, out, e, false, scratch);
    q += bytes(t, d);
    k += bytes(s, d);
    v += bytes(s, e);
    weights += bytes(t, s);
    out += bytes(t, e);
  }
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
  const inner = scratch + gemmScratch(); // [t, s]: by the weights, then by the products of queries and keys
  for (let i = 0; i < count; i++) {
    gemm(t, s, e, dy, e, 1, v, 1, e, inner, s, false, scratch);
    softmaxGradient(inner, weights, t, s, scale, inner);
    gemm(t, d, s, inner, s, 1, k, d, 1, dq, d, false, scratch);
    gemm(s, d, t, inner, 1, s, q, d, 1, dk, d, false, scratch);
    gemm(s, e, t, weights, 1, s, dy, e, 1, dv, e, false, scratch);
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

function bytes(rows: i32, columns: i32): usize {
  return (<usize>rows * <usize>columns) << 2;
}
