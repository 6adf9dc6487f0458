import { cos } from './math.js';
import type { HyperParameters } from './types.js';

const PI = 3.141592653589793;

/**
 * The learning rate of one step: a straight line up to `learningRate` over `warmupSteps`, then that, or with `decay: cosine`
 * half a cosine down towards 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts). The training is that of one round.
 *
 * @param step   from 0
 * @param steps  of the whole training, > step
 */
export function learningRateAt(hyper: HyperParameters, step: number, steps: number): number {
  const { learningRate, warmupSteps = 0, decay } = hyper;
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  if (decay !== 'cosine') return learningRate;
  return (learningRate * (1 + cos((PI * (step - warmupSteps)) / (steps - warmupSteps)))) / 2;
}
