import { Stream, writeSafetensors, type Rows, type Tensor, type Weights } from './numbers.js';
import { fromHex, hex, hmac, sha256, u32, type Terms } from './wire.js';

/** "Training" of docs/protocol.md for logreg, once more: sums in float64, one rounding to float32 for each stored value. */

export interface TrainState {
  /** Steps made. */
  readonly step: number;
  /** Weights, then of adam the moments, in order of names. */
  readonly tensors: readonly Tensor[];
}

export const trainingSeed = (seed: string, round: number, shard: number, trainer: string): Buffer =>
  hmac(hmac(fromHex(seed), 'round', u32(round)), u32(shard), fromHex(trainer));

/** Of the customer's own, for FLTrust. */
export const rootSeed = (seed: string, round: number): Buffer => hmac(hmac(fromHex(seed), 'round', u32(round)), 'root');

export function stepsOf({ localSteps, epochs, batch }: Terms['hyper'], examples: number): number {
  return localSteps ?? epochs! * Math.ceil(examples / batch);
}

export const stateHash = ({ step, tensors }: TrainState): string =>
  hex(sha256('nmkt/1/state', u32(step), sha256(writeSafetensors(tensors))));

const zerosOf = (prefix: string, { name, shape, values }: Tensor): Tensor => ({
  ...{ name: `${prefix}/${name}`, shape, values: values.map(() => 0) },
});

export function firstState(base: Weights, { optimizer }: Terms['hyper']): TrainState {
  const moments =
    optimizer === 'adam' ? ['mean', 'square'].flatMap((name) => base.map((one) => zerosOf(name, one))) : [];
  return { step: 0, tensors: [...base, ...moments] };
}

/** @param seed  of this training @param base  what it began with @param until  step to stop after */
export function train(
  hyper: Terms['hyper'],
  seed: Uint8Array,
  rows: Rows,
  base: Weights,
  from: TrainState,
  until: number,
): TrainState {
  const tensors = from.tensors.map((tensor) => ({ ...tensor, values: [...tensor.values] }));
  const [weights, means, squares] = [0, 2, 4].map((at) => tensors.slice(at, at + 2).map(({ values }) => values));
  const perPass = Math.ceil(rows.labels.length / hyper.batch);
  const orders = new Map<number, number[]>();
  for (let step = from.step; step < until; step++) {
    const pass = Math.floor(step / perPass);
    const order = orders.get(pass) ?? new Stream(seed, `shuffle/${pass}`).shuffle(rows.labels.length);
    orders.set(pass, order);
    const start = (step % perPass) * hyper.batch;
    const slopes = gradients(weights!, rows, order.slice(start, start + hyper.batch));
    const mu = Number(hyper.proximal ?? 0);
    weights!.forEach((values, layer) => {
      const pulled = slopes[layer]!.map((slope, i) =>
        mu === 0 ? slope : Math.fround(slope + mu * (values[i]! - base[layer]!.values[i]!)),
      );
      if (hyper.optimizer === 'sgd') descend(values, pulled, Number(hyper.learningRate));
      else adam(values, means![layer]!, squares![layer]!, pulled, Number(hyper.learningRate), step + 1);
    });
  }
  return { step: until, tensors };
}

/** Of the mean softmax cross-entropy over some rows, by bias and kernel. */
function gradients([bias, kernel]: readonly number[][], rows: Rows, picked: readonly number[]): [number[], number[]] {
  const width = bias!.length;
  const deltas = picked.map((at) => {
    const inputs = rows.inputs[at]!;
    const outputs = bias!.map((start, out) =>
      Math.fround(inputs.reduce((sum, value, i) => sum + value * kernel![i * width + out]!, start)),
    );
    const top = Math.max(...outputs);
    const powers = outputs.map((value) => Math.exp(value - top));
    const total = powers.reduce((sum, value) => sum + value, 0);
    return powers.map((power, out) => Math.fround((power / total - (out === rows.labels[at] ? 1 : 0)) / picked.length));
  });
  const sumOf = (of: (row: number) => number): number => picked.reduce((sum, _, row) => sum + of(row), 0);
  return [
    bias!.map((_, out) => sumOf((row) => deltas[row]![out]!)),
    kernel!.map((_, at) => {
      const [i, out] = [Math.floor(at / width), at % width];
      return sumOf((row) => rows.inputs[picked[row]!]![i]! * deltas[row]![out]!);
    }),
  ];
}

function descend(values: number[], slopes: readonly number[], rate: number): void {
  slopes.forEach((slope, i) => (values[i] = Math.fround(values[i]! - rate * slope)));
}

function adam(
  values: number[],
  means: number[],
  squares: number[],
  slopes: readonly number[],
  rate: number,
  step: number,
): void {
  slopes.forEach((slope, i) => {
    const mean = 0.9 * means[i]! + 0.1 * slope;
    const square = 0.999 * squares[i]! + 0.001 * slope * slope;
    [means[i], squares[i]] = [Math.fround(mean), Math.fround(square)];
    const [unbiased, spread] = [mean / (1 - 0.9 ** step), square / (1 - 0.999 ** step)];
    values[i] = Math.fround(values[i]! - (rate * unbiased) / (Math.sqrt(spread) + 1e-7));
  });
}
