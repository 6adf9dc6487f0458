import { maxUpdateBytes, keepsResidual } from '../learning/codec/codec.js';
import { uncodedShapes } from '../learning/codec/uncoded.js';
import { parameterShapes } from '../learning/params.js';
import { stateShapes, stepCount } from '../learning/train-state.js';
import type { JobTerms } from '../protocol/job.js';
import {
  blobLoad,
  customerEvents,
  NOTHING,
  ROUND_GRANT,
  sum,
  times,
  trainerEvents,
  validatorEvents,
  type Load,
  type RoundShape,
} from './event-sizes.js';
import { checkpointCount } from './spot-check.js';

/** What a round takes, from the terms of its job alone: anybody who reads the job comes to the same numbers. */

/** Terms that decide it. */
export type PlannedTerms = Pick<
  JobTerms,
  'model' | 'hyper' | 'codec' | 'aggregation' | 'trainers' | 'rounds' | 'spot' | 'rail' | 'maxPriceMsat' | 'validators'
>;

export interface RoundPlan {
  /** Of one update, before it is sealed: at most. */
  readonly updateBytes: number;
  /** The same as whole models in f32. */
  readonly modelBytes: number;
  /** Global model; inline it is bytes of the round's opening. */
  readonly base: Load;
  /** With fltrust, else nothing. */
  readonly root: Load;
  /** Of all trainers; inline they are bytes of the reveals. */
  readonly updates: Load;
  /** Shown for spot checks: as many as are drawn on average. */
  readonly states: Load;
  /** More of them in the first round, where all are drawn. */
  readonly moreStatesAtFirst: Load;
  /** Events of the customer and of all trainers, without what is inline. */
  readonly customer: Load;
  readonly trainers: Load;
  readonly validators: Load;
  /** Of all of them. */
  readonly grants: Load;
  /** Of these, those of validators. */
  readonly validatorGrants: Load;
  /** Of the largest shard. */
  readonly steps: number;
  /** Of the longest training, its encoding one of them. */
  readonly segments: number;
  /** What repeating takes, as a share of what training takes. */
  readonly auditShare: number;
}

/** @param shardRows  examples of each shard, n >= 1 */
export function planRound(terms: PlannedTerms, shardRows: readonly number[]): RoundPlan {
  const { model, hyper, codec, spot, trainers } = terms;
  const shapes = parameterShapes(model);
  const [updateBytes, modelBytes] = [maxUpdateBytes(codec, shapes), maxUpdateBytes({ name: 'f32' }, shapes)];
  const rows = Math.max(...shardRows);
  const checkpoints = checkpointCount(terms, rows);
  const hasRoot = terms.aggregation === 'fltrust';
  const isPaid = terms.rail !== 'none';
  const { count: validators, feeMsat } = terms.validators ?? { count: 0, feeMsat: 0n };
  const shape: RoundShape = {
    ...{ trainers, validators, isDrawn: spot !== null, isPaid, hasFees: feeMsat > 0n, hasRoot, checkpoints },
    isSale: terms.rail === 'key-sale',
  };
  // The model of the round, and every update.
  const validatorGrants = times(ROUND_GRANT, validators * (1 + trainers));
  const state = spot === null ? NOTHING : blobLoad(largestState(terms, shapes), false);
  const rate = spot === null ? 0 : spot.ratePpm / 1_000_000;
  const segments = checkpoints + 1;
  // The first segment begins at the base, which everybody has.
  const withState = trainers * (checkpoints / segments);
  return {
    ...{ updateBytes, modelBytes },
    base: blobLoad(modelBytes),
    root: hasRoot ? blobLoad(modelBytes, false) : NOTHING,
    updates: times(blobLoad(updateBytes), trainers),
    states: times(state, rate * withState),
    moreStatesAtFirst: times(state, (1 - rate) * withState),
    customer: customerEvents(shape),
    trainers: times(trainerEvents(shape), trainers),
    validators: times(validatorEvents(shape), validators),
    grants: sum(times(ROUND_GRANT, trainers), validatorGrants),
    validatorGrants,
    steps: Math.max(...shardRows.map((count) => stepCount(hyper, count))),
    ...{ segments, auditShare: rate / segments },
  };
}

/** Bytes of a state between two steps, or of what the encoding starts from. */
function largestState({ model, hyper, codec }: PlannedTerms, shapes: ReturnType<typeof parameterShapes>): number {
  const states = [stateShapes(model, hyper), uncodedShapes(shapes, keepsResidual(codec))];
  return Math.max(...states.map((one) => maxUpdateBytes({ name: 'f32' }, one)));
}
