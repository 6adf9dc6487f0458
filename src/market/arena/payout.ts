import type { Pubkey } from '../../hash.js';
import type { ArenaPlanLine } from '../../protocol/arena/ranking.js';
import { largestRemainder, splitReward, type EffectiveTerms } from '../stake-reward.js';
import type { StakeBook } from '../stake.js';
import { sidesOf, type SideTerms } from './pot.js';
import { rankShares, type Ranked, type RankTerms } from './rank.js';
import { validatorWeights, type Conduct, type WeightTerms } from './weights.js';

/** What a stage of an arena pays, to whom and for what (AIArena, arXiv:2412.14566, with the changes that pot, rank and weights name). */

export interface PayoutTerms {
  readonly sides: SideTerms;
  readonly rank: RankTerms;
  readonly weights: WeightTerms;
  /** How delegated stake counts; what `Ranked` and `stakes` name has been reckoned by it. */
  readonly effective: Omit<EffectiveTerms, 'minMsat'>;
}

/** What is known when a stage ends. */
export interface Stage {
  readonly trainers: ReadonlyMap<Pubkey, Ranked>;
  /** Of validators. */
  readonly conduct: ReadonlyMap<Pubkey, Conduct>;
  /** What counts of each validator's stake. */
  readonly stakes: ReadonlyMap<Pubkey, bigint>;
  readonly book: Pick<StakeBook, 'operators' | 'worked'>;
}

/** A line of a settlement, but for its payout id. */
export type ArenaLine = Omit<ArenaPlanLine, 'payout'>;

/**
 * The lines of a stage: trainers by rank, validators by weight, each with those that stand behind it. T and S of the sides are the stakes of
 * those that are ranked or revealed, not of whoever staked: a stake that does nothing moves no money.
 *
 * @returns  lines in order of side and operator, without those of 0; they and `returnedMsat` sum to `potMsat`
 */
export function stagePayout(
  potMsat: bigint,
  { trainers, conduct, stakes, book }: Stage,
  terms: PayoutTerms,
): { readonly lines: readonly ArenaLine[]; readonly returnedMsat: bigint } {
  const weights = validatorWeights(conduct, stakes, terms.weights);
  const trainersStake = [...trainers.values()].reduce((sum, { stakeMsat }) => sum + stakeMsat, 0n);
  const validatorsStake = [...conduct.keys()].reduce((sum, key) => sum + (stakes.get(key) ?? 0n), 0n);
  const { trainersMsat, validatorsMsat, returnedMsat } = sidesOf(potMsat, terms.sides, {
    trainers: { stakeMsat: trainersStake, hasPayees: trainersStake > 0n },
    validators: { stakeMsat: validatorsStake, hasPayees: weights.size > 0 },
  });
  const lines = [
    ...operatorLines('trainer', rankShares(trainersMsat, trainers, terms.rank), book, terms.effective),
    ...operatorLines('fee', largestRemainder(validatorsMsat, weights), book, terms.effective),
  ];
  return { lines: lines.filter(({ amountMsat }) => amountMsat > 0n), returnedMsat };
}

/**
 * Each reward f among an operator and its delegators, who share (1 - sigma) f d / (own + d) by amount times the intervals of signed stake
 * tables through which it stood: who delegates just before the payout earns next to nothing. An operator in no table keeps all.
 *
 * @param rewards  by operator
 * @returns        sums to the rewards, in their order, each operator before those behind it
 */
export function operatorLines(
  purpose: 'trainer' | 'fee',
  rewards: ReadonlyMap<Pubkey, bigint>,
  { operators, worked }: Pick<StakeBook, 'operators' | 'worked'>,
  effective: Omit<EffectiveTerms, 'minMsat'>,
): ArenaLine[] {
  return [...rewards].flatMap(([operator, rewardMsat]): ArenaLine[] => {
    const terms = operators.get(operator);
    const stood = worked.get(operator);
    if (terms === undefined || stood === undefined) return [{ payee: operator, purpose, amountMsat: rewardMsat }];
    const shares = splitReward(operator, rewardMsat, terms.sigmaPpm, stood, effective);
    return [...shares].map(([payee, amountMsat]) => ({
      ...{ payee, amountMsat },
      purpose: payee === operator ? purpose : (`delegation:${operator}` as const),
    }));
  });
}
