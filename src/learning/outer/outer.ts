import type { ParamSet } from '../types.js';
import { adaptive } from './adaptive.js';
import { diloco, momentum } from './momentum.js';
import { outerSgd } from './sgd.js';

/** What is done with the combined model of a round: an optimizer over rounds, whose gradient is base - combined. */
export const OUTERS = ['none', 'sgd', 'fedavgm', 'fedadagrad', 'fedadam', 'fedyogi', 'diloco'] as const;
export type OuterName = (typeof OUTERS)[number];

/** As the job fixes it: exactly the fields that the table gives to the name. */
export interface Outer {
  readonly name: OuterName;
  /** Above 0. */
  readonly learningRate?: number;
  /** Share of the velocity that is kept, in [0, 1). */
  readonly momentum?: number;
  /** Of the mean and of the square, in [0, 1). */
  readonly beta1?: number;
  readonly beta2?: number;
  /** Added to the root of the square, above 0: how adaptive the step is. */
  readonly tau?: number;
}
export type OuterField = Exclude<keyof Outer, 'name'>;

/** What belongs to each, with the value where a job does not say another. */
export const OUTER_DEFAULTS: Readonly<Record<OuterName, Readonly<Partial<Record<OuterField, number>>>>> = {
  none: {},
  sgd: { learningRate: 1 },
  fedavgm: { learningRate: 1, momentum: 0.9 },
  fedadagrad: { learningRate: 0.1, tau: 0.001 },
  fedadam: { learningRate: 0.01, beta1: 0.9, beta2: 0.99, tau: 0.001 },
  fedyogi: { learningRate: 0.01, beta1: 0.9, beta2: 0.99, tau: 0.001 },
  diloco: { learningRate: 0.7, momentum: 0.9 },
};

/** A step over a round. */
export interface OuterStep {
  /** The next global model, float32. */
  readonly params: ParamSet;
  /** What the next step depends on besides: tensors such as `velocity/NAME`, in order of names; null where nothing does. */
  readonly state: ParamSet | null;
}

/**
 * In float64 from float32, each value rounded once.
 *
 * @param base      the model that the round started from
 * @param combined  what the rule made of its updates
 * @param state     of the step before; null before the first
 */
export function outerStep(outer: Outer, base: ParamSet, combined: ParamSet, state: ParamSet | null): OuterStep {
  const of: Required<Outer> = { ...NOTHING, ...OUTER_DEFAULTS[outer.name], ...outer };
  switch (outer.name) {
    case 'none':
      return { params: combined, state: null };
    case 'sgd':
      return { params: outerSgd(base, combined, of), state: null };
    case 'fedavgm':
      return momentum(base, combined, state, of);
    case 'diloco':
      return diloco(base, combined, state, of);
    case 'fedadagrad':
    case 'fedadam':
    case 'fedyogi':
      return adaptive(outer.name, base, combined, state, of);
  }
}

const NOTHING = { learningRate: 1, momentum: 0, beta1: 0, beta2: 0, tau: 1 };
