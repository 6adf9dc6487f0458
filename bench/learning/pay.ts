import { sha256 } from '../../src/hash.js';
import { combine } from '../../src/learning/aggregate/rule.js';
import { decodeUpdate, encodeUpdate, type Codec } from '../../src/learning/codec/codec.js';
import { initialParams } from '../../src/learning/params.js';
import { trainingSeed } from '../../src/learning/seeds.js';
import { stepCount } from '../../src/learning/train-state.js';
import type { Examples, HyperParameters, ModelSpec, ParamSet } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
import { ATTACKS } from './attacks.js';
import { dirichletHalf, readDigits } from './data.js';
import { aboveFloor, keyOf } from './federation.js';

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
  readonly class: PayClass;
  readonly updates: number;
  /** Share that the hash and the work floor let pass. */
  readonly paid: number;
  /** The same, less what a spot check of a later round finds. */
  readonly withSpotChecks: number;
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

/** @param rounds  of 15 updates in each class */
export async function measurePay(engine: Engine, rounds: number, codec: Codec): Promise<PayRow[]> {
  const { train } = await readDigits();
  const passed = new Map<PayClass, number>(PAY_CLASSES.map((name) => [name, 0]));
  let count = 0;
  for (let start = 0; start < rounds; start += ROUNDS_OF_A_RUN) {
    const name = `pay ${start}`;
    const seed = sha256(name);
    const shards = dirichletHalf(train, TRAINERS, name);
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
      for (const [kind, trained] of Object.entries(lazy) as [PayClass, readonly ParamSet[]][]) {
        const updates = trained.map((params, shard) => sent(codec, base, params, seed, round, shard, shards[shard]!));
        const passing = await aboveFloor(engine, { spec: SPEC, shards, seed: name }, base, updates, round);
        passed.set(kind, passed.get(kind)! + passing.length);
        if (kind === 'honest') base = combine({ name: 'fedavg', f: 0, m: 0 }, base, updates);
      }
    }
  }
  return PAY_CLASSES.map((name) => {
    const paid = passed.get(name)! / count;
    return { class: name, updates: count, paid, withSpotChecks: paid * (1 - (RATE * FORGED[name]) / SEGMENTS) };
  });
}

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

function sent(
  codec: Codec,
  base: ParamSet,
  trained: ParamSet,
  seed: Uint8Array,
  round: number,
  shard: number,
  rows: Examples,
) {
  const { bytes } = encodeUpdate(codec, base, trained, null, trainingSeed(seed, round, shard, keyOf(shard)));
  return { shard, trainer: keyOf(shard), examples: rows.rows, params: decodeUpdate(codec, base, bytes) };
}
