import { prng } from '../../src/learning/prng.js';
import type { Examples, ParamSet } from '../../src/learning/types.js';
import { innerProduct, labelsFlipped, littleIsEnough, moved, scaled } from '../../src/simulate/attacks.js';

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
  /** The own ones. */
  readonly examples: Examples;
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

const times =
  (factor: number) =>
  ({ base, own }: Known): ParamSet =>
    scaled(base, own, factor);

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

/** Of the own shard below which a class counts as absent. */
const RARE = 0.005;
/** Of the logit of such a class. */
const PUSH = 100;

/**
 * Honest work on what the own shard holds, and the classes that it does not hold pushed out of the model: made for a work floor, which sees a
 * drop on the own shard and a rise elsewhere, as of honest work, only more so.
 */
function spoiled({ own, examples }: Known): ParamSet {
  const counts = new Map<number, number>();
  for (const label of examples.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const bias = own.findLastIndex(({ name }) => name.endsWith('/bias'));
  const isRare = (label: number) => (counts.get(label) ?? 0) < RARE * examples.rows;
  return mapped(own, (t, i) => own[t]!.data[i]! - (t === bias && isRare(i) ? PUSH : 0));
}

/** A bright square in the lower right corner of 28 x 28. */
export function stamped(examples: Examples): Examples {
  const features = examples.features.slice();
  for (let row = 0; row < examples.rows; row++)
    for (let y = 24; y < 27; y++) for (let x = 24; x < 27; x++) features[row * 784 + y * 28 + x] = 255;
  return { ...examples, features };
}

export const ATTACKS: Readonly<Record<string, Attack>> = {
  'sign flip': { update: times(-1) },
  'sign flip x5': { update: times(-5) },
  'scaled x20': { update: times(20) },
  noise: { update: (known) => noisy(known.base, 1, known.own, known) },
  ALIE: { update: ({ honest }) => littleIsEnough(honest) },
  'inner product': { update: ({ base, honest }) => innerProduct(base, honest) },
  spoiler: { update: spoiled },
  zero: { update: ({ base }) => base },
  'copy with noise': {
    update: (known) => noisy(known.honest[known.shard % known.honest.length]!, 0.05, known.base, known),
  },
  /** Its own change of the round before, on top of this base. */
  'replay with noise': {
    update: (known) => {
      const past = known.history[known.round - 1];
      if (past === undefined) return known.own;
      const again = moved(known.base, past.base, past.honest[known.shard]!);
      return noisy(again, 0.05, known.base, known);
    },
  },
  'label flip': { data: (examples) => labelsFlipped({ task: 'classification', outputs: 10 }, examples) },
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
