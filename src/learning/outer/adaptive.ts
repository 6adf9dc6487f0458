import type { ParamSet } from '../types.js';
import { keptOf, modelOf, stateOf } from './state.js';
import type { OuterStep } from './outer.js';

interface Options {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly tau: number;
}

/**
 * FedAdagrad, FedAdam and FedYogi (Reddi et al. 2020, Alg. 2, arXiv:2003.00295), with d = combined - base and no correction of the bias:
 * mean m = beta1 m + (1 - beta1) d (FedAdagrad: d); square v = v + d^2 (Adagrad), beta2 v + (1 - beta2) d^2 (Adam),
 * v - (1 - beta2) d^2 sign(v - d^2) (Yogi); base + lr m / (sqrt(v) + tau). v starts at tau^2, as the paper lets it at least be.
 */
export function adaptive(
  name: 'fedadagrad' | 'fedadam' | 'fedyogi',
  base: ParamSet,
  combined: ParamSet,
  state: ParamSet | null,
  { learningRate, beta1, beta2, tau }: Options,
): OuterStep {
  const inertia = name === 'fedadagrad' ? 0 : beta1;
  const nextSquare = SQUARES[name](beta2);
  const [means, squares] = [keptOf(state, 'mean', base), keptOf(state, 'square', base)];
  const fresh = () => base.map(({ data }) => new Float32Array(data.length));
  const [next, newMeans, newSquares] = [fresh(), fresh(), fresh()];
  base.forEach(({ data }, t) => {
    for (let i = 0; i < data.length; i++) {
      const change = combined[t]!.data[i]! - data[i]!;
      const mean = inertia * means[t]![i]! + (1 - inertia) * change;
      const square = nextSquare(state === null ? tau * tau : squares[t]![i]!, change * change);
      newMeans[t]![i] = mean;
      newSquares[t]![i] = square;
      next[t]![i] = data[i]! + (learningRate * mean) / (Math.sqrt(square) + tau);
    }
  });
  const kept = name === 'fedadagrad' ? { square: newSquares } : { mean: newMeans, square: newSquares };
  return { params: modelOf(base, next), state: stateOf(base, kept) };
}

type NextSquare = (square: number, changeSquared: number) => number;

const SQUARES: Readonly<Record<'fedadagrad' | 'fedadam' | 'fedyogi', (beta2: number) => NextSquare>> = {
  fedadagrad: () => (square, changeSquared) => square + changeSquared,
  fedadam: (beta2) => (square, changeSquared) => beta2 * square + (1 - beta2) * changeSquared,
  fedyogi: (beta2) => (square, changeSquared) =>
    square - (1 - beta2) * changeSquared * (square > changeSquared ? 1 : square < changeSquared ? -1 : 0),
};
