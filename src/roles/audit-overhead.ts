import { stepCount } from '../learning/train-state.js';
import type { PlannedTerms } from './round-plan.js';

/** What checking adds to the work of a job's trainers, as shares of that work: scores of updates and repeated segments, of all who score. */
export interface AuditOverhead {
  /** Who scores: the validators, or the customer where there are none. */
  readonly scorers: number;
  readonly scoring: number;
  readonly repeating: number;
  /** Both together. */
  readonly share: number;
  /** The largest spotRate at which both together are at most 15 %; null: at none, scores and the first round's repetitions alone are more. */
  readonly spotRateFor15: number | null;
}

const TARGET = 0.15;

/** Forwards and twice as much backwards, by operations; small steps cost more than that. */
const TRAINED_PER_EVALUATED = 3;
/** Examples of an own shard and of others that a score is measured on, at most. */
const SAMPLE = 2_000;

/**
 * @param evaluationRows  of set A
 * @param segments        of which one is repeated
 */
export function auditOverhead(
  { hyper, rounds, spot, validators }: Pick<PlannedTerms, 'hyper' | 'rounds' | 'spot' | 'validators'>,
  shardRows: readonly number[],
  evaluationRows: number,
  segments: number,
): AuditOverhead {
  const scorers = validators?.count ?? 1;
  const all = total(shardRows);
  const trained = total(shardRows.map((rows) => stepCount(hyper, rows) * hyper.batch));
  const evaluated = total(
    shardRows.map((rows) => {
      const others = shardRows.length === 1 ? evaluationRows : all - rows;
      return 2 * Math.min(rows, SAMPLE) + 2 * Math.min(others, SAMPLE) + evaluationRows;
    }),
  );
  const scoring = (scorers * evaluated) / TRAINED_PER_EVALUATED / trained;
  // The first round draws all.
  const repeatedAt = (spotRate: number) => (scorers * (1 + (rounds - 1) * spotRate)) / (rounds * segments);
  const repeating = spot === null ? 0 : repeatedAt(spot.ratePpm / 1_000_000);
  const left = TARGET - scoring;
  const perRate = repeatedAt(1) - repeatedAt(0);
  const isNever = left < repeatedAt(0);
  const spotRateFor15 = isNever ? null : perRate === 0 ? 1 : Math.min(1, (left - repeatedAt(0)) / perRate);
  return { scorers, scoring, repeating, share: scoring + repeating, spotRateFor15 };
}

const total = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0);
