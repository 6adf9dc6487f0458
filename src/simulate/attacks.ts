import { labelCount } from '../learning/examples.js';
import type { Bytes } from '../hash.js';
import { prng } from '../learning/prng.js';
import type { Examples, ModelSpec, ParamSet } from '../learning/types.js';

/**
 * What a dishonest trainer sends instead of its update. Updates are whole models: base + what training changed.
 *
 * ALIE: Baruch et al. 2019, "A Little Is Enough" (arXiv:1902.06156), with the z = 1.5 of its experiments. IPM: Xie et al. 2019,
 * inner product manipulation (arXiv:1903.03936), with epsilon = 0.5. Both know the honest updates of the round, as does copy-noise.
 */
export const ATTACKS = {
  signflip: 'trains, and sends the change with the opposite sign',
  scale: 'trains, and sends ten times the change',
  noise: 'sends random numbers as long as an honest change',
  zero: 'sends the base model back, untrained',
  'copy-noise': "sends another's update with a little noise, untrained",
  replay: 'trains once, and sends that change again in every round',
  'label-flip': 'trains on labels turned around: class c as classes - 1 - c, a number as its negative',
  'one-step': 'trains one step instead of all',
  alie: 'sends the mean of the honest updates, moved by 1.5 of their standard deviations',
  ipm: 'sends half of the mean honest change with the opposite sign',
} as const;
export type Attack = keyof typeof ATTACKS;
export const ATTACK_NAMES = Object.keys(ATTACKS) as Attack[];

const SCALE = 10;
const ALIE_Z = 1.5;
const IPM_EPSILON = 0.5;
/** Of the copied change, number by number. */
const COPY_NOISE = 0.05;

type Update = ParamSet;

function mapParams(params: ParamSet, value: (tensor: number, index: number, old: number) => number): ParamSet {
  return params.map((tensor, at) => ({ ...tensor, data: tensor.data.map((old, index) => value(at, index, old)) }));
}

/** base + factor x (update - base). */
export function scaled(base: ParamSet, update: Update, factor: number): Update {
  return mapParams(update, (at, index, old) => base[at]!.data[index]! + factor * (old - base[at]!.data[index]!));
}

/** base + the change that `update` made to `itsBase`. */
export function moved(base: ParamSet, itsBase: ParamSet, update: Update): Update {
  return mapParams(
    update,
    (at, index, old) => base[at]!.data[index]! + (old - itsBase[at]!.data[index]!), // [same shape as the base]
  );
}

/** Root mean square of the change, all tensors as one vector. */
function changeRms(base: ParamSet, update: Update): number {
  let [squares, count] = [0, 0];
  update.forEach(({ data }, at) =>
    data.forEach((value, index) => {
      const change = value - base[at]!.data[index]!;
      squares += change * change;
      count += 1;
    }),
  );
  return Math.sqrt(squares / Math.max(1, count));
}

/** base + normal numbers with the root mean square of the honest change. */
export function noise(base: ParamSet, update: Update, seed: Bytes): Update {
  const stream = prng(seed, 'attack/noise');
  const stdDev = changeRms(base, update);
  return mapParams(update, (at, index) => base[at]!.data[index]! + stdDev * stream.normal());
}

export function noisyCopy(base: ParamSet, update: Update, seed: Bytes): Update {
  const stream = prng(seed, 'attack/copy');
  const stdDev = COPY_NOISE * changeRms(base, update);
  return mapParams(update, (_at, _index, old) => old + stdDev * stream.normal());
}

/** Mean and standard deviation over the updates, number by number. @param updates  n >= 1 */
function moments(updates: readonly Update[]): (tensor: number, index: number) => { mean: number; stdDev: number } {
  return (at, index) => {
    let [sum, squares] = [0, 0];
    for (const update of updates) sum += update[at]!.data[index]!;
    const mean = sum / updates.length;
    for (const update of updates) squares += (update[at]!.data[index]! - mean) ** 2;
    return { mean, stdDev: Math.sqrt(squares / updates.length) };
  };
}

/** mean - z x standard deviation of the honest updates. @param honest  n >= 1 */
export function littleIsEnough(honest: readonly Update[]): Update {
  const of = moments(honest);
  return mapParams(honest[0]!, (at, index) => {
    const { mean, stdDev } = of(at, index);
    return mean - ALIE_Z * stdDev;
  });
}

/** base - epsilon x mean of the honest changes. @param honest  n >= 1 */
export function innerProduct(base: ParamSet, honest: readonly Update[]): Update {
  const of = moments(honest);
  return mapParams(base, (at, index, old) => old - IPM_EPSILON * (of(at, index).mean - old));
}

export const signFlipped = (base: ParamSet, update: Update): Update => scaled(base, update, -1);
export const boosted = (base: ParamSet, update: Update): Update => scaled(base, update, SCALE);

export function labelsFlipped(model: Pick<ModelSpec, 'task' | 'outputs'>, examples: Examples): Examples {
  const last = labelCount(model) - 1; // of sets of labels: each label turned round
  const { labels } = examples;
  return {
    ...examples,
    labels: labels instanceof Int32Array ? labels.map((label) => last - label) : labels.map((value) => -value),
  };
}
