import type { NamedShape } from '../safetensors.js';
import type { ParamSet } from '../types.js';

/** What the encoding of an update starts from: the trained model, and what the last accepted update left for this one. */
export interface Uncoded {
  readonly trained: ParamSet;
  /** Null: zeros. */
  readonly residual: ParamSet | null;
}

const PREFIX = 'residual/';

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);

/** Tensors in order of names: those of the model, and `residual/NAME` of each where there is a residual. */
export function uncodedShapes(model: readonly NamedShape[], hasResidual: boolean): NamedShape[] {
  const residual = hasResidual ? model.map((tensor) => ({ ...tensor, name: PREFIX + tensor.name })) : [];
  return [...model, ...residual].sort(byName);
}

export function uncodedTensors({ trained, residual }: Uncoded): ParamSet {
  const left = (residual ?? []).map((tensor) => ({ ...tensor, name: PREFIX + tensor.name }));
  return [...trained, ...left].sort(byName);
}

/** The inverse of `uncodedTensors`. */
export function uncodedOf(tensors: ParamSet): Uncoded {
  const residual = tensors
    .filter(({ name }) => name.startsWith(PREFIX))
    .map((tensor) => ({ ...tensor, name: tensor.name.slice(PREFIX.length) }));
  return {
    trained: tensors.filter(({ name }) => !name.startsWith(PREFIX)),
    residual: residual.length === 0 ? null : residual,
  };
}
