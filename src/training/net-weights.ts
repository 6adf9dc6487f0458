import type * as tf from '@tensorflow/tfjs-core';
import { architecture } from '../learning/architecture.js';
import type { ModelSpec } from '../learning/types.js';

/** Finds the weights of a model by name. */
export function byName(spec: ModelSpec, weights: readonly tf.Tensor[]): <T extends tf.Tensor>(name: string) => T {
  const all = new Map(architecture(spec).map(({ name }, i) => [name, weights[i]!]));
  return <T extends tf.Tensor>(name: string) => all.get(name) as T;
}
