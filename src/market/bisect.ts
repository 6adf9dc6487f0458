import type { Sha256 } from '../hash.js';

/**
 * The segment that two parties have to look at, from what each says its segments end in: it starts where they agree (the first at the
 * base, which both have) and ends where they do not. By halving, so that parties who exchange one hash at a time need about log2(n) of
 * them (the bisection of interactive verification, arXiv:1908.04756). Where they never agree again after they parted, it is the first.
 *
 * @param committed, repeated  ends in order; as many as the shorter list has are compared
 * @returns                    null where all agree
 */
export function firstDivergence(committed: readonly Sha256[], repeated: readonly Sha256[]): number | null {
  const count = Math.min(committed.length, repeated.length);
  const agrees = (index: number): boolean => committed[index] === repeated[index];
  // Who made up its list can agree at the end: then there is nothing to halve.
  if (count === 0 || agrees(count - 1)) {
    const found = committed.slice(0, count).findIndex((_, index) => !agrees(index));
    return found < 0 ? null : found;
  }
  let [before, after] = [-1, count - 1];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (agrees(middle)) before = middle;
    else after = middle;
  }
  return after;
}
