import type { AdamStep } from '../kernels/adam.js';
import type { Moment } from '../learning/train-state.js';
import { momentsOf } from '../learning/train-state.js';
import type { HyperParameters } from '../learning/types.js';

/**
 * Updates `weights` in place from the gradients of one step; all in the same order of tensors.
 *
 * @param rate    of this step
 * @param factor  of the gradients, 1 where they are not clipped: times 1 changes no bit
 */
export type Optimizer = (
  weights: readonly Float32Array[],
  gradients: readonly Float32Array[],
  rate: number,
  factor: number,
) => void;

const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-7;

/** What an optimizer remembers between steps; arrays in the order of the tensors, none of moments that it does not keep. */
export interface Moments extends Readonly<Record<Moment, readonly Float32Array[]>> {
  /** Steps made so far. */
  readonly step: number;
}

export function freshMoments(hyper: Pick<HyperParameters, 'optimizer'>, sizes: readonly number[]): Moments {
  const kept = momentsOf(hyper);
  const zeros = (moment: Moment) => (kept.includes(moment) ? sizes.map((size) => new Float32Array(size)) : []);
  return { step: 0, mean: zeros('mean'), square: zeros('square'), velocity: zeros('velocity') };
}

/**
 * Goes on from `moments` and changes their arrays. Written on typed arrays because + - * / and sqrt round alike everywhere
 * (IEEE 754), so the update has the same bits on each rung. Arithmetic in float64, one rounding to float32 per stored value.
 */
export function makeOptimizer(hyper: HyperParameters, moments: Moments): Optimizer {
  switch (hyper.optimizer) {
    case 'sgd':
      return sgd;
    case 'momentum':
      return momentum(hyper.momentum!, moments);
    case 'adam':
      return adam(0, moments);
    case 'adamw':
      return adam(hyper.weightDecay!, moments);
  }
}

/** Length of all gradients as one vector, added in float64 in the order given. */
export function globalNorm(gradients: readonly Float32Array[]): number {
  let sum = 0;
  for (const g of gradients) for (let i = 0; i < g.length; i++) sum += g[i]! * g[i]!;
  return Math.sqrt(sum);
}

/** Plain stochastic gradient descent: w -= rate * g. */
function sgd(...[weights, gradients, rate, factor]: Parameters<Optimizer>): void {
  for (const [tensor, w] of weights.entries()) {
    const g = gradients[tensor]!;
    for (let i = 0; i < w.length; i++) w[i] = w[i]! - rate * (g[i]! * factor);
  }
}

/** Heavy ball (Polyak 1964), as PyTorch's SGD without dampening: v = m v + g; w -= rate * v. */
function momentum(share: number, { velocity }: Moments): Optimizer {
  return (weights, gradients, rate, factor) => {
    for (const [tensor, w] of weights.entries()) {
      const g = gradients[tensor]!;
      const v = velocity[tensor]!;
      for (let i = 0; i < w.length; i++) {
        const next = share * v[i]! + g[i]! * factor;
        v[i] = next;
        w[i] = w[i]! - rate * next;
      }
    }
  };
}

/**
 * Adam with bias correction (Kingma and Ba 2015, Algorithm 1, arXiv:1412.6980); epsilon outside the root, 1e-7. AdamW with a
 * `decay`, which shrinks the weights beside the gradient's step (Loshchilov and Hutter 2019, arXiv:1711.05101).
 */
function adam(decay: number, { step, mean: means, square: squares }: Moments): Optimizer {
  const scales = adamScales(decay, step);
  return (weights, gradients, rate, factor) => {
    const now = { ...scales(rate), factor };
    for (const [tensor, w] of weights.entries()) adamStep(w, gradients[tensor]!, means[tensor]!, squares[tensor]!, now);
  };
}

/** The scalars of one step after the other, after `done` steps. */
export function adamScales(decay: number, done: number): (rate: number) => Omit<AdamStep, 'factor'> {
  let decay1 = 1; // beta1^t by repeated multiplication: Math.pow differs between V8 versions
  let decay2 = 1;
  const count = (): void => {
    decay1 *= BETA_1;
    decay2 *= BETA_2;
  };
  for (let step = 0; step < done; step++) count();
  return (rate) => {
    count();
    const corrected = { rate: rate / (1 - decay1), scale: 1 / (1 - decay2) };
    return { beta1: BETA_1, beta2: BETA_2, epsilon: EPSILON, keep: 1 - rate * decay, ...corrected };
  };
}

function adamStep(w: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, step: AdamStep): void {
  const { factor, rate, scale, keep } = step;
  for (let i = 0; i < w.length; i++) {
    const gradient = g[i]! * factor;
    const mean = BETA_1 * m[i]! + (1 - BETA_1) * gradient;
    const square = BETA_2 * v[i]! + (1 - BETA_2) * gradient * gradient;
    m[i] = mean;
    v[i] = square;
    w[i] = w[i]! * keep - (rate * mean) / (Math.sqrt(scale * square) + EPSILON);
  }
}
