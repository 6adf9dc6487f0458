import { lowerMedian } from '../learning/lower-median.js';
import { stepCount } from '../learning/train-state.js';
import type { HyperParameters } from '../learning/types.js';
import type { JobTerms } from '../protocol/job.js';
import type { JobFile } from './job-file.js';

const LEAST_WORK = 0.5;
/** Shorter trainings than this share of the middle one lower the loss of their shard less: honest ones failed in 3 of 100 cases. */
const SHORTEST_TRAINING = 1 / 8;
/** Of fewer examples a drop says little: of 500 honest trainings on three or four each 47 fell short. */
const FEWEST_EXAMPLES = 30;

/**
 * The share of the round's medians that a job asks of every update, unless its file says otherwise. Two have no median that one of
 * them does not set; where trainings differ in length, so do their drops.
 */
export function leastWork(
  { leastWork: asked }: Pick<JobFile, 'leastWork'>,
  hyper: HyperParameters,
  shards: readonly { readonly examples: number }[],
): Pick<JobTerms, 'leastWorkPpm'> {
  const steps = shards.map(({ examples }) => stepCount(hyper, examples));
  const isAlike = Math.min(...steps) >= lowerMedian(steps) * SHORTEST_TRAINING;
  const isTelling = shards.length >= 3 && shards.every(({ examples }) => examples >= FEWEST_EXAMPLES);
  const share = asked ?? (isTelling && isAlike ? LEAST_WORK : 0);
  const ppm = Math.round(share * 1_000_000);
  return ppm === 0 ? {} : { leastWorkPpm: ppm };
}
