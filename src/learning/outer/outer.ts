import type { ParamSet } from '../types.js';

/** What is done with the combined model of a round: an optimizer over rounds, whose gradient is base - combined. */
export const OUTERS = ['none'] as const;

/** As the job fixes it. */
export interface Outer {
  readonly name: (typeof OUTERS)[number];
}

/** A step over a round. */
export interface OuterStep {
  /** The next global model, float32. */
  readonly params: ParamSet;
  /** What the next step depends on besides: tensors such as `velocity/NAME`, in order of names; null where nothing does. */
  readonly state: ParamSet | null;
}

/**
 * @param base      the model that the round started from
 * @param combined  what the rule made of its updates
 * @param state     of the step before; null before the first
 */
export function outerStep(outer: Outer, _base: ParamSet, combined: ParamSet, _state: ParamSet | null): OuterStep {
  switch (outer.name) {
    case 'none':
      return { params: combined, state: null };
  }
}
