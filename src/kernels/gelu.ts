import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { addressesOf, addressOf } from './backend.js';
import { assertFloats, hasKernel, kernel, runKernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Form {
  readonly exact: boolean;
  /** Whether the derivative is wanted too: a second output. */
  readonly slopes: boolean;
}

/** Of one value, in multiplications of matrices. */
const WORK = 80;
const PRODUCT_WORK = 8;
/** Columns of a piece: whole lines of the cache. */
const LINE = 16;

export function geluKernels(module: Module): readonly Kernel[] {
  return [
    kernel<'x' | 'bias', Form>('Gelu', ({ inputs, backend, attrs: { exact, slopes } }) => {
      const { x, bias } = inputs as { readonly x: TensorInfo; readonly bias?: TensorInfo };
      assertFloats('Gelu', bias === undefined ? [x] : [x, bias]);
      const outs = Array.from({ length: slopes ? 2 : 1 }, () => backend.makeOutput(x.shape, 'float32'));
      const [to, slopesTo = 0] = outs.map((out) => addressOf(backend, out)) as [number, number?];
      const [from, biasAt] = [addressOf(backend, x), bias === undefined ? 0 : addressOf(backend, bias)];
      const size = tf.util.sizeFromShape(x.shape);
      const width = bias === undefined ? 1 : x.shape.at(-1)!;
      const pieces = module.pieces(size / (width || 1), bias === undefined ? 4 : 1, WORK * size);
      const calls = pieces.map(({ first, count }) => {
        const skip = 4 * first * width;
        const [rows, columns] = bias === undefined ? [1, count] : [count, width];
        return [from + skip, biasAt, rows, columns, Number(exact), slopes ? slopesTo + skip : 0, to + skip];
      });
      module.all('gelu', calls);
      return outs;
    }),
    // A product of its own name: a derivative of `Multiply` would take the slopes for constants.
    kernel<'dy' | 'slopes', object>('GeluGrad', ({ inputs: { dy, slopes }, backend }) => {
      assertFloats('GeluGrad', [dy, slopes]);
      const multiply = tf.getKernel('Multiply', 'wasm').kernelFunc;
      return multiply({ inputs: { a: dy, b: slopes }, backend, attrs: {} });
    }),
    kernel<'dy' | 'slopes', object>('BiasedGeluGrad', ({ inputs: { dy, slopes }, backend }) => {
      assertFloats('BiasedGeluGrad', [dy, slopes]);
      const width = dy.shape.at(-1)!;
      const rows = tf.util.sizeFromShape(dy.shape.slice(0, -1));
      const outs = [dy.shape, [width]].map((shape) => backend.makeOutput(shape, 'float32'));
      const places = addressesOf(backend, [dy, slopes]);
      const [to, sums] = addressesOf(backend, outs) as [number, number];
      const pieces = module.pieces(width, LINE, PRODUCT_WORK * rows * width);
      const calls = pieces.map(({ first, count }) => {
        const [a, b] = places.map((address) => address + 4 * first) as [number, number];
        return [a, b, rows, count, width, to + 4 * first, sums + 4 * first, 0];
      });
      module.all('multiplyAndSum', calls, 8 * (width + 4));
      return outs;
    }),
    kernel<'dy' | 'x', object>('ReluGrad', ({ inputs: { dy, x }, backend }) => {
      assertFloats('ReluGrad', [dy, x]);
      const out = backend.makeOutput(x.shape, 'float32');
      const [from, at, to] = addressesOf(backend, [dy, x, out]);
      const size = tf.util.sizeFromShape(x.shape);
      const pieces = module.pieces(size, 4, PRODUCT_WORK * size);
      module.all(
        'reluGradient',
        pieces.map(({ first, count }) => [from + 4 * first, at + 4 * first, count, to + 4 * first]),
      );
      return out;
    }),
  ];
}

/**
 * x, or x + bias, times the normal distribution's Phi of it, with gradients. The derivative is worked out with the value and kept,
 * rounded to float32.
 *
 * @param form  `tanh` (default): 0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), which tfjs-layers calls `gelu_new`;
 *              `erf`: from the error function, which it calls `gelu`
 * @param bias  one value per place of the last axis
 */
export function gelu<T extends Tensor>(x: T, form: 'tanh' | 'erf' = 'tanh', bias?: tf.Tensor1D): T {
  const exact = form === 'erf';
  tf.util.assert(
    bias === undefined || (x.rank > 0 && bias.rank === 1 && bias.shape[0] === x.shape.at(-1)),
    () => `gelu of [${x.shape.join()}] takes a bias [${x.shape.at(-1) ?? ''}], not [${bias!.shape.join()}]`,
  );
  if (!hasKernel('Gelu'))
    return tf.tidy(() => {
      const sum = bias === undefined ? x : tf.add<T>(x, bias);
      return tf.mul<T>(sum, exact ? byErf(sum) : byTanh(sum));
    });
  const slopes = tf.engine().isTapeOn();
  const paths = slopes ? (bias === undefined ? [x] : [x, bias]).map((one) => pathFrom(one)) : [];
  const fused = tf.customGrad((...all) => {
    const [input, ...rest] = all as unknown as [Tensor, ...Tensor[], (kept: Tensor[]) => void];
    const save = rest.pop() as unknown as (kept: Tensor[]) => void;
    const given: Record<string, Tensor> = { x: input, ...(bias === undefined ? {} : { bias: rest[0] as Tensor }) };
    const [value, found] = runKernel<Tensor[]>('Gelu', given, { exact, slopes });
    save(found === undefined ? [] : [found, ...paths]);
    return {
      value: value!,
      gradFunc(dy: Tensor, [kept, ...anchors]: Tensor[]) {
        const paths = Object.fromEntries(anchors.map((one, i) => [`path${i}`, one]));
        const inputs = { dy, slopes: kept!, ...paths };
        return bias === undefined ? runKernel('GeluGrad', inputs) : runKernel<Tensor[]>('BiasedGeluGrad', inputs);
      },
    };
  });
  const value = (bias === undefined ? fused(x) : fused(x, bias)) as T;
  tf.dispose(paths);
  return value;
}

/**
 * Nothing of x, on the tape: an output that is kept has no way back to x there, so a second derivative would silently leave the
 * slopes out; with this it comes to the kernel of the first and is refused.
 */
function pathFrom(x: Tensor): Tensor {
  const none = x.shape.map(() => 0);
  return x.rank === 0 ? tf.clone(x) : tf.slice(x, none, none);
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
