import type { ParamSet } from '../types.js';

/** Float32 tensors that an outer step keeps, one per tensor of the model, under `KEPT/NAME`. */

export type Kept = 'velocity' | 'mean' | 'square';

/** As the step before left them; zeros before the first. */
export function keptOf(state: ParamSet | null, kept: Kept, like: ParamSet): readonly Float32Array[] {
  const byName = new Map((state ?? []).map(({ name, data }) => [name, data]));
  return like.map(({ name, data }) => byName.get(`${kept}/${name}`) ?? new Float32Array(data.length));
}

/** In order of names. */
export function stateOf(like: ParamSet, tensors: Readonly<Partial<Record<Kept, readonly Float32Array[]>>>): ParamSet {
  return Object.entries(tensors)
    .flatMap(([kept, list]) => like.map(({ name, shape }, t) => ({ name: `${kept}/${name}`, shape, data: list[t]! })))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A model of the shapes of another. */
export function modelOf(like: ParamSet, data: readonly Float32Array[]): ParamSet {
  return like.map(({ name, shape }, t) => ({ name, shape, data: data[t]! }));
}
