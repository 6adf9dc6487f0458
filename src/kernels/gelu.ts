import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { addressesOf } from './backend.js';
import { assertFloats, hasKernel, kernel, runKernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Form {
  readonly exact: boolean;
}

/** Of one value, in multiplications of matrices. */
const WORK = 80;

export function geluKernels(module: Module): readonly Kernel[] {
  return [
    kernel<'x', Form>('Gelu', ({ inputs: { x }, backend, attrs: { exact } }) => {
      assertFloats('Gelu', [x]);
      const out = backend.makeOutput(x.shape, 'float32');
      const [from, to] = addressesOf(backend, [x, out]);
      const size = tf.util.sizeFromShape(x.shape);
      const pieces = module.pieces(size, 4, WORK * size);
      module.all(
        'gelu',
        pieces.map(({ first, count }) => [from + 4 * first, count, Number(exact), to + 4 * first]),
      );
      return out;
    }),
    kernel<'dy' | 'x', Form>('GeluGrad', ({ inputs: { dy, x }, backend, attrs: { exact } }) => {
      assertFloats('GeluGrad', [dy, x]);
      const out = backend.makeOutput(x.shape, 'float32');
      const [from, at, to] = addressesOf(backend, [dy, x, out]);
      const size = tf.util.sizeFromShape(x.shape);
      const pieces = module.pieces(size, 4, WORK * size);
      module.all(
        'geluGradient',
        pieces.map(({ first, count }) => [from + 4 * first, at + 4 * first, count, Number(exact), to + 4 * first]),
      );
      return out;
    }),
    kernel<'dy' | 'x', object>('ReluGrad', ({ inputs: { dy, x }, backend }) => {
      assertFloats('ReluGrad', [dy, x]);
      const out = backend.makeOutput(x.shape, 'float32');
      const [from, at, to] = addressesOf(backend, [dy, x, out]);
      module.run.reluGradient(from, at, tf.util.sizeFromShape(x.shape), to); // at the speed of memory
      return out;
    }),
  ];
}

/**
 * x times the normal distribution's Phi(x), with gradient.
 *
 * @param form  `tanh` (default): 0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), which tfjs-layers calls `gelu_new`;
 *              `erf`: from the error function, which it calls `gelu`
 */
export function gelu<T extends Tensor>(x: T, form: 'tanh' | 'erf' = 'tanh'): T {
  const exact = form === 'erf';
  if (!hasKernel('Gelu')) return tf.tidy(() => tf.mul<T>(x, exact ? byErf(x) : byTanh(x)));
  const fused = tf.customGrad((...all) => {
    const [input, save] = all as unknown as [Tensor, (kept: Tensor[]) => void];
    save([input]);
    return {
      value: runKernel('Gelu', { x: input }, { exact }),
      gradFunc: (dy: Tensor, [kept]: Tensor[]) => runKernel('GeluGrad', { dy, x: kept! }, { exact }),
    };
  });
  return fused(x) as T;
}

function byErf(x: Tensor): Tensor {
  return tf.mul(0.5, tf.add(1, tf.erf(tf.div(x, Math.SQRT2))));
}

function byTanh(x: Tensor): Tensor {
  const cube = tf.mul(tf.mul(x, tf.square(x)), 0.044715);
  return tf.mul(0.5, tf.add(1, tf.tanh(tf.mul(tf.add(x, cube), Math.sqrt(2 / Math.PI)))));
}

/** In the place of tfjs's gradient of relu, which takes three kernels; the same composition on other backends. */
export function registerReluGradient(): void {
  tf.registerGradient({
    kernelName: 'Relu',
    inputsToSave: ['x'],
    gradFunc: (dy, [x]) => ({ x: () => reluGradient(dy as Tensor, x!) }),
  });
  tf.registerGradient({
    kernelName: 'ReluGrad',
    inputsToSave: ['dy', 'x'],
    gradFunc: (dz, [dy, x]) => ({ dy: () => reluGradient(dz as Tensor, x!), x: () => tf.zerosLike(dy!) }),
  });
}

function reluGradient(dy: Tensor, x: Tensor): Tensor {
  if (hasKernel('ReluGrad') && x.dtype === 'float32') return runKernel('ReluGrad', { dy, x });
  return tf.mul(dy, tf.cast(tf.step(x), 'float32'));
}
