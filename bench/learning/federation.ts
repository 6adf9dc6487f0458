import { pack } from '../../src/blob/pack.js';
import { sha256, sha256Hex, type Pubkey } from '../../src/hash.js';
import { combine, ruleFor, type RuleName } from '../../src/learning/aggregate/rule.js';
import type { Update } from '../../src/learning/aggregate/update.js';
import { decodeUpdate, encodeUpdate, type Codec } from '../../src/learning/codec/codec.js';
import { outerStep, type Outer } from '../../src/learning/outer/outer.js';
import { subset } from '../../src/learning/examples.js';
import { initialParams } from '../../src/learning/params.js';
import {
  dropErrorPpm,
  lossPpm,
  NOTHING_ASKED,
  sampleIndices,
  workFloor,
  workScore,
  type WorkEvidence,
} from '../../src/learning/scoring.js';
import { trainingSeed } from '../../src/learning/seeds.js';
import type { Examples, HyperParameters, ModelSpec, ParamSet } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
import { createEngine } from '../../src/training/engine.js';
import type { Attack, Past } from './attacks.js';

/** Federated learning without the market: the same engine, codecs, rules and outer steps, in one process. */

export interface Federation {
  readonly spec: ModelSpec;
  readonly hyper: HyperParameters;
  readonly shards: readonly Examples[];
  readonly test: Examples;
  readonly rounds: number;
  readonly rule: RuleName;
  readonly attackers: number;
  readonly outer: Outer;
  readonly codec: Codec;
  /** Names everything that is random. */
  readonly seed: string;
  /** Leave out what does not pass the work floor, as the market does, before the rule combines the rest; default false. */
  readonly floor?: boolean;
  /** By shard, of those that attack. */
  readonly attacks?: ReadonlyMap<number, Attack>;
  /** Number of the first shard, where those before it are left out: keys and seeds stay as they were; default 0. */
  readonly firstShard?: number;
  /** Measure every so many rounds, and after the last; default 1. */
  readonly measureEvery?: number;
  /** Told after each measured round; true ends it. */
  readonly onRound?: (round: MeasuredRound) => boolean | void;
  /** Told of every step of the global model. */
  readonly onModel?: (base: ParamSet, next: ParamSet) => void;
}

export interface MeasuredRound {
  /** From 1. */
  readonly round: number;
  readonly accuracy: number;
  readonly loss: number;
  /** Of all rounds so far, per trainer: bytes of the updates, and packed as a blob packs them. */
  readonly payloadBytes: number;
  readonly packedBytes: number;
}

export interface Federated {
  readonly rounds: readonly MeasuredRound[];
  readonly params: ParamSet;
}

/** Each in a thread of its own. */
export async function startEngines(count: number): Promise<Engine[]> {
  return Promise.all(Array.from({ length: count }, () => createEngine({ want: 'wasm' })));
}

/** As the market names its trainers: keys in an order that has nothing to do with that of the shards. */
export const keyOf = (shard: number): Pubkey => sha256Hex(`trainer ${shard}`) as unknown as Pubkey;

export async function federate(engines: readonly Engine[], of: Federation): Promise<Federated> {
  const { spec, hyper, shards, rounds, codec } = of;
  const seed = sha256(of.seed);
  let base = initialParams(spec, seed);
  let outerState: ParamSet | null = null;
  const residuals = new Map<number, ParamSet>();
  const measured: MeasuredRound[] = [];
  const history: Past[] = [];
  const numberOf = (shard: number) => shard + (of.firstShard ?? 0);
  let [payload, packed] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const honest = await inTurns(engines, shards, async (engine, examples, shard) => {
      const data = of.attacks?.get(shard)?.data?.(examples) ?? examples;
      const own = trainingSeed(seed, round, numberOf(shard), keyOf(numberOf(shard)));
      return (await engine.train({ model: spec, weights: base, examples: data, hyper, seed: own })).weights;
    });
    history.push({ base, honest });
    const sent = honest.map((params, shard) => {
      const attack = of.attacks?.get(shard)?.update;
      return attack === undefined
        ? params
        : attack({
            base,
            own: params,
            honest: honestOnly(honest, of),
            history,
            round,
            shard,
            examples: shards[shard]!,
            seed,
          });
    });
    const updates = sent.map((trained, shard) => {
      const own = trainingSeed(seed, round, numberOf(shard), keyOf(numberOf(shard)));
      const { bytes, residual } = encodeUpdate(codec, base, trained, residuals.get(shard) ?? null, own);
      if (residual !== null) residuals.set(shard, residual);
      payload += bytes.length;
      packed += pack(bytes).length;
      return { shard, trainer: keyOf(shard), examples: shards[shard]!.rows, params: decodeUpdate(codec, base, bytes) };
    });
    const passing = of.floor === true ? await aboveFloor(engines[0]!, of, base, updates, round) : updates;
    if (passing.length === 0) continue;
    const combined = combine(ruleFor(of.rule, of.attackers, passing.length), base, passing);
    const next = outerStep(of.outer, base, combined, outerState);
    of.onModel?.(base, next.params);
    ({ params: base, state: outerState } = next);
    if ((round + 1) % (of.measureEvery ?? 1) !== 0 && round + 1 !== rounds) continue;
    const { loss, accuracy } = await engines[0]!.evaluate(spec, base, of.test);
    const n = shards.length;
    measured.push({
      round: round + 1,
      accuracy: accuracy ?? NaN,
      loss,
      payloadBytes: payload / n,
      packedBytes: packed / n,
    });
    if (of.onRound?.(measured.at(-1)!) === true) break;
  }
  return { rounds: measured, params: base };
}

/**
 * Those of a round that pass the work floor as a job without `leastWork` has it: of this the table of attacks is made, in which the rules
 * are to stand without it.
 */
export async function aboveFloor(
  engine: Engine,
  of: Measured,
  base: ParamSet,
  updates: readonly Update[],
  round: number,
): Promise<Update[]> {
  const scores = await workOf(engine, of, base, updates, round);
  return updates.filter((_, i) => workFloor(scores[i]!, NOTHING_ASKED).pass);
}

export type Measured = Pick<Federation, 'spec' | 'shards' | 'seed'>;

/** D and E of each update, on samples of its own shard and of the others. */
export async function workOf(
  engine: Engine,
  { spec, shards, seed }: Measured,
  base: ParamSet,
  updates: readonly Update[],
  round: number,
): Promise<WorkEvidence[]> {
  const scores: WorkEvidence[] = [];
  for (const update of updates) {
    const secret = sha256(seed);
    const own = shards[update.shard]!;
    const sampled = subset(own, Uint32Array.from(sampleIndices(own.rows, secret, round, update.shard)));
    const other = otherRows(shards, update.shard, secret, round);
    const drop = async (examples: Examples) => {
      const [before, after] = [
        await engine.evaluate(spec, base, examples),
        await engine.evaluate(spec, update.params, examples),
      ];
      const ppm = (loss: number) => (Number.isFinite(loss) ? lossPpm(loss) : WORST_PPM);
      return { before: ppm(before.loss), after: ppm(after.loss), error: dropErrorPpm(before.losses, after.losses) };
    };
    const [mine, theirs] = [await drop(sampled), await drop(other)];
    scores.push({ ...workScore(mine, theirs), ownSePpm: mine.error, otherSePpm: theirs.error });
  }
  return scores;
}

const WORST_PPM = 999_000_000;
const OTHER_ROWS = 1_000;

function otherRows(shards: readonly Examples[], own: number, secret: Uint8Array, round: number): Examples {
  const others = shards.filter((_, shard) => shard !== own);
  const total = others.reduce((sum, { rows }) => sum + rows, 0);
  const picked = sampleIndices(total, secret, round, 'other', Math.min(OTHER_ROWS, total));
  let from = 0;
  const parts = others.map((shard) => {
    const part = subset(
      shard,
      Uint32Array.from(picked.filter((row) => row >= from && row < from + shard.rows).map((row) => row - from)),
    );
    from += shard.rows;
    return part;
  });
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const features = new Uint8Array(rows * parts[0]!.inputs);
  const labels = new Int32Array(rows);
  let at = 0;
  for (const part of parts) {
    features.set(part.features, at * part.inputs);
    labels.set(part.labels, at);
    at += part.rows;
  }
  return { ...parts[0]!, rows, features, labels };
}

const honestOnly = (all: readonly ParamSet[], of: Federation): ParamSet[] =>
  all.filter((_, shard) => of.attacks?.has(shard) !== true);

/** The next one to the engine that is free, results in order. */
export async function inTurns<T, R>(
  engines: readonly Engine[],
  items: readonly T[],
  work: (engine: Engine, item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array<R>(items.length);
  let next = 0;
  await Promise.all(
    engines.map(async (engine) => {
      while (next < items.length) {
        const index = next++;
        results[index] = await work(engine, items[index]!, index);
      }
    }),
  );
  return results;
}

export function firstAt(rounds: readonly MeasuredRound[], accuracy: number): MeasuredRound | undefined {
  return rounds.find((round) => round.accuracy >= accuracy);
}

export interface Spread {
  readonly mean: number;
  /** Of the sample; 0 of one number. */
  readonly sd: number;
}

export function spreadOf(numbers: readonly number[]): Spread {
  const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
  const squares = numbers.reduce((sum, one) => sum + (one - mean) ** 2, 0);
  return { mean, sd: numbers.length < 2 ? 0 : Math.sqrt(squares / (numbers.length - 1)) };
}

export const text = ({ mean, sd }: Spread, digits = 4): string => `${mean.toFixed(digits)} ± ${sd.toFixed(digits)}`;
