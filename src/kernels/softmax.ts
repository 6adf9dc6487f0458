import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { addressesOf, addressOf, type WasmBackend } from './backend.js';
import { assertFloats, elseStock, hasKernel, kernel, runKernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

/** Of one value, in multiplications of matrices. */
const WORK = 80;

export function softmaxKernels(module: Module): readonly Kernel[] {
  const gradient = (kernelName: string, name: 'softmaxGradient' | 'logSoftmaxGradient'): Kernel =>
    kernel<'dy' | 'y', object>(kernelName, ({ inputs: { dy, y }, backend }) => {
      assertFloats(kernelName, [dy, y]);
      return byRows(module, backend, name, [dy, y], name === 'softmaxGradient' ? [1] : []);
    });
  return [
    elseStock<'logits', object>('Softmax', 'logits', ({ inputs: { logits }, backend }) =>
      byRows(module, backend, 'softmax', [logits]),
    ),
    kernel<'logits', object>('LogSoftmax', ({ inputs: { logits }, backend }) => {
      assertFloats('LogSoftmax', [logits]);
      return byRows(module, backend, 'logSoftmax', [logits]);
    }),
    gradient('SoftmaxGrad', 'softmaxGradient'),
    gradient('LogSoftmaxGrad', 'logSoftmaxGradient'),
  ];
}

/** Over the last dimension, which is the only one that tfjs allows; in pieces of some rows. */
function byRows(
  module: Module,
  backend: WasmBackend,
  name: 'softmax' | 'logSoftmax' | 'softmaxGradient' | 'logSoftmaxGradient',
  inputs: readonly TensorInfo[],
  others: readonly number[] = [],
): TensorInfo {
  const { shape } = inputs[0]!;
  const out = backend.makeOutput(shape, 'float32');
  const [from, to] = [addressesOf(backend, inputs), addressOf(backend, out)];
  const width = shape.at(-1)!;
  const rows = tf.util.sizeFromShape(shape.slice(0, -1));
  const calls = module.pieces(rows, 1, WORK * rows * width).map(({ first, count }) => {
    const skip = 4 * first * width;
    return [...from.map((address) => address + skip), count, width, ...others, to + skip];
  });
  module.all(name, calls as unknown as Parameters<Module['run'][typeof name]>[]);
  return out;
}

/** tf.logSoftmax in one kernel, where ours are; tf.logSoftmax itself never calls one. */
export function logSoftmax<T extends Tensor>(logits: T): T {
  return hasKernel('LogSoftmax')
    ? runKernel<T>('LogSoftmax', { logits }, { axis: logits.rank - 1 })
    : tf.logSoftmax(logits);
}

/**
 * In the place of tfjs's gradients, of which tf.softmax and what is built on it use the first: one kernel where ours
 * are, the same composition as before on other backends.
 */
export function registerSoftmaxGradients(): void {
  tf.registerGradient({
    kernelName: 'Softmax',
    outputsToSave: [true],
    gradFunc(dy, [y], attrs) {
      return { logits: () => softmaxGradient(dy as Tensor, y!, attrs['dim'] as number) };
    },
  });
  tf.registerGradient({
    kernelName: 'LogSoftmax',
    outputsToSave: [true],
    gradFunc(dy, [y], attrs) {
      const axis = attrs['axis'] as number;
      return { logits: () => logSoftmaxGradient(dy as Tensor, y!, axis) };
    },
  });
  // So that gradients of gradients are there, as they were before.
  tf.registerGradient({
    kernelName: 'SoftmaxGrad',
    inputsToSave: ['dy', 'y'],
    gradFunc(dz, [dy, y]) {
      const last = dy!.rank - 1;
      const z = dz as Tensor;
      const weight = (a: Tensor, b: Tensor): Tensor => tf.sum(tf.mul(a, b), last, true);
      return {
        dy: () => softmaxGradient(z, y!, last),
        y: () => tf.sub(tf.mul(z, tf.sub(dy!, weight(dy!, y!))), tf.mul(dy!, weight(z, y!))),
      };
    },
  });
  tf.registerGradient({
    kernelName: 'LogSoftmaxGrad',
    inputsToSave: ['dy', 'y'],
    gradFunc(dz, [dy, y]) {
      const last = dy!.rank - 1;
      const z = dz as Tensor;
      const seen = (): Tensor => tf.mul(z, tf.exp(y!));
      return {
        dy: () => tf.sub(z, tf.sum(seen(), last, true)),
        y: () => tf.neg(tf.mul(seen(), tf.sum(dy!, last, true))),
      };
    },
  });
}

function softmaxGradient(dy: Tensor, y: Tensor, axis: number): Tensor {
  if (hasKernel('SoftmaxGrad') && axis === y.rank - 1) return runKernel('SoftmaxGrad', { dy, y });
  const product = tf.mul(dy, y);
  return tf.sub(product, tf.mul(tf.sum(product, [axis], true), y));
}

function logSoftmaxGradient(dy: Tensor, y: Tensor, axis: number): Tensor {
  if (hasKernel('LogSoftmaxGrad') && axis === y.rank - 1) return runKernel('LogSoftmaxGrad', { dy, y });
  return tf.sub(dy, tf.mul(tf.sum(dy, axis, true), tf.exp(y)));
}
