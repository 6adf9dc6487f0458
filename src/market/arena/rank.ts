import type { Pubkey } from '../../hash.js';
import { largestRemainder } from '../stake-reward.js';
import { minusLog2, twoToMinus } from './fixed-point.js';

/** What trainers of an arena get of a pot, by rank. */

export interface RankTerms {
  /** q: what a rank gets of what the one above it gets, in ppm, in [1, 999,999]. */
  readonly qPpm: number;
  /** k1: how many minimum stakes, from the best on, are paid, >= 1; null: all. */
  readonly best: number | null;
  /** The stake that is one rank; > 0. */
  readonly minMsat: bigint;
}
export const RANK = { qPpm: 500_000, best: null } as const;

export interface Ranked {
  /** Consensus of the validators in ppm, less is better. */
  readonly scorePpm: number;
  /** What counts of its stake: the minimum or more, or 0, which is not ranked. A job without stake gives everybody the minimum. */
  readonly stakeMsat: bigint;
}

/** Trainers of one score, who share what falls between two depths. */
interface Level {
  readonly stakes: ReadonlyMap<Pubkey, bigint>;
  /** q^Q - q^(Q + x) in 2^-128. */
  readonly weight: bigint;
}

/**
 * The pot by rank over stake passed. AIArena (arXiv:2412.14566) pays rank i by q^i; *ours*: with x = stake / minimum and Q the sum of x
 * ranked above, a trainer weighs q^Q - q^(Q + x), which is the source's where all stakes are the minimum. Counted by key, ten copies of
 * the best model take 1 - 2^-10 of a pot whatever stake is behind them; here a stake gets the same whole or split. So `best` counts
 * minimum stakes too: of k1 keys, copies would push others out. Equal scores share what is theirs by stake.
 *
 * Weights are off by less than 2^-127. Largest remainder first over scores (ties to the better one), then over the keys of a score (ties
 * by key): a share is off by less than 2 msat, and one split over m keys changes by at most m msat.
 *
 * @returns  sums to `potMsat`; empty: nobody is ranked. Trainers too deep to get anything are in it with 0
 */
export function rankShares(
  potMsat: bigint,
  trainers: ReadonlyMap<Pubkey, Ranked>,
  terms: RankTerms,
): ReadonlyMap<Pubkey, bigint> {
  const levels = new Map(levelsOf(trainers, terms).map((level, rank) => [rankKey(rank), level]));
  const weights = new Map([...levels].map(([name, { weight }]) => [name, weight]));
  const shares = [...largestRemainder(potMsat, weights)].flatMap(([name, msat]) => [
    ...largestRemainder(msat, levels.get(name)!.stakes),
  ]);
  return new Map(shares.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Best first. */
function levelsOf(trainers: ReadonlyMap<Pubkey, Ranked>, { qPpm, best, minMsat }: RankTerms): Level[] {
  const byScore = new Map<number, Map<Pubkey, bigint>>();
  for (const [key, { scorePpm, stakeMsat }] of trainers) {
    if (stakeMsat <= 0n) continue;
    const stakes = byScore.get(scorePpm) ?? new Map<Pubkey, bigint>();
    byScore.set(scorePpm, stakes.set(key, stakeMsat));
  }
  const slope = minusLog2(qPpm);
  const end = best === null ? null : BigInt(best) * minMsat;
  const left = (passedMsat: bigint): bigint => {
    const depth = end !== null && passedMsat > end ? end : passedMsat;
    return twoToMinus((slope * depth) / minMsat);
  };
  let passedMsat = 0n;
  return [...byScore]
    .sort(([a], [b]) => a - b)
    .map(([, stakes]) => {
      const above = left(passedMsat);
      for (const stake of stakes.values()) passedMsat += stake;
      return { stakes, weight: above - left(passedMsat) };
    });
}

/** The largest remainder breaks ties by key: ranks as keys, in order. */
const rankKey = (rank: number): Pubkey => String(rank).padStart(12, '0') as Pubkey;
