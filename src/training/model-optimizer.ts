import type { HyperParameters } from '../learning/types.js';

/** Updates `weights` in place from the gradients of one step; both in the same order of tensors. */
export type Optimizer = (weights: readonly Float32Array[], gradients: readonly Float32Array[]) => void;

const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-7;

/** What an optimizer remembers between steps; arrays in the order of the tensors, empty for sgd. */
export interface Moments {
  /** Steps made so far. */
  readonly step: number;
  readonly mean: readonly Float32Array[];
  readonly square: readonly Float32Array[];
}

export function freshMoments({ optimizer }: Pick<HyperParameters, 'optimizer'>, sizes: readonly number[]): Moments {
  const zeros = () => (optimizer === 'adam' ? sizes.map((size) => new Float32Array(size)) : []);
  return { step: 0, mean: zeros(), square: zeros() };
}

/**
 * Goes on from `moments` and changes their arrays. Written on typed arrays because + - * / and sqrt round alike everywhere
 * (IEEE 754), so the update has the same bits on each rung. Arithmetic in float64, one rounding to float32 per stored value.
 */
export function makeOptimizer(hyper: HyperParameters, moments: Moments): Optimizer {
  return hyper.optimizer === 'adam' ? adam(hyper.learningRate, moments) : sgd(hyper.learningRate);
}

/** Plain stochastic gradient descent: w -= rate * g. */
function sgd(rate: number): Optimizer {
  return (weights, gradients) => {
    for (const [tensor, w] of weights.entries()) {
      const g = gradients[tensor]!;
      for (let i = 0; i < w.length; i++) w[i] = w[i]! - rate * g[i]!;
    }
  };
}

/** Adam with bias correction (Kingma and Ba 2015, Algorithm 1, arXiv:1412.6980); epsilon outside the root, 1e-7. */
function adam(rate: number, { step, mean: means, square: squares }: Moments): Optimizer {
  let decay1 = 1; // beta1^t by repeated multiplication: Math.pow differs between V8 versions
  let decay2 = 1;
  for (let done = 0; done < step; done++) {
    decay1 *= BETA_1;
    decay2 *= BETA_2;
  }
  return (weights, gradients) => {
    decay1 *= BETA_1;
    decay2 *= BETA_2;
    const scale1 = rate / (1 - decay1);
    const scale2 = 1 / (1 - decay2);
    for (const [tensor, w] of weights.entries())
      adamStep(w, gradients[tensor]!, means[tensor]!, squares[tensor]!, scale1, scale2);
  };
}

function adamStep(
  w: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  scale1: number,
  scale2: number,
): void {
  for (let i = 0; i < w.length; i++) {
    const gradient = g[i]!;
    const mean = BETA_1 * m[i]! + (1 - BETA_1) * gradient;
    const square = BETA_2 * v[i]! + (1 - BETA_2) * gradient * gradient;
    m[i] = mean;
    v[i] = square;
    w[i] = w[i]! - (scale1 * mean) / (Math.sqrt(scale2 * square) + EPSILON);
  }
}
