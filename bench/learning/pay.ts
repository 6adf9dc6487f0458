import { sha256 } from '../../src/hash.js';
import { combine } from '../../src/learning/aggregate/rule.js';
import { CODEC_PRESETS, decodeUpdate, encodeUpdate, type Codec } from '../../src/learning/codec/codec.js';
import { subset } from '../../src/learning/examples.js';
import { initialParams } from '../../src/learning/params.js';
import { iid, labelK } from '../../src/learning/partition.js';
import { leastWork, NOTHING_ASKED, workFloor, type WorkEvidence } from '../../src/learning/scoring.js';
import { trainingSeed } from '../../src/learning/seeds.js';
import { dirichlet, sizeSkew } from '../../src/learning/skew.js';
import { stepCount } from '../../src/learning/train-state.js';
import type { Examples, HyperParameters, ModelSpec, ParamSet } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
import { ATTACKS } from './attacks.js';
import { dirichletHalf, readDigits } from './data.js';
import { keyOf, workOf } from './federation.js';

/**
 * Who is paid: updates of honest and of lazy trainers, from the same bases, on 15 shards of MNIST (Dirichlet 0.5). Equal bytes (an untrained base, a copy, a replay)
 * are refused by their hash before anything is measured; all others pass the work floor or not. What spot checks find besides follows from the share of segments that
 * cannot be repeated, at the default rate of a third for who was accepted before; its first update is always drawn.
 */
const SPEC: ModelSpec = { model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [64] };
const HYPER: HyperParameters = { optimizer: 'adam', learningRate: 0.001, batch: 32, epochs: 2 };
const TRAINERS = 15;
const RATE = 1 / 3;
const SEGMENTS = 9;
/** What a job asks for by default, of the medians of the round. */
const LEAST_WORK_PPM = 500_000;

export const PAY_CLASSES = [
  'honest',
  'idle',
  'exact copy',
  'exact replay',
  'noise',
  'foreign shard',
  'one step',
  'H/10',
  'H/2',
] as const;
export type PayClass = (typeof PAY_CLASSES)[number];

export interface PayRow {
  readonly setting: string;
  readonly class: PayClass;
  readonly updates: number;
  /** Share that the hash and the work floor let pass. */
  readonly paid: number;
  /** The same where a job asks for no share of the others' work. */
  readonly paidAnyhow: number;
  /** The same, less what a spot check of a later round finds. */
  readonly withSpotChecks: number;
  /** Of a trainer that works like this in every round of a job but the first: whom a spot check has found is paid no more. */
  readonly overAJob: number;
}

/** Segments that end elsewhere when they are repeated. */
const FORGED: Readonly<Record<PayClass, number>> = {
  ...{
    honest: 0,
    idle: SEGMENTS,
    'exact copy': SEGMENTS,
    'exact replay': SEGMENTS,
    noise: SEGMENTS,
    'foreign shard': SEGMENTS,
  },
  // What was trained is as agreed; the rest of the checkpoints is made up.
  ...{ 'one step': SEGMENTS, 'H/10': SEGMENTS, 'H/2': Math.ceil(SEGMENTS / 2) },
};

export interface PaySetting {
  readonly name: string;
  readonly codec: Codec;
  readonly cut: (train: Examples, name: string) => Examples[];
}

export const DEFAULT_SETTING: PaySetting = {
  name: 'Dirichlet 0.5',
  codec: { name: 'int4' },
  cut: (train, name) => dirichletHalf(train, TRAINERS, name),
};
const cutBy =
  (indices: (labels: Int32Array, seed: Uint8Array) => readonly Uint32Array[]) => (train: Examples, name: string) =>
    indices(train.labels as Int32Array, sha256(name)).map((part) => subset(train, Uint32Array.from(part).sort()));
/** How much honest work differs where shards, their sizes or the bytes of an update do. */
export const OTHER_SETTINGS: readonly PaySetting[] = [
  { ...DEFAULT_SETTING, name: 'Dirichlet 0.1', cut: cutBy((labels, seed) => dirichlet(labels, TRAINERS, 0.1, seed)) },
  { ...DEFAULT_SETTING, name: 'two labels', cut: cutBy((labels, seed) => labelK(labels, TRAINERS, 2, seed)) },
  { ...DEFAULT_SETTING, name: 'iid', cut: cutBy((labels, seed) => iid(labels.length, TRAINERS, seed)) },
  {
    ...DEFAULT_SETTING,
    name: 'size skew 0.5',
    cut: cutBy(({ length }, seed) => sizeSkew(length, TRAINERS, 0.5, seed)),
  },
  { ...DEFAULT_SETTING, name: '40 rows each', cut: cutBy((_, seed) => iid(TRAINERS * 40, TRAINERS, seed)) },
  { ...DEFAULT_SETTING, name: 'topk', codec: CODEC_PRESETS.topk },
];

/** @param rounds  of 15 updates in each class */
export async function measurePay(
  engine: Engine,
  rounds: number,
  { name: setting, codec, cut }: PaySetting,
): Promise<PayRow[]> {
  const { train } = await readDigits();
  const passed = new Map<PayClass, number>(PAY_CLASSES.map((name) => [name, 0]));
  const passedAnyhow = new Map(passed);
  const passedUnfound = new Map(passed);
  let count = 0;
  let later = 0;
  for (let start = 0; start < rounds; start += ROUNDS_OF_A_RUN) {
    const name = `pay ${start}`;
    const seed = sha256(name);
    const shards = cut(train, name);
    // Who is lazy in every round has sent what it left out before, too.
    const residuals = new Map<string, ParamSet>();
    let base = initialParams(SPEC, seed);
    for (let round = 0; round < Math.min(ROUNDS_OF_A_RUN, rounds - start); round++) {
      const place = { engine, seed, base, round };
      const honest = await updatesOf(place, shards, (shard) => [shards[shard]!, HYPER]);
      const lazy: Partial<Record<PayClass, readonly ParamSet[]>> = {
        honest,
        noise: honest.map((own, shard) =>
          ATTACKS['noise']!.update!({ base, own, honest, history: [], round, shard, examples: shards[shard]!, seed }),
        ),
        'foreign shard': await updatesOf(place, shards, (shard) => [shards[(shard + 1) % TRAINERS]!, HYPER]),
        'one step': await updatesOf(place, shards, (shard) => [shards[shard]!, partOf(shards[shard]!, Infinity)]),
        'H/10': await updatesOf(place, shards, (shard) => [shards[shard]!, partOf(shards[shard]!, 10)]),
        'H/2': await updatesOf(place, shards, (shard) => [shards[shard]!, partOf(shards[shard]!, 2)]),
      };
      count += TRAINERS;
      if (round > 0) later += TRAINERS;
      let next = base;
      let among: WorkEvidence[] = [];
      for (const [kind, trained] of Object.entries(lazy) as [PayClass, readonly ParamSet[]][]) {
        const updates = trained.map((params, shard) => {
          const own = trainingSeed(seed, round, shard, keyOf(shard));
          const before = residuals.get(`${kind}/${shard}`) ?? null;
          const { bytes, residual } = encodeUpdate(codec, base, params, before, own);
          if (residual !== null) residuals.set(`${kind}/${shard}`, residual);
          const decoded = decodeUpdate(codec, base, bytes);
          return { shard, trainer: keyOf(shard), examples: shards[shard]!.rows, params: decoded };
        });
        const scores = await workOf(engine, { spec: SPEC, shards, seed: name }, base, updates, round);
        if (kind === 'honest') {
          among = scores;
          next = combine({ name: 'fedavg', f: 0, m: 0 }, base, updates);
        }
        // Each lazy update in the place of the honest one, among the fourteen others.
        const leastOf = (score: WorkEvidence, shard: number) => leastWork(among.with(shard, score), LEAST_WORK_PPM);
        const passing = scores.filter((score, shard) => workFloor(score, leastOf(score, shard)).pass);
        const anyhow = scores.filter((score) => workFloor(score, NOTHING_ASKED).pass);
        passed.set(kind, passed.get(kind)! + passing.length);
        passedAnyhow.set(kind, passedAnyhow.get(kind)! + anyhow.length);
        if (round === 0) continue;
        const unfound = (1 - foundBy(kind)) ** round;
        passedUnfound.set(kind, passedUnfound.get(kind)! + passing.length * unfound);
      }
      base = next;
    }
  }
  return PAY_CLASSES.map((name) => {
    const paid = passed.get(name)! / count;
    return {
      ...{ setting, class: name, updates: count, paid, paidAnyhow: passedAnyhow.get(name)! / count },
      withSpotChecks: paid * (1 - foundBy(name)),
      overAJob: later === 0 ? paid : passedUnfound.get(name)! / later,
    };
  });
}

/** How likely one spot check finds it. */
const foundBy = (name: PayClass): number => (RATE * FORGED[name]) / SEGMENTS;

/** A model that has converged says little about work. */
const ROUNDS_OF_A_RUN = 12;

function partOf(shard: Examples, divisor: number): HyperParameters {
  const { epochs: _, ...rest } = HYPER;
  return { ...rest, localSteps: Math.max(1, Math.floor(stepCount(HYPER, shard.rows) / divisor)) };
}

interface Place {
  readonly engine: Engine;
  readonly seed: Uint8Array;
  readonly base: ParamSet;
  readonly round: number;
}

async function updatesOf(
  { engine, seed, base, round }: Place,
  shards: readonly Examples[],
  training: (shard: number) => readonly [Examples, HyperParameters],
): Promise<ParamSet[]> {
  const out: ParamSet[] = [];
  for (let shard = 0; shard < shards.length; shard++) {
    const [examples, hyper] = training(shard);
    const own = trainingSeed(seed, round, shard, keyOf(shard));
    out.push((await engine.train({ model: SPEC, weights: base, examples, hyper, seed: own })).weights);
  }
  return out;
}
