import { auditOverhead, type AuditOverhead } from './audit-overhead.js';
import type { Codec } from '../learning/codec/codec.js';
import { parameterCount } from '../learning/params.js';
import { stepCount } from '../learning/train-state.js';
import type { DataSchema, EngineId, ModelSpec } from '../learning/types.js';
import type { JobTerms } from '../protocol/job.js';
import { sum, times, type Load } from './event-sizes.js';
import { aggregationTerms, codecTerms, outerTerms } from './job-algorithm.js';
import { hasSpotChecks, type JobFile } from './job-file.js';
import { hyperParameters } from './job-hyper.js';
import { modelSpec, segmentSteps } from './job-terms.js';
import { planRound, type PlannedTerms } from './round-plan.js';

/** What a job takes before anybody is asked for money: events, bytes, time and sats, from its terms alone. */

export interface JobPlan {
  readonly model: ModelSpec;
  readonly parameters: number;
  readonly rule: string;
  readonly attackers: number;
  readonly outer: string;
  readonly codec: Codec;
  readonly trainers: number;
  readonly rounds: number;
  /** Of one update, before it is sealed: at most. */
  readonly updateBytes: number;
  /** The same as whole models in f32. */
  readonly modelBytes: number;
  /** The global model of a round as if it travelled whole (with fltrust the root update as well), the updates of all trainers, the states shown for spot checks, and all other events. */
  readonly round: {
    readonly base: Load;
    readonly updates: Load;
    readonly states: Load;
    readonly words: Load;
    /** Of it, events of validators and grants to them. */
    readonly validators: Load;
    readonly total: Load;
  };
  /** All rounds; the dataset not counted. */
  readonly total: Load;
  /** Of the largest shard, per round. */
  readonly steps: number;
  /** By the throughput named; null without one. */
  readonly time: { readonly roundSec: number; readonly auditSec: number; readonly totalSec: number } | null;
  readonly sats: {
    readonly perRound: number;
    readonly total: number;
    /** What repeating takes, as a share of what training takes. */
    readonly auditShare: number;
    /** Of the pay: fees of validators. */
    readonly feeShare: number;
  };
  readonly overhead: AuditOverhead;
}

/**
 * @param shardRows   examples of each shard
 * @param throughput  examples that a trainer learns from in a second; null: unknown
 * @param evaluationRows  of set A
 * @throws NmktError `bad-job` as posting it would
 */
export function planJob(
  job: JobFile,
  schema: DataSchema,
  shardRows: readonly number[],
  throughput: number | null,
  layersModel?: unknown,
  evaluationRows = 0,
): JobPlan {
  const terms = termsOf(job, schema, shardRows, layersModel);
  const { model, codec, trainers, aggregation, attackers } = terms;
  const planned = planRound(terms, shardRows);
  const { updateBytes, modelBytes, updates, states, steps, auditShare } = planned;
  const base = sum(planned.base, planned.root);
  const words = sum(planned.customer, planned.trainers, planned.validators, planned.grants);
  const validators = sum(planned.validators, planned.validatorGrants);
  const round = { base, updates, states, words, validators, total: sum(base, updates, states, words) };
  const trainSec = throughput === null ? 0 : (steps * terms.hyper.batch) / throughput;
  const auditSec = trainers * auditShare * trainSec;
  const fees = job.rail === 'none' ? 0 : job.validators * job.validatorFeeSats;
  const perRound = job.rail === 'none' ? 0 : trainers * job.maxPriceSats + fees;
  return {
    ...{ model, parameters: parameterCount(model), rule: aggregation, attackers, outer: outerTerms(job).name, codec },
    ...{ trainers, rounds: job.rounds, updateBytes, modelBytes, round },
    total: sum(times(round.total, job.rounds), planned.moreStatesAtFirst),
    steps,
    time: throughput === null ? null : { roundSec: trainSec, auditSec, totalSec: job.rounds * (trainSec + auditSec) },
    sats: { perRound, total: perRound * job.rounds, auditShare, feeShare: perRound === 0 ? 0 : fees / perRound },
    overhead: auditOverhead(terms, shardRows, evaluationRows, planned.segments),
  };
}

/** As post-job would have them. */
function termsOf(
  job: JobFile,
  schema: DataSchema,
  shardRows: readonly number[],
  layersModel: unknown,
): PlannedTerms & Pick<JobTerms, 'attackers'> {
  const model = modelSpec(job, schema, layersModel);
  const hyper = hyperParameters(job);
  const codec = codecTerms(job, model);
  const trainers = job.trainers ?? shardRows.length;
  const steps = Math.max(...shardRows.map((rows) => stepCount(hyper, rows)));
  const spot = {
    ratePpm: Math.round(job.spotRate * 1_000_000),
    everySteps: segmentSteps(job, codec, steps),
    engine: 'any' as EngineId,
  };
  return {
    ...{ model, hyper, codec, trainers, rounds: job.rounds, rail: job.rail },
    ...aggregationTerms(job, trainers),
    ...(job.validators > 0 && {
      validators: { count: job.validators, feeMsat: BigInt(job.validatorFeeSats) * 1_000n },
    }),
    spot: hasSpotChecks(job) ? spot : null,
    maxPriceMsat: BigInt(job.maxPriceSats) * 1_000n,
  };
}
