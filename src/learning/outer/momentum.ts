import type { ParamSet } from '../types.js';
import { keptOf, modelOf, stateOf } from './state.js';
import type { OuterStep } from './outer.js';

interface Options {
  readonly learningRate: number;
  readonly momentum: number;
}

/** FedAvgM (Hsu et al. 2019, section 4.3, arXiv:1909.06335): v = m v + (base - combined); base - lr v. */
export function momentum(base: ParamSet, combined: ParamSet, state: ParamSet | null, options: Options): OuterStep {
  return step(base, combined, state, options, (_gradient, velocity) => velocity);
}

/** DiLoCo (Douillard et al. 2023, Alg. 1 with Nesterov momentum, arXiv:2311.08105): v = m v + d, d = base - combined; base - lr (m v + d). */
export function diloco(base: ParamSet, combined: ParamSet, state: ParamSet | null, options: Options): OuterStep {
  return step(base, combined, state, options, (gradient, velocity) => options.momentum * velocity + gradient);
}

/** @param move  what is subtracted, times the learning rate; the velocity as it is before rounding */
function step(
  base: ParamSet,
  combined: ParamSet,
  state: ParamSet | null,
  { learningRate, momentum: kept }: Options,
  move: (gradient: number, velocity: number) => number,
): OuterStep {
  const before = keptOf(state, 'velocity', base);
  const next = base.map(({ data }) => new Float32Array(data.length));
  const velocities = base.map(({ data }) => new Float32Array(data.length));
  base.forEach(({ data }, t) => {
    for (let i = 0; i < data.length; i++) {
      const gradient = data[i]! - combined[t]!.data[i]!;
      const velocity = kept * before[t]![i]! + gradient;
      velocities[t]![i] = velocity;
      next[t]![i] = data[i]! - learningRate * move(gradient, velocity);
    }
  });
  return { params: modelOf(base, next), state: stateOf(base, { velocity: velocities }) };
}
