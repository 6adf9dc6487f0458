import type { Pubkey } from '../../hash.js';
import { consensusOf, spreadOf } from './consensus.js';
import { argument, expMinus } from './fixed-point.js';

/** What validators of an arena weigh when the pot is split. */

const MILLIONTHS = 1_000_000n;

/** One submission that was scored. */
export interface Scored {
  /** m: how many seats were drawn. */
  readonly seats: number;
  /** What was revealed in time, in ppm, |s| < 2^52; who revealed nothing is paid nothing for it. */
  readonly scoresPpm: ReadonlyMap<Pubkey, number>;
}
export interface WeightTerms {
  /** lambda in ppm: a mean deviation of one spread costs a factor e^lambda. */
  readonly lambdaPpm: number;
  /** k2: how many validators are paid, >= 1, those that weigh most, ties by key; null: all. */
  readonly best: number | null;
}
export const WEIGHTS: WeightTerms = { lambdaPpm: 1_000_000, best: null };

/** What a validator did over all submissions that came to a score. */
export interface Conduct {
  /** Scores that it revealed; > 0. */
  readonly count: number;
  /** Mean of |s - c| over the spread, in millionths, rounded down. */
  readonly deviation: bigint;
}

/** By validator; a submission whose seats are drawn again counts for nobody. */
export function conductOf(submissions: Iterable<Scored>): ReadonlyMap<Pubkey, Conduct> {
  const sums = new Map<Pubkey, { readonly count: number; readonly sum: bigint }>();
  for (const { seats, scoresPpm } of submissions) {
    const center = consensusOf(scoresPpm, seats);
    if (center === null) continue;
    const spread = BigInt(spreadOf([...scoresPpm.values()], center));
    for (const [key, score] of scoresPpm) {
      const { count, sum } = sums.get(key) ?? { count: 0, sum: 0n };
      const deviation = (BigInt(Math.abs(score - center)) * MILLIONTHS) / spread;
      sums.set(key, { count: count + 1, sum: sum + deviation });
    }
  }
  return new Map([...sums].map(([key, { count, sum }]) => [key, { count, deviation: sum / BigInt(count) }]));
}

/**
 * stake * count * e^-(lambda * deviation). AIArena (arXiv:2412.14566) names closeness, stake and count; the formula is *ours*. Deviations
 * are taken from the smallest one: shares stay what they are, and somebody always weighs something. The power is below by less than
 * 2^-127, the rest is exact.
 *
 * @param stakes  what counts of each; who has none weighs nothing
 * @returns       in 2^-128 msat, of the best k2 that weigh more than 0
 */
export function validatorWeights(
  conduct: ReadonlyMap<Pubkey, Conduct>,
  stakes: ReadonlyMap<Pubkey, bigint>,
  { lambdaPpm, best }: WeightTerms,
): ReadonlyMap<Pubkey, bigint> {
  const staked = [...conduct].flatMap(([key, { count, deviation }]) => {
    const stake = stakes.get(key) ?? 0n;
    return stake > 0n ? [{ key, deviation, amount: stake * BigInt(count) }] : [];
  });
  const least = staked.reduce<bigint | null>((min, { deviation }) => lesser(min, deviation), null) ?? 0n;
  const weights = staked
    .map(({ key, deviation, amount }) => {
      const exponent = BigInt(lambdaPpm) * (deviation - least);
      return [key, amount * expMinus(argument(exponent, MILLIONTHS * MILLIONTHS))] as const;
    })
    .filter(([, weight]) => weight > 0n)
    .sort(([a, heavy], [b, weight]) => (heavy !== weight ? (heavy > weight ? -1 : 1) : a < b ? -1 : 1));
  return new Map(best === null ? weights : weights.slice(0, best));
}

function lesser(a: bigint | null, b: bigint): bigint {
  return a === null || b < a ? b : a;
}
