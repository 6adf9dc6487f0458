import { modelCost } from '../learning/model-cost.js';
import { stepCount } from '../learning/train-state.js';
import type { JobTerms } from '../protocol/job.js';

/** How a trainer comes to what it asks per accepted round and shard. */

export interface PricePolicy {
  /** Fixed, or the least where there is a price per GFLOP. */
  readonly priceMsat: bigint;
  /** Of 10^9 additions and multiplications; null: fixed. */
  readonly gflopMsat: number | null;
  /** Dearer by so much for each job it holds a seat of. */
  readonly percentPerJob: number;
}

export const POLICIES = ['fixed', 'gflop', 'queue', 'gflop-queue'] as const;
export type PolicyName = (typeof POLICIES)[number];

export interface Quote {
  readonly policy: PolicyName;
  /** Passed through the model in one round, on the largest shard. */
  readonly examples: number;
  /** Of one round on the largest shard, in 10^9 additions and multiplications, rounded up to a millionth. */
  readonly gflop: number;
  readonly gflopMsat: number | null;
  readonly leastMsat: bigint;
  /** Jobs it holds a seat of now. */
  readonly jobs: number;
  readonly percentPerJob: number;
  readonly priceMsat: bigint;
}

export function policyName({ gflopMsat, percentPerJob }: PricePolicy): PolicyName {
  if (gflopMsat === null) return percentPerJob === 0 ? 'fixed' : 'queue';
  return percentPerJob === 0 ? 'gflop' : 'gflop-queue';
}

/** A step goes forwards once and backwards, which takes twice as much. */
const PASSES = 3;

/**
 * max(least, gflop * price per GFLOP) * (1 + jobs * percent / 100), rounded up to the whole sat: wallets of some trainers know no less.
 *
 * @param rows  examples of the largest shard
 */
export function quotePrice(
  policy: PricePolicy,
  { model, hyper }: Pick<JobTerms, 'model' | 'hyper'>,
  rows: number,
  jobs: number,
): Quote {
  const examples = stepCount(hyper, rows) * Math.min(hyper.batch, rows);
  const flop = PASSES * modelCost(model).flops * examples;
  const gflop = Math.ceil(flop / 1_000) / 1_000_000;
  const { priceMsat: leastMsat, gflopMsat, percentPerJob } = policy;
  const workMsat = gflopMsat === null ? 0n : BigInt(Math.ceil(gflop * gflopMsat));
  const baseMsat = workMsat > leastMsat ? workMsat : leastMsat;
  const raisedMsat = (baseMsat * BigInt(Math.round(1_000 * (100 + jobs * percentPerJob)))) / 100_000n;
  const isAsked = workMsat <= leastMsat && percentPerJob === 0;
  return {
    ...{ policy: policyName(policy), examples, gflop, gflopMsat, leastMsat, jobs, percentPerJob },
    priceMsat: isAsked ? leastMsat : ((raisedMsat + 999n) / 1_000n) * 1_000n,
  };
}

/** In a line for people. */
export function quoteText({ gflop, gflopMsat, jobs, percentPerJob, priceMsat, leastMsat }: Quote): string {
  const work =
    gflopMsat === null
      ? `${leastMsat / 1_000n} sat`
      : `${Number(gflop.toPrecision(3))} GFLOP at ${gflopMsat / 1_000} sat, at least ${leastMsat / 1_000n} sat`;
  const queue = percentPerJob === 0 ? '' : `, ${jobs} ${jobs === 1 ? 'job' : 'jobs'} held at ${percentPerJob} % each`;
  return `asks ${priceMsat / 1_000n} sat per round: ${work}${queue}`;
}
