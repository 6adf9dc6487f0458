import type { ParamSet } from '../types.js';

/**
 * base + learningRate (combined - base). With codecs that keep what they left out, and learningRate 1, the outer step of SparseLoCo
 * (Sarfi et al. 2025, Alg. 1, arXiv:2508.15706), whose error feedback stands in for outer momentum.
 */
export function outerSgd(
  base: ParamSet,
  combined: ParamSet,
  { learningRate }: { readonly learningRate: number },
): ParamSet {
  return base.map(({ name, shape, data }, t) => {
    const to = combined[t]!.data;
    return { name, shape, data: data.map((x, i) => x + learningRate * (to[i]! - x)) };
  });
}
