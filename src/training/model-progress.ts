import * as tf from '@tensorflow/tfjs-core';
import { adamStep, hasAdam, type AdamTensors } from '../kernels/adam.js';
import type { HyperParameters } from '../learning/types.js';
import { adamScales, globalNorm, makeOptimizer, type Moments, type Optimizer } from './model-optimizer.js';

/** What a training changes from step to step: weights and moments, in the order of the tensors. */
export interface Progress {
  /** Of the weights as they are; they belong to this. */
  tensors(): readonly tf.Tensor[];
  /** One step of the optimizer. @param gradients  belong to this from now on */
  step(gradients: readonly tf.Tensor[], rate: number): Promise<void>;
  read(): Promise<{ readonly weights: readonly Float32Array[]; readonly moments: Omit<Moments, 'step'> }>;
  dispose(): void;
}
type Start = Awaited<ReturnType<Progress['read']>> & {
  readonly shapes: readonly (readonly number[])[];
  readonly moments: Moments;
  /** Of the proximal term: what the training began with, also where `weights` are those of a later step. */
  readonly anchor: readonly Float32Array[];
};

/** On the backend where that has Adam as a kernel, to the same bits; else, and with a proximal term, in arrays, which it changes. */
export function startProgress(hyper: HyperParameters, start: Start): Progress {
  const isAdam = hyper.optimizer === 'adam' || hyper.optimizer === 'adamw';
  return isAdam && hasAdam() && hyper.proximal === undefined ? onBackend(hyper, start) : inArrays(hyper, start);
}

function inArrays(hyper: HyperParameters, { shapes, weights, moments, anchor }: Start): Progress {
  const optimize: Optimizer = makeOptimizer(hyper, moments);
  let tensors: tf.Tensor[] = [];
  const dispose = (): void => {
    tf.dispose(tensors);
    tensors = [];
  };
  return {
    dispose,
    tensors() {
      dispose();
      tensors = weights.map((data, i) => tf.tensor(data, [...shapes[i]!]));
      return tensors;
    },
    async step(gradients, rate) {
      dispose();
      const slopes = proximalGradients(hyper, await takeValues(gradients), weights, anchor);
      optimize(weights, slopes, rate, clipFactor(hyper, slopes));
    },
    read: () => Promise.resolve({ weights, moments }),
  };
}

function onBackend(hyper: HyperParameters, { shapes, weights, moments }: Start): Progress {
  const tensor = (data: Float32Array, i: number): tf.Tensor => tf.tensor(data, [...shapes[i]!]);
  const scales = adamScales(hyper.weightDecay ?? 0, moments.step);
  let all: readonly AdamTensors[] = weights.map((data, i) => ({
    w: tensor(data, i),
    m: tensor(moments.mean[i]!, i),
    v: tensor(moments.square[i]!, i),
  }));
  const flat = (): tf.Tensor[] => all.flatMap(({ w, m, v }) => [w, m, v]);
  return {
    tensors: () => all.map(({ w }) => w),
    async step(gradients, rate) {
      const factor = hyper.clipNorm === undefined ? 1 : clipFactor(hyper, await valuesOf(gradients));
      const step = { ...scales(rate), factor };
      const before = flat();
      all = all.map((one, i) => adamStep(one, gradients[i]!, step));
      tf.dispose([...before, ...gradients]);
    },
    async read() {
      const [w, m, v] = await Promise.all(
        (['w', 'm', 'v'] as const).map((name) => valuesOf(all.map((one) => one[name]))),
      );
      return { weights: w!, moments: { mean: m!, square: v!, velocity: [] } };
    },
    dispose: () => tf.dispose(flat()),
  };
}

/**
 * The values, and the end of the tensors. Never `dataSync`: a GPU cannot answer at once (backend webgpu has no readSync in
 * Node.js). On `cpu` these are the tensor's own values: nobody writes to them any more.
 */
export async function takeValues(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
  try {
    return await valuesOf(tensors);
  } finally {
    tf.dispose([...tensors]);
  }
}

function valuesOf(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
  return Promise.all(tensors.map((tensor) => tensor.data<'float32'>()));
}

/**
 * Gradients of FedProx's objective F(w) + mu/2 |w - anchor|^2 (Li et al. 2020, Alg. 2, arXiv:1812.06127): g + mu (w - anchor), in
 * float64, rounded once to float32 as gradients are. Clipped as one, pull included: `clipNorm` bounds what a step can do. New arrays,
 * since on `cpu` the given ones may be those of two tensors.
 */
function proximalGradients(
  { proximal: mu }: HyperParameters,
  gradients: readonly Float32Array[],
  weights: readonly Float32Array[],
  anchor: readonly Float32Array[],
): readonly Float32Array[] {
  if (mu === undefined) return gradients;
  return gradients.map((g, tensor) => {
    const [w, w0] = [weights[tensor]!, anchor[tensor]!];
    const sum = new Float32Array(g.length);
    for (let i = 0; i < g.length; i++) sum[i] = g[i]! + mu * (w[i]! - w0[i]!);
    return sum;
  });
}

/** By global norm (Pascanu et al. 2013, arXiv:1211.5063). */
function clipFactor({ clipNorm }: HyperParameters, gradients: readonly Float32Array[]): number {
  if (clipNorm === undefined) return 1;
  const norm = globalNorm(gradients);
  return norm > clipNorm ? clipNorm / norm : 1;
}
