import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { addressesOf } from './backend.js';
import { assertFloats, hasKernel, kernel, runKernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Normalization {
  readonly epsilon: number;
  /** Whether means and deviations are wanted too, for the gradient: a second output of KEPT numbers per row, which hold two float64. */
  readonly keeps: boolean;
}
const KEPT = 4;

/** Of one value, in multiplications of matrices. */
const WORK = 20;
/** Columns of a piece: whole lines of the cache. */
const LINE = 16;

/** The gradient by x in pieces of some rows, those by gamma and beta, which are sums over all rows, of some columns. */
export function normKernels(module: Module): readonly Kernel[] {
  return [
    kernel<'x' | 'gamma' | 'beta', Normalization>(
      'LayerNorm',
      ({ inputs: { x, gamma, beta }, backend, attrs: { epsilon, keeps } }) => {
        assertFloats('LayerNorm', [x, gamma, beta]);
        const [rows, width] = rowsOf(x.shape);
        const shapes = keeps ? [x.shape, [rows, KEPT]] : [x.shape];
        const outs = shapes.map((shape) => backend.makeOutput(shape, 'float32'));
        const [to, kept] = addressesOf(backend, outs) as [number, number?];
        const [xAt, gammaAt, betaAt] = addressesOf(backend, [x, gamma, beta]);
        const calls = module.pieces(rows, 1, WORK * rows * width).map(({ first, count }) => {
          const skip = 4 * first * width;
          const keptAt = kept === undefined ? 0 : kept + 4 * KEPT * first;
          return [xAt + skip, gammaAt, betaAt, count, width, epsilon, keptAt, to + skip];
        });
        module.all('layerNorm', calls);
        return outs;
      },
    ),
    kernel<'dy' | 'x' | 'gamma' | 'kept', object>('LayerNormGrad', ({ inputs: { dy, x, gamma, kept }, backend }) => {
      assertFloats('LayerNormGrad', [dy, x, gamma]);
      const outs = [x, gamma, gamma].map(({ shape }) => backend.makeOutput(shape, 'float32'));
      const [dyAt, xAt, gammaAt, keptAt] = addressesOf(backend, [dy, x, gamma, kept]);
      const [dx, dgamma, dbeta] = addressesOf(backend, outs) as [number, number, number];
      const [rows, width] = rowsOf(x.shape);
      const byRows = module.pieces(rows, 1, WORK * rows * width).map(({ first, count }) => {
        const skip = 4 * first * width;
        return [dyAt + skip, xAt + skip, gammaAt, keptAt + 4 * KEPT * first, count, width, dx + skip];
      });
      module.all('layerNormGradient', byRows);
      const byColumns = module.pieces(width, LINE, WORK * rows * width).map(({ first, count }) => {
        const skip = 4 * first;
        return [dyAt + skip, xAt + skip, keptAt, rows, count, width, dgamma + skip, dbeta + skip, 0];
      });
      module.all('layerNormSums', byColumns, 16 * (width + 4));
      return outs;
    }),
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
  const keeps = tf.engine().isTapeOn();
  const fused = tf.customGrad((...all) => {
    const [input, scale, shift, save] = all as [...Tensor[], (kept: Tensor[]) => void] as Call3;
    const inputs = { x: input, gamma: scale, beta: shift };
    const [value, found] = runKernel<Tensor[]>('LayerNorm', inputs, { epsilon, keeps });
    save(found === undefined ? [] : [input, scale, found]);
    return {
      value: value!,
      gradFunc: (dy: Tensor, [before, slopes, kept]: Tensor[]) =>
        runKernel<Tensor[]>('LayerNormGrad', { dy, x: before!, gamma: slopes!, kept: kept! }),
    };
  });
  return fused(x, gamma, beta) as T;
}
type Call3 = [Tensor, Tensor, Tensor, (kept: Tensor[]) => void];
