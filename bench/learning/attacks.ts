import { prng } from '../../src/learning/prng.js';
import type { Examples, ParamSet } from '../../src/learning/types.js';

/** A round of before: what was trained from, and what honest training made of it, by shard. */
export interface Past {
  readonly base: ParamSet;
  readonly honest: readonly ParamSet[];
}

/** What dishonest trainers do. They know the base, their own honest update, those of the others and all of before. */
export interface Known {
  readonly base: ParamSet;
  /** What honest training of the own shard gives. */
  readonly own: ParamSet;
  /** Of this round. */
  readonly honest: readonly ParamSet[];
  /** By round; the last is this one. */
  readonly history: readonly Past[];
  readonly round: number;
  readonly shard: number;
  readonly seed: Uint8Array;
}
export interface Attack {
  readonly update?: (known: Known) => ParamSet;
  /** Trains on other data instead. */
  readonly data?: (examples: Examples) => Examples;
}

function mapped(like: ParamSet, value: (t: number, i: number) => number): ParamSet {
  return like.map(({ name, shape, data }, t) => ({ name, shape, data: data.map((_, i) => value(t, i)) }));
}

const normals = ({ seed, round, shard }: Known, purpose: string) => prng(seed, `${purpose}/${round}/${shard}`);

/** base + factor (own - base) */
const scaled =
  (factor: number) =>
  ({ base, own }: Known): ParamSet =>
    mapped(base, (t, i) => base[t]!.data[i]! + factor * (own[t]!.data[i]! - base[t]!.data[i]!));

const SQRT_12 = Math.sqrt(12);

/** Uniform noise of a standard deviation that is a share of the change's. */
function noisy(params: ParamSet, share: number, base: ParamSet, known: Known): ParamSet {
  const random = normals(known, 'noise');
  let squares = 0;
  let count = 0;
  params.forEach(({ data }, t) =>
    data.forEach((value, i) => {
      squares += (value - base[t]!.data[i]!) ** 2;
      count += 1;
    }),
  );
  const stdDev = share * Math.sqrt(squares / count);
  return mapped(params, (t, i) => params[t]!.data[i]! + stdDev * SQRT_12 * (random.float() - 0.5));
}

/** Mean and standard deviation per parameter of the honest updates. */
function statistics(honest: readonly ParamSet[]): { mean: ParamSet; stdDev: ParamSet } {
  const n = honest.length;
  const mean = mapped(honest[0]!, (t, i) => honest.reduce((sum, one) => sum + one[t]!.data[i]!, 0) / n);
  const stdDev = mapped(mean, (t, i) =>
    Math.sqrt(honest.reduce((sum, one) => sum + (one[t]!.data[i]! - mean[t]!.data[i]!) ** 2, 0) / n),
  );
  return { mean, stdDev };
}

const withLabels = (examples: Examples, label: (old: number) => number): Examples => ({
  ...examples,
  labels: Int32Array.from(examples.labels, label),
});

/** A bright square in the lower right corner of 28 x 28. */
export function stamped(examples: Examples): Examples {
  const features = examples.features.slice();
  for (let row = 0; row < examples.rows; row++)
    for (let y = 24; y < 27; y++) for (let x = 24; x < 27; x++) features[row * 784 + y * 28 + x] = 255;
  return { ...examples, features };
}

export const ATTACKS: Readonly<Record<string, Attack>> = {
  'sign flip': { update: scaled(-1) },
  'sign flip x5': { update: scaled(-5) },
  'scaled x20': { update: scaled(20) },
  noise: { update: (known) => noisy(known.base, 1, known.own, known) },
  /** A little is enough, where it is the same for all (Baruch et al. 2019, arXiv:1902.06156); z 1.5. */
  ALIE: {
    update: ({ honest }) => {
      const { mean, stdDev } = statistics(honest);
      return mapped(mean, (t, i) => mean[t]!.data[i]! - 1.5 * stdDev[t]!.data[i]!);
    },
  },
  /** Inner product manipulation (Xie et al. 2019, arXiv:1903.03936): the mean of the honest changes, turned round and halved. */
  'inner product': {
    update: ({ base, honest }) => {
      const { mean } = statistics(honest);
      return mapped(mean, (t, i) => base[t]!.data[i]! - 0.5 * (mean[t]!.data[i]! - base[t]!.data[i]!));
    },
  },
  zero: { update: ({ base }) => base },
  'copy with noise': {
    update: (known) => noisy(known.honest[known.shard % known.honest.length]!, 0.05, known.base, known),
  },
  /** Its own change of the round before, on top of this base. */
  'replay with noise': {
    update: (known) => {
      const past = known.history[known.round - 1];
      if (past === undefined) return known.own;
      const again = mapped(known.base, (t, i) => {
        const change = past.honest[known.shard]![t]!.data[i]! - past.base[t]!.data[i]!;
        return known.base[t]!.data[i]! + change;
      });
      return noisy(again, 0.05, known.base, known);
    },
  },
  'label flip': { data: (examples) => withLabels(examples, (label) => 9 - label) },
  backdoor: {
    data: (examples) => {
      const half = stamped(examples);
      const labels = Int32Array.from(examples.labels, (label, row) => (row % 2 === 0 ? 0 : label));
      const features = examples.features.slice();
      for (let row = 0; row < examples.rows; row += 2)
        features.set(half.features.subarray(row * 784, (row + 1) * 784), row * 784);
      return { ...examples, features, labels };
    },
  },
};

/** That are to do no harm; label flip and backdoor look like honest work on other data. */
export const BOUNDED = [
  'sign flip',
  'scaled x20',
  'noise',
  'ALIE',
  'inner product',
  'zero',
  'copy with noise',
  'replay with noise',
] as const;
