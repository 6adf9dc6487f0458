import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { addressesOf } from './backend.js';
import { assertFloats, hasKernel, kernel, runKernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Normalization {
  readonly epsilon: number;
}

/** Of one value, in multiplications of matrices. */
const WORK = 20;

/** The gradient stays whole: its sums run over all rows. */
export function normKernels(module: Module): readonly Kernel[] {
  const { run } = module;
  return [
    kernel<'x' | 'gamma' | 'beta', Normalization>(
      'LayerNorm',
      ({ inputs: { x, gamma, beta }, backend, attrs: { epsilon } }) => {
        assertFloats('LayerNorm', [x, gamma, beta]);
        const out = backend.makeOutput(x.shape, 'float32');
        const [xAt, gammaAt, betaAt, to] = addressesOf(backend, [x, gamma, beta, out]);
        const [rows, width] = rowsOf(x.shape);
        const calls = module.pieces(rows, 1, WORK * rows * width).map(({ first, count }) => {
          const skip = 4 * first * width;
          return [xAt + skip, gammaAt, betaAt, count, width, epsilon, to + skip];
        });
        module.all('layerNorm', calls);
        return out;
      },
    ),
    kernel<'dy' | 'x' | 'gamma', Normalization>(
      'LayerNormGrad',
      ({ inputs: { dy, x, gamma }, backend, attrs: { epsilon } }) => {
        assertFloats('LayerNormGrad', [dy, x, gamma]);
        const outs = [x, gamma, gamma].map(({ shape }) => backend.makeOutput(shape, 'float32'));
        const scratch = module.scratch(16 * x.shape.at(-1)!);
        const [dyAt, xAt, gammaAt] = addressesOf(backend, [dy, x, gamma]);
        run.layerNormGradient(dyAt, xAt, gammaAt, ...rowsOf(x.shape), epsilon, ...addressesOf(backend, outs), scratch);
        return outs;
      },
    ),
  ];
}

function rowsOf(shape: readonly number[]): [number, number] {
  return [tf.util.sizeFromShape(shape.slice(0, -1)), shape.at(-1)!];
}

/**
 * gamma (x - mean) / sqrt(variance + epsilon) + beta over the last axis (Ba et al. 2016), with gradients.
 *
 * @param gamma  one value per place of the last axis, as is `beta`
 */
export function layerNorm<T extends Tensor>(x: T, gamma: tf.Tensor1D, beta: tf.Tensor1D, epsilon = 1e-5): T {
  const width = x.shape.at(-1);
  tf.util.assert(
    x.rank > 0 && [gamma, beta].every(({ shape }) => shape.length === 1 && shape[0] === width),
    () => `layerNorm of [${x.shape.join()}] takes [${width}], not [${gamma.shape.join()}] and [${beta.shape.join()}]`,
  );
  if (!hasKernel('LayerNorm'))
    return tf.tidy(() => {
      const centred = tf.sub(x, tf.mean(x, -1, true));
      const variance = tf.mean(tf.square(centred), -1, true);
      return tf.add<T>(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon))), gamma), beta);
    });
  const fused = tf.customGrad((...all) => {
    const [input, scale, shift, save] = all as [...Tensor[], (kept: Tensor[]) => void] as Call3;
    save([input, scale]);
    return {
      value: runKernel('LayerNorm', { x: input, gamma: scale, beta: shift }, { epsilon }),
      gradFunc: (dy: Tensor, [kept, slopes]: Tensor[]) =>
        runKernel<Tensor[]>('LayerNormGrad', { dy, x: kept!, gamma: slopes! }, { epsilon }),
    };
  });
  return fused(x, gamma, beta) as T;
}
type Call3 = [Tensor, Tensor, Tensor, (kept: Tensor[]) => void];
