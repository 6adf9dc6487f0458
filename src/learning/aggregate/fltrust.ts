import { cosine, difference, l2Norm } from '../params.js';
import type { ParamSet } from '../types.js';
import { inOrder, type Update } from './update.js';
import { weightedChange } from './vectors.js';

/**
 * FLTrust (Cao et al. 2020, Alg. 2, arXiv:2012.13995): changes brought to the length of the root's and weighted by the cosine to it, none
 * where that is negative. As good as the root data are like those of the trainers; no bound on the number of attackers.
 *
 * @param root  what training on the customer's own data made of the base
 * @returns     the base where no update points the root's way
 */
export function flTrust(base: ParamSet, updates: readonly Update[], root: ParamSet): ParamSet {
  const ordered = inOrder(updates);
  const own = difference(root, base);
  const length = l2Norm(own);
  const trust = ordered.map(({ params }) => Math.max(0, cosine(difference(params, base), own)));
  const total = trust.reduce((sum, one) => sum + one, 0);
  if (total === 0) return base;
  const weights = ordered.map(({ params }, u) =>
    trust[u] === 0 ? 0 : (trust[u]! * length) / l2Norm(difference(params, base)),
  );
  return weightedChange(base, ordered, weights, total);
}
