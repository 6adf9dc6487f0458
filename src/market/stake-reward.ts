import type { Pubkey } from '../hash.js';
import type { Worked } from './stake.js';

/** What stake is worth. All sums are exact: msat and bigint, rounded by largest remainder, ties by key. */

const PPM = 1_000_000n;

export interface EffectiveTerms {
  readonly minMsat: bigint;
  /** Part of a delegated msat that counts, in ppm. */
  readonly delegatedPpm: number;
  /** Delegated stake counts up to so many times the own one. */
  readonly maxDelegated: number;
}
export const EFFECTIVE: EffectiveTerms = { minMsat: 0n, delegatedPpm: 1_000_000, maxDelegated: 4 };

/** own + e * delegated, the delegated part capped; 0 below the minimum of own stake. Draws, ranks and rewards use this one amount. */
export function effectiveStake(
  { ownMsat, delegatedMsat }: { readonly ownMsat: bigint; readonly delegatedMsat: bigint },
  { minMsat, delegatedPpm, maxDelegated }: EffectiveTerms,
): bigint {
  if (ownMsat === 0n || ownMsat < minMsat) return 0n;
  return ownMsat + countedOf(ownMsat, delegatedMsat, { delegatedPpm, maxDelegated });
}

function countedOf(
  own: bigint,
  delegated: bigint,
  { delegatedPpm, maxDelegated }: Omit<EffectiveTerms, 'minMsat'>,
): bigint {
  const most = own * BigInt(maxDelegated);
  return ((delegated < most ? delegated : most) * BigInt(delegatedPpm)) / PPM;
}

/**
 * An operator's reward among itself and its delegators: it keeps sigma, they share (1 - sigma) f d / (own + d), by amount times the
 * intervals through which it stood; d is what counts of theirs.
 *
 * @param worked  of the operator; nothing of it: all is its own
 * @param counts  absent: all of it
 * @returns       sums to `rewardMsat`
 */
export function splitReward(
  operator: Pubkey,
  rewardMsat: bigint,
  sigmaPpm: number,
  { own, by }: Worked,
  counts?: Omit<EffectiveTerms, 'minMsat'>,
): ReadonlyMap<Pubkey, bigint> {
  const behind = [...by.values()].reduce((sum, part) => sum + part, 0n);
  const delegated = counts === undefined ? behind : countedOf(own, behind, counts);
  const all = own + delegated;
  if (all === 0n) return new Map([[operator, rewardMsat]]);
  const shared = (rewardMsat * (PPM - BigInt(sigmaPpm)) * delegated) / (PPM * all);
  return new Map([[operator, rewardMsat - shared], ...largestRemainder(shared, by)]);
}

/** Shares of a sum in proportion to weights: floors, then a msat each to the largest remainders, ties by key. */
export function largestRemainder(sumMsat: bigint, weights: ReadonlyMap<Pubkey, bigint>): ReadonlyMap<Pubkey, bigint> {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0n);
  if (total === 0n) return new Map();
  const parts = [...weights].map(([key, weight]) => {
    return { key, msat: (sumMsat * weight) / total, rest: (sumMsat * weight) % total };
  });
  let left = sumMsat - parts.reduce((sum, { msat }) => sum + msat, 0n);
  parts.sort((a, b) => (a.rest !== b.rest ? (a.rest > b.rest ? -1 : 1) : a.key < b.key ? -1 : 1));
  const shares = parts.map(({ key, msat }) => [key, left-- > 0n ? msat + 1n : msat] as const);
  return new Map(shares.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The two sides of a pot, by their stakes (AIArena, arXiv:2412.14566): trainers R0 (g + (1 - 2g) T / (T + S)), validators the rest.
 *
 * @param gPpm  in [0, 500,000]: what each side gets whatever its stake
 */
export function sidesByStake(
  potMsat: bigint,
  gPpm: number,
  trainersMsat: bigint,
  validatorsMsat: bigint,
): { readonly trainersMsat: bigint; readonly validatorsMsat: bigint } {
  const both = trainersMsat + validatorsMsat;
  const [part, of] = both === 0n ? [1n, 2n] : [trainersMsat, both];
  const g = BigInt(gPpm);
  const trainers = (potMsat * (g * of + (PPM - 2n * g) * part)) / (PPM * of);
  return { trainersMsat: trainers, validatorsMsat: potMsat - trainers };
}
