import { fromHex, sha256Hex, u32be, type Sha256 } from '../hash.js';
import { parameterShapes } from './params.js';
import { encodeParams, type NamedShape } from './safetensors.js';
import type { HyperParameters, ModelSpec, ParamSet, TrainState } from './types.js';

/** What a training is between two steps: everything that the next step depends on besides data, seed and hyper-parameters. */

/** What optimizers remember per weight, in front of the name of the tensor they belong to. */
export const MOMENTS = ['mean', 'square', 'velocity'] as const;
export type Moment = (typeof MOMENTS)[number];

const KEPT: Readonly<Record<HyperParameters['optimizer'], readonly Moment[]>> = {
  sgd: [],
  momentum: ['velocity'],
  adam: ['mean', 'square'],
  adamw: ['mean', 'square'],
};

export function momentsOf({ optimizer }: Pick<HyperParameters, 'optimizer'>): readonly Moment[] {
  return KEPT[optimizer];
}

/** Tensors of a state in order of names: the weights, and `mean/NAME`, say, of each for every moment that is kept. */
export function stateShapes(spec: ModelSpec, hyper: Pick<HyperParameters, 'optimizer'>): NamedShape[] {
  const weights = parameterShapes(spec);
  const moments = momentsOf(hyper).flatMap((moment) =>
    weights.map(({ name, shape }) => ({ name: `${moment}/${name}`, shape })),
  );
  return [...weights, ...moments].sort(byName);
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);

/** Of equal sizes in the order of the weights, with names in front: the tensors of a state. */
export function stateTensors(weights: ParamSet, moments: Readonly<Record<Moment, readonly Float32Array[]>>): ParamSet {
  const of = (moment: Moment): ParamSet =>
    moments[moment].map((data, i) => ({ ...weights[i]!, name: `${moment}/${weights[i]!.name}`, data }));
  return [...weights, ...MOMENTS.flatMap(of)].sort(byName);
}

/** SHA-256("nmkt/1/state" || u32 step || SHA-256 of the canonical bytes): what a trainer commits to. */
export function stateHash({ step, tensors }: TrainState): Sha256 {
  return sha256Hex('nmkt/1/state', u32be(step), fromHex(sha256Hex(encodeParams(tensors))));
}

/** The weights alone. */
export function weightsOf({ tensors }: TrainState, spec: ModelSpec): ParamSet {
  const names = new Set(parameterShapes(spec).map(({ name }) => name));
  return tensors.filter(({ name }) => names.has(name));
}

/** Whole passes with a smaller last batch each, or exactly `localSteps`. */
export function stepCount(hyper: HyperParameters, rows: number): number {
  return hyper.localSteps ?? (hyper.epochs ?? 0) * Math.ceil(rows / hyper.batch);
}

/**
 * A training cut into segments of `everySteps` steps, the last one shorter. State i stands before segment i: state 0 is the
 * base with fresh moments, and after the last segment comes the update itself.
 */
export function segmentCount(steps: number, everySteps: number): number {
  return Math.ceil(steps / everySteps);
}
