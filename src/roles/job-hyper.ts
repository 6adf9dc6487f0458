import { NmktError } from '../errors.js';
import type { HyperParameters } from '../learning/types.js';
import type { JobFile } from './job-file.js';

const MOMENTUM = 0.9;
const WEIGHT_DECAY = 0.01;

/** What a job file or a recipe says of it. */
export type HyperFile = Pick<
  JobFile,
  | 'optimizer'
  | 'learningRate'
  | 'batch'
  | 'momentum'
  | 'weightDecay'
  | 'clipNorm'
  | 'proximal'
  | 'warmupSteps'
  | 'decay'
  | 'epochs'
  | 'localSteps'
>;

/** How the trainers of a job train, defaults filled in. @throws NmktError `bad-job` for a part of another optimizer */
export function hyperParameters(job: HyperFile): HyperParameters {
  const { optimizer, learningRate, batch, momentum, weightDecay, clipNorm, proximal, warmupSteps, decay } = job;
  const own = (name: string, value: number | undefined, of: JobFile['optimizer'], fallback: number) => {
    if (optimizer === of) return { [name]: value ?? fallback };
    if (value === undefined) return {};
    throw new NmktError('bad-job', `${name} is no part of the optimizer ${optimizer}`, {
      expected: `${name} with the optimizer ${of} alone`,
      got: `${value} with ${optimizer}`,
      remedy: `--optimizer ${of}, or leave it out`,
    });
  };
  return {
    optimizer,
    learningRate,
    batch,
    ...own('momentum', momentum, 'momentum', MOMENTUM),
    ...own('weightDecay', weightDecay, 'adamw', WEIGHT_DECAY),
    ...(clipNorm !== undefined && { clipNorm }),
    ...(proximal !== undefined && { proximal }),
    ...(warmupSteps > 0 && { warmupSteps }),
    ...(decay === 'cosine' && { decay }),
    ...(job.localSteps === undefined ? { epochs: job.epochs ?? 2 } : { localSteps: job.localSteps }),
  };
}
