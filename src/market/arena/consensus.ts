import type { Pubkey } from '../../hash.js';
import { lowerMedian } from '../../learning/lower-median.js';
import { isEnough } from '../consensus.js';

/** What the scores of one submission come to. */

/**
 * The lower median, one seat one vote. AIArena (arXiv:2412.14566) weighs votes by stake; *ours*: seats are drawn by stake already, so a
 * stake counts once, and a coalition moves a score out of the range of the others' only with half of the revealed seats or more. Exact.
 *
 * @param scoresPpm  revealed ones by seat
 * @param seats      m, odd: how many were drawn
 * @returns          null: fewer than (m + 1) / 2 revealed, the seats are drawn again
 */
export function consensusOf(scoresPpm: ReadonlyMap<Pubkey, number>, seats: number): number | null {
  return isEnough(scoresPpm.size, seats) ? lowerMedian([...scoresPpm.values()]) : null;
}

/**
 * How far from the others one may be at no great loss: the median absolute deviation, lower median again, and a floor of
 * max(|c| / 1000, 100 ppm), so that equal scores leave room for rounding. Below three reveals the deviation of the middle is 0 and the
 * floor stands alone. Exact.
 *
 * @param scoresPpm  revealed ones, at least one
 * @param center     their consensus
 * @returns          in ppm, >= 100
 */
export function spreadOf(scoresPpm: readonly number[], center: number): number {
  const floor = Math.max(Math.floor(Math.abs(center) / 1_000), 100);
  return lowerMedian(scoresPpm.map((score) => Math.abs(score - center))) + floor;
}
