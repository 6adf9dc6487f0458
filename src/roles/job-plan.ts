import { CHUNK_BYTES } from '../blob/chunk.js';
import { indexChunks, INLINE_BYTES } from '../blob/pointer.js';
import { maxUpdateBytes, type Codec } from '../learning/codec/codec.js';
import { parameterCount, parameterShapes } from '../learning/params.js';
import { stateShapes, stepCount } from '../learning/train-state.js';
import type { DataSchema, HyperParameters, ModelSpec } from '../learning/types.js';
import { aggregationTerms, codecTerms, outerTerms } from './job-algorithm.js';
import { hasSpotChecks, type JobFile } from './job-file.js';
import { hyperParameters } from './job-hyper.js';
import { modelSpec, segmentSteps } from './post.js';
import { checkpointCount } from './spot-check.js';

/** What a job takes before anybody is asked for money: events, bytes, time and sats, from its terms alone. */

/** Events and their bytes as JSON, on each relay. */
export interface Load {
  readonly events: number;
  readonly bytes: number;
}

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
  };
}

/** A chunk's base64 and what is around it. */
const CHUNK_EVENT_BYTES = 64_450;
/** As events of these kinds are long: open, lists, draw, scores, close and settlement of a round; then of each trainer. */
const ROUND_BYTES = 9_000;
/** Its grant, commitment and reveal. */
const TRAINER_BYTES = 7_200;
/** Its claim, the receipt and the thanks. */
const PAY_BYTES = 3_800;

/** Where bytes do not shrink when they are packed. */
function blob(bytes: number, isInline = bytes <= INLINE_BYTES): Load {
  if (bytes === 0) return { events: 0, bytes: 0 };
  if (isInline) return { events: 0, bytes: Math.ceil(bytes / 3) * 4 };
  const chunks = Math.ceil(bytes / CHUNK_BYTES);
  const events = chunks + indexChunks(chunks);
  return { events, bytes: events * CHUNK_EVENT_BYTES };
}

const times = ({ events, bytes }: Load, count: number): Load => ({
  events: Math.round(events * count),
  bytes: Math.round(bytes * count),
});
const sum = (...loads: readonly Load[]): Load => ({
  events: loads.reduce((all, load) => all + load.events, 0),
  bytes: loads.reduce((all, load) => all + load.bytes, 0),
});

/**
 * @param shardRows   examples of each shard
 * @param throughput  examples that a trainer learns from in a second; null: unknown
 * @throws NmktError `bad-job` as posting it would
 */
export function planJob(
  job: JobFile,
  schema: DataSchema,
  shardRows: readonly number[],
  throughput: number | null,
  layersModel?: unknown,
): JobPlan {
  const model = modelSpec(job, schema, layersModel);
  const hyper = hyperParameters(job);
  const codec = codecTerms(job, model);
  const trainers = job.trainers ?? shardRows.length;
  const { aggregation, attackers } = aggregationTerms(job, trainers);
  const shapes = parameterShapes(model);
  const [updateBytes, modelBytes] = [maxUpdateBytes(codec, shapes), maxUpdateBytes({ name: 'f32' }, shapes)];
  const steps = Math.max(...shardRows.map((rows) => stepCount(hyper, rows)));
  const spot = spotPlan(job, model, hyper, codec, Math.max(...shardRows));
  const model32 = blob(modelBytes);
  const base = aggregation === 'fltrust' ? sum(model32, blob(modelBytes, false)) : model32;
  const updates = times(blob(updateBytes), trainers);
  const states = times(blob(spot.stateBytes, false), trainers * spot.shown);
  const words = wordsOf(trainers, spot.rate > 0, job.rail !== 'none');
  const round = { base, updates, states, words, total: sum(base, updates, states, words) };
  // Everybody's first update is drawn.
  const first = times(blob(spot.stateBytes, false), trainers * spot.shownFirst);
  const trainSec = throughput === null ? 0 : (steps * hyper.batch) / throughput;
  const auditSec = trainers * spot.auditShare * trainSec;
  const perRound = job.rail === 'none' ? 0 : trainers * job.maxPriceSats;
  return {
    ...{ model, parameters: parameterCount(model), rule: aggregation, attackers, outer: outerTerms(job).name, codec },
    ...{
      trainers,
      rounds: job.rounds,
      updateBytes,
      modelBytes,
      round,
      total: sum(times(round.total, job.rounds), first),
      steps,
    },
    time: throughput === null ? null : { roundSec: trainSec, auditSec, totalSec: job.rounds * (trainSec + auditSec) },
    sats: { perRound, total: perRound * job.rounds, auditShare: spot.auditShare },
  };
}

interface SpotPlan {
  readonly rate: number;
  /** Of one state that is shown. */
  readonly stateBytes: number;
  /** How likely an update comes with one. */
  readonly shown: number;
  /** And how much likelier the first one does, which is always drawn. */
  readonly shownFirst: number;
  /** Share of a training that is repeated, on average. */
  readonly auditShare: number;
}

function spotPlan(job: JobFile, model: ModelSpec, hyper: HyperParameters, codec: Codec, rows: number): SpotPlan {
  if (!hasSpotChecks(job)) return { rate: 0, stateBytes: 0, shown: 0, shownFirst: 0, auditShare: 0 };
  const spot = { everySteps: segmentSteps(job, codec, stepCount(hyper, rows)) };
  const segments = checkpointCount({ hyper, spot, codec }, rows) + 1;
  const stateBytes = maxUpdateBytes({ name: 'f32' }, stateShapes(model, hyper));
  const rate = job.spotRate;
  const withState = (segments - 1) / segments;
  return {
    ...{ rate, stateBytes, shown: rate * withState, shownFirst: (1 - rate) * withState },
    auditShare: rate / segments,
  };
}

/** Grants, commitments, lists, reveals, scores, close and, where there is pay, settlement, claims, receipts and thanks. */
function wordsOf(trainers: number, isDrawn: boolean, isPaid: boolean): Load {
  const perTrainer = 3 + (isPaid ? 3 : 0);
  const once = 6 + (isDrawn ? 1 : 0) + (isPaid ? 1 : 0);
  const events = once + perTrainer * trainers;
  return { events, bytes: ROUND_BYTES + trainers * (TRAINER_BYTES + (isPaid ? PAY_BYTES : 0)) };
}
