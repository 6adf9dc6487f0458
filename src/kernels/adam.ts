import * as tf from '@tensorflow/tfjs-core';
import { addressesOf } from './backend.js';
import { assertFloats, hasKernel, kernel, runKernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

export interface AdamOptions {
  readonly learningRate: number;
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
  /** Outside of the root; default 1e-7, as in tf.train.adam. */
  readonly epsilon?: number;
  /** Decoupled (AdamW, Loshchilov and Hutter 2019, arXiv:1711.05101): w -= learningRate * weightDecay * w. Default 0. */
  readonly weightDecay?: number;
}
/** Of all parameters; `rate` and `scale` hold the bias corrections, learningRate / (1 - beta1^t) and 1 / (1 - beta2^t). */
export interface AdamStep {
  readonly beta1: number;
  readonly beta2: number;
  readonly rate: number;
  readonly scale: number;
  readonly epsilon: number;
  /** Share of the weights that stays, 1 - learningRate x weightDecay. */
  readonly keep: number;
  /** Of the gradients, in float64: 1 where they are not clipped. */
  readonly factor: number;
}
const STEP = 'FusedAdamStep';

export function adamKernels(module: Module): readonly Kernel[] {
  return [
    kernel<'w' | 'g' | 'm' | 'v', AdamStep>(STEP, ({ inputs: { w, g, m, v }, backend, attrs: step }) => {
      assertFloats(STEP, [w, g, m, v]);
      const outs = [w, m, v].map(({ shape }) => backend.makeOutput(shape, 'float32'));
      const count = tf.util.sizeFromShape(w.shape);
      const [wAt, gAt, mAt, vAt] = addressesOf(backend, [w, g, m, v]);
      const [newW, newM, newV] = addressesOf(backend, outs) as [number, number, number];
      const { beta1, beta2, rate, scale, epsilon, keep, factor } = step;
      module.all(
        'adam',
        module.pieces(count, 4, 40 * count).map(({ first, count: some }) => {
          const step = 4 * first;
          const before = [wAt + step, gAt + step, mAt + step, vAt + step] as const;
          const after = [newW + step, newM + step, newV + step] as const;
          return [some, ...before, ...after, beta1, beta2, rate, scale, epsilon, keep, factor];
        }),
      );
      return outs;
    }),
  ];
}

export interface AdamTensors<T extends tf.Tensor = tf.Tensor> {
  readonly w: T;
  readonly m: T;
  readonly v: T;
}

/** Whether `adamStep` works on the current backend. */
export function hasAdam(): boolean {
  return hasKernel(STEP);
}

/** Weights and moments after one step of Adam, as new tensors; those before are the caller's to dispose. */
export function adamStep({ w, m, v }: AdamTensors, g: tf.Tensor, step: AdamStep): AdamTensors {
  const [newW, newM, newV] = runKernel<tf.Tensor[]>(STEP, { w, g, m, v }, { ...step }) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  return { w: newW, m: newM, v: newV };
}

/** Adam (Kingma and Ba 2015) and AdamW for variables on the wasm backend with our kernels: one kernel per variable and step. */
export class FusedAdam extends tf.Optimizer {
  private readonly moments = new Map<string, { mean: tf.Tensor; square: tf.Tensor }>();
  private decay1 = 1; // beta1^t by repeated multiplication: Math.pow differs between V8 versions
  private decay2 = 1;

  constructor(private readonly options: AdamOptions) {
    super();
  }

  static get className(): string {
    return 'FusedAdam';
  }

  applyGradients(gradients: tf.NamedTensorMap | { name: string; tensor: tf.Tensor }[]): void {
    const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weightDecay = 0 } = this.options;
    this.decay1 *= beta1;
    this.decay2 *= beta2;
    const step = {
      beta1,
      beta2,
      rate: learningRate / (1 - this.decay1),
      scale: 1 / (1 - this.decay2),
      epsilon,
      keep: 1 - learningRate * weightDecay,
      factor: 1,
    };
    const named: [string, tf.Tensor | null][] = Array.isArray(gradients)
      ? gradients.map(({ name, tensor }) => [name, tensor])
      : Object.entries(gradients);
    tf.tidy(() => {
      for (const [name, g] of named) if (g !== null) this.update(name, g, step);
    });
    this.incrementIterations();
  }

  private update(name: string, g: tf.Tensor, step: AdamStep): void {
    const variable = tf.engine().registeredVariables[name]!;
    const old = this.moments.get(name);
    const { mean, square } = old ?? { mean: tf.zerosLike(variable), square: tf.zerosLike(variable) };
    const { w, m, v } = adamStep({ w: variable, m: mean, v: square }, g, step);
    variable.assign(w);
    this.moments.set(name, { mean: tf.keep(m), square: tf.keep(v) });
    tf.dispose([mean, square]);
  }

  override dispose(): void {
    for (const { mean, square } of this.moments.values()) tf.dispose([mean, square]);
    this.moments.clear();
    super.dispose();
  }

  getConfig(): tf.serialization.ConfigDict {
    return { ...this.options };
  }
}
