import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import { addressesOf, addressOf } from './backend.js';
import { assertFloats, hasKernel, kernel, runKernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Weighing {
  readonly scale: number;
  readonly causal: boolean;
}
interface Texts {
  readonly texts: number;
  readonly heads: number;
}
export interface AttentionOptions {
  /** Place i sees the places up to i alone; default false. */
  readonly causal?: boolean;
  /** Of the products of queries and keys, above 0; default 1 / sqrt(d). */
  readonly scale?: number;
}

/** Beside it any score vanishes in a softmax. */
const UNSEEN = -1e9;

/** In pieces of some heads, which have nothing in common. */
export function attentionKernels(module: Module): readonly Kernel[] {
  const work = module.run.gemmScratch();
  return [
    kernel<'q' | 'k' | 'v', Weighing>('Attention', ({ inputs: { q, k, v }, backend, attrs: { scale, causal } }) => {
      assertFloats('Attention', [q, k, v]);
      const { heads, t, s, d, e } = sizes(q.shape, k.shape, v.shape);
      const out = backend.makeOutput([...q.shape.slice(0, -1), e], 'float32');
      const weights = backend.makeOutput([...q.shape.slice(0, -1), s], 'float32');
      const [qAt, kAt, vAt, weightsAt, outAt] = addressesOf(backend, [q, k, v, weights, out]);
      const calls = module.pieces(heads, 1, heads * t * s * (d + e)).map(({ first, count }) => {
        const at = (address: number, rows: number, columns: number): number => address + 4 * first * rows * columns;
        const places = [at(qAt, t, d), at(kAt, s, d), at(vAt, s, e)];
        return [count, t, s, d, e, ...places, scale, Number(causal), at(weightsAt, t, s), at(outAt, t, e), 0];
      });
      module.all('attention', calls, work);
      return [out, weights];
    }),
    kernel<'dy' | 'q' | 'k' | 'v' | 'weights', Weighing>('AttentionGrad', ({ inputs, backend, attrs: { scale } }) => {
      const { dy, q, k, v, weights } = inputs;
      assertFloats('AttentionGrad', [dy, q, k, v, weights]);
      const { heads, t, s, d, e } = sizes(q.shape, k.shape, v.shape);
      const outs = [q, k, v].map(({ shape }) => backend.makeOutput(shape, 'float32'));
      const tensors = [dy, q, k, v, weights, ...outs];
      const shapes = [t * e, t * d, s * d, s * e, t * s, t * d, s * d, s * e];
      const calls = module.pieces(heads, 1, 2 * heads * t * s * (d + e)).map(({ first, count }) => {
        const places = tensors.map((tensor, i) => addressOf(backend, tensor) + 4 * first * shapes[i]!);
        return [count, t, s, d, e, ...places.slice(0, 5), scale, ...places.slice(5), 0];
      });
      module.all('attentionGradient', calls, work + 4 * t * s);
      return outs;
    }),
    kernel<'x', Weighing & Texts>('SelfAttention', ({ inputs: { x }, backend, attrs }) => {
      assertFloats('SelfAttention', [x]);
      const { texts, heads, scale, causal } = attrs;
      const { t, d, rows, width } = sizesOfSelf(x.shape, attrs);
      const out = backend.makeOutput([rows, width], 'float32');
      const weights = backend.makeOutput([texts, heads, t, t], 'float32');
      const [xAt, weightsAt, outAt] = addressesOf(backend, [x, weights, out]);
      const calls = module
        .pieces(texts * heads, 1, 2 * texts * heads * t * t * d)
        .map(({ first, count }) => [first, count, heads, t, d, xAt, scale, Number(causal), weightsAt, outAt, 0]);
      module.all('selfAttention', calls, work);
      return [out, weights];
    }),
    kernel<'dy' | 'x' | 'weights', Weighing & Texts>('SelfAttentionGrad', ({ inputs, backend, attrs }) => {
      const { dy, x, weights } = inputs;
      assertFloats('SelfAttentionGrad', [dy, x, weights]);
      const { texts, heads, scale } = attrs;
      const { t, d } = sizesOfSelf(x.shape, attrs);
      const dx = backend.makeOutput(x.shape, 'float32');
      const [dyAt, xAt, weightsAt, to] = addressesOf(backend, [dy, x, weights, dx]);
      const calls = module
        .pieces(texts * heads, 1, 4 * texts * heads * t * t * d)
        .map(({ first, count }) => [first, count, heads, t, d, dyAt, xAt, weightsAt, scale, to, 0]);
      module.all('selfAttentionGradient', calls, work + 4 * t * t);
      return dx;
    }),
  ];
}

function sizesOfSelf([rows, columns]: readonly number[], { texts, heads }: Texts) {
  const width = columns! / 3;
  return { rows: rows!, width, t: rows! / texts, d: width / heads };
}

function sizes(q: readonly number[], k: readonly number[], v: readonly number[]) {
  const [t, s, d, e] = [q.at(-2)!, k.at(-2)!, q.at(-1)!, v.at(-1)!];
  return { heads: tf.util.sizeFromShape(q.slice(0, -2)), t, s, d, e };
}

/**
 * softmax(scale q kᵀ) v (Vaswani et al. 2017, arXiv:1706.03762), with gradients. Keeps the weights [.., t, s] for the
 * gradient, as the composition does.
 *
 * @param q  [batch, heads, t, d]
 * @param k  [batch, heads, s, d]; s = t when `causal`
 * @param v  [batch, heads, s, e]
 * @returns  [batch, heads, t, e]
 */
export function attention(q: Tensor4D, k: Tensor4D, v: Tensor4D, options: AttentionOptions = {}): Tensor4D {
  const { t, s, d } = sizes(q.shape, k.shape, v.shape);
  const { causal = false, scale = 1 / Math.sqrt(d) } = options;
  const outer = [q, k, v].map(({ shape }) => shape.slice(0, 2).join());
  tf.util.assert(
    new Set(outer).size === 1 && k.shape[3] === d && v.shape[2] === s && (!causal || t === s) && scale > 0,
    () =>
      `attention${causal ? ', causal,' : ''} of scale ${scale} cannot take ${[q, k, v].map(({ shape }) => `[${shape.join()}]`).join()}`,
  );
  if (!hasKernel('Attention')) return composed(q, k, v, causal, scale);
  const fused = tf.customGrad((...all) => {
    const [query, key, value, save] = all as unknown as [Tensor, Tensor, Tensor, (kept: Tensor[]) => void];
    const [out, weights] = runKernel<Tensor[]>('Attention', { q: query, k: key, v: value }, { scale, causal });
    save([query, key, value, weights!]);
    return {
      value: out!,
      gradFunc(dy: Tensor, kept: Tensor[]) {
        const inputs = { dy, q: kept[0]!, k: kept[1]!, v: kept[2]!, weights: kept[3]! };
        return runKernel<Tensor[]>('AttentionGrad', inputs, { scale });
      },
    };
  });
  return fused(q, k, v) as Tensor4D;
}

/**
 * `attention` of texts to themselves, on queries, keys and values as one product leaves them: nothing is transposed or copied.
 *
 * @param x  [texts x t, 3 x heads x d]: the queries of all heads, then the keys, then the values
 * @returns  [texts x t, heads x d]
 */
export function selfAttention(x: Tensor2D, { texts, heads }: Texts, options: AttentionOptions = {}): Tensor2D {
  const { rows, width, t, d } = sizesOfSelf(x.shape, { texts, heads });
  const { causal = false, scale = 1 / Math.sqrt(d) } = options;
  tf.util.assert(
    texts > 0 && heads > 0 && Number.isInteger(t) && Number.isInteger(d) && scale > 0,
    () => `selfAttention of ${heads} heads in ${texts} texts, of scale ${scale}, cannot take [${x.shape.join()}]`,
  );
  if (!hasKernel('SelfAttention'))
    return tf.tidy(() => {
      const [q, k, v] = tf
        .split(x, 3, 1)
        .map((part) => tf.transpose<Tensor4D>(tf.reshape(part, [texts, t, heads, d]), [0, 2, 1, 3])) as Three;
      return tf.reshape(tf.transpose(attention(q, k, v, { causal, scale }), [0, 2, 1, 3]), [rows, width]);
    });
  const attributes = { texts, heads, scale, causal };
  const fused = tf.customGrad((...all) => {
    const [input, save] = all as unknown as [Tensor, (kept: Tensor[]) => void];
    const [out, weights] = runKernel<Tensor[]>('SelfAttention', { x: input }, attributes);
    save([input, weights!]);
    return {
      value: out!,
      gradFunc: (dy: Tensor, [kept, found]: Tensor[]) =>
        runKernel('SelfAttentionGrad', { dy, x: kept!, weights: found! }, attributes),
    };
  });
  return fused(x) as Tensor2D;
}
type Three = [Tensor4D, Tensor4D, Tensor4D];

function composed(q: Tensor4D, k: Tensor4D, v: Tensor4D, causal: boolean, scale: number): Tensor4D {
  return tf.tidy(() => {
    const scores = tf.mul(tf.matMul(q, k, false, true), scale); // [batch, heads, t, s]
    const t = q.shape[2];
    if (!causal || t === 0) return tf.matMul<Tensor4D>(tf.softmax(scores), v);
    return tf.matMul<Tensor4D>(tf.softmax(tf.add(scores, causalMask(t))), v);
  });
}

/** 0 where a place may look, far below every score where the text goes on. [t, t] */
function causalMask(t: number): Tensor {
  const mask = new Float32Array(t * t);
  for (let from = 0; from < t; from++) mask.fill(UNSEEN, from * t + from + 1, (from + 1) * t);
  return tf.tensor2d(mask, [t, t]);
}
