import { sha256 } from '../../src/hash.js';
import { defaultAttackers, type RuleName } from '../../src/learning/aggregate/rule.js';
import { CODEC_PRESETS, type Codec } from '../../src/learning/codec/codec.js';
import type { Outer } from '../../src/learning/outer/outer.js';
import { subset } from '../../src/learning/examples.js';
import { initialParams } from '../../src/learning/params.js';
import { prng } from '../../src/learning/prng.js';
import type { Examples, ModelSpec } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
import { readDataset } from '../../src/training/dataset.js';
import { ATTACKS, BOUNDED, stamped, type Attack } from './attacks.js';
import { dirichletHalf, oneLabelEach, readDigits, shakespeare } from './data.js';
import { federate, type Federation, type MeasuredRound } from './federation.js';

/** Every training of the bench as a value of its own, so that they can run side by side, and again where one is missing. */
export interface Run {
  readonly group: 'codecs' | 'attacks' | 'labels' | 'gpt' | 'fedstr';
  readonly row: string;
  readonly seed: number;
  /** On one engine. */
  start(engine: Engine): Promise<Outcome>;
}
export interface Outcome {
  readonly rounds: readonly MeasuredRound[];
  /** Share of stamped images that are taken for the attackers' class, where there is a backdoor. */
  readonly backdoor?: number | undefined;
}
/** What is kept of a run, a line of JSON each. */
export interface Result extends Outcome {
  readonly group: Run['group'];
  readonly row: string;
  readonly seed: number;
  readonly seconds: number;
}

const CNN: ModelSpec = {
  ...{ model: 'cnn', task: 'classification', inputs: 784, outputs: 10 },
  ...{ shape: [28, 28, 1], filters: [6, 16], hidden: [120, 84] },
};
const MLP: ModelSpec = { model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [64] };
const NONE: Outer = { name: 'none' };

export const SEEDS = 5;
export const ROUNDS = 30;

/** What error feedback sends late, a longer step makes up for. */
export const LONGER = 'topk, outer step 1.3';
const CODECS: Readonly<Record<string, Codec>> = {
  ...CODEC_PRESETS,
  [LONGER]: CODEC_PRESETS.topk,
  'topk 1 %': { ...CODEC_PRESETS.topk, keep: 41 },
};

/** MNIST 8,000 / 2,000, 10 trainers, Dirichlet 0.5, the cnn, two epochs of Adam a round. */
function codecRuns(digits: Digits, seeds: number): Run[] {
  const run = (row: string, codec: Codec, rule: RuleName, seed: number): Run => ({
    ...{ group: 'codecs', row, seed },
    start: async (engine) =>
      federate([engine], {
        ...{
          spec: CNN,
          test: digits.test,
          rounds: ROUNDS,
          rule,
          attackers: defaultAttackers(rule, 10),
          outer: row === LONGER ? { name: 'sgd', learningRate: 1.3 } : NONE,
          codec,
        },
        hyper: { optimizer: 'adam', learningRate: 0.002, batch: 32, epochs: 2 },
        shards: dirichletHalf(digits.train, 10, `split ${seed}`),
        seed: `codecs ${seed}`,
      }),
  });
  /** As many passes over all data in one place, under the same seeds. */
  const central = (seed: number): Run => ({
    ...{ group: 'codecs', row: 'central', seed },
    start: async (engine) =>
      federate([engine], {
        ...{
          spec: CNN,
          test: digits.test,
          rounds: ROUNDS,
          rule: 'fedavg',
          attackers: 0,
          outer: NONE,
          codec: { name: 'f32' },
        },
        hyper: { optimizer: 'adam', learningRate: 0.002, batch: 32, epochs: 2 },
        shards: [digits.train],
        seed: `codecs ${seed}`,
      }),
  });
  return each(seeds).flatMap((seed) => [
    ...Object.entries(CODECS).map(([row, codec]) => run(row, codec, 'fedavg', seed)),
    run('int4, multi-krum', CODECS['int4']!, 'multi-krum', seed),
    central(seed),
  ]);
}

const TRAINERS = 15;
const F = 4;
export const ATTACK_ROUNDS = 20;
export const RULES_UNDER_ATTACK: readonly RuleName[] = [
  ...(['fedavg', 'multi-krum', 'norm-clip', 'centred-clip', 'median', 'trimmed-mean'] as const),
  ...(['geometric-median', 'krum', 'bulyan'] as const),
];

/** The mlp, 15 trainers, 4 of them attackers, Dirichlet 0.5; `rules` under every attack, and without; behind the work floor of the market, or alone. */
function attackRuns(digits: Digits, seeds: number, rules: readonly RuleName[], floor: boolean): Run[] {
  const run = (row: string, rule: RuleName, seed: number, attack: Attack | null, without = 0): Run => ({
    ...{ group: 'attacks', row: `${floor ? 'floor, ' : ''}${rule}: ${row}`, seed },
    start: async (engine) => {
      const shards = dirichletHalf(digits.train, TRAINERS, `attacks ${seed}`).slice(without);
      const federation: Federation = {
        ...{ spec: MLP, test: digits.test, rounds: ATTACK_ROUNDS, rule, outer: NONE, codec: { name: 'int4' } },
        // As among all, also where the attackers are left out.
        attackers: defaultAttackers(rule, TRAINERS),
        firstShard: without,
        ...{ hyper: { optimizer: 'adam', learningRate: 0.001, batch: 32, epochs: 2 }, measureEvery: 5 },
        ...{ shards, seed: `attacks ${seed}`, floor },
        attacks: new Map(attack === null ? [] : Array.from({ length: F }, (_, shard) => [shard, attack])),
      };
      const { rounds, params } = await federate([engine], federation);
      if (row !== 'backdoor') return { rounds };
      return { rounds, backdoor: await backdoorRate(engine, params, digits.test) };
    },
  });
  return each(seeds).flatMap((seed) =>
    rules.flatMap((rule) => [
      run('no attack', rule, seed, null),
      run('without their shards', rule, seed, null, F),
      ...Object.entries(ATTACKS).map(([name, attack]) => run(name, rule, seed, attack)),
    ]),
  );
}

/** Stamped images of other classes that are taken for class 0. */
async function backdoorRate(engine: Engine, params: Parameters<Engine['predict']>[1], test: Examples): Promise<number> {
  const others = subset(test, Uint32Array.from([...test.labels.keys()].filter((row) => test.labels[row] !== 0)));
  const { features, rows, scale } = stamped(others);
  const outputs = await engine.predict(MLP, params, features, rows, scale);
  let taken = 0;
  for (let row = 0; row < rows; row++) {
    const own = outputs.subarray(row * 10, row * 10 + 10);
    if (own.every((value) => value <= own[0]!)) taken += 1;
  }
  return taken / rows;
}

/** Ten trainers with one digit each: what no published rule survives. */
function labelRuns(digits: Digits, seeds: number, rules: readonly RuleName[]): Run[] {
  return each(seeds).flatMap((seed) =>
    rules.map((rule) => ({
      ...{ group: 'labels' as const, row: rule, seed },
      start: async (engine: Engine) =>
        federate([engine], {
          ...{ spec: MLP, test: digits.test, rounds: ATTACK_ROUNDS, rule, attackers: defaultAttackers(rule, 10) },
          ...{ outer: NONE, codec: { name: 'int4' as const }, measureEvery: 5 },
          hyper: { optimizer: 'adam', learningRate: 0.001, batch: 32, epochs: 2 },
          ...{ shards: oneLabelEach(digits.train), seed: `labels ${seed}` },
        }),
    })),
  );
}

/** The published run of FEDSTR: 784-128-10, two trainers, three rounds of three epochs, batches of 32. */
function fedstrRuns(digits: Digits, seeds: number): Run[] {
  return each(seeds).map((seed) => ({
    ...{ group: 'fedstr' as const, row: '2 trainers, 3 rounds', seed },
    start: async (engine: Engine) => {
      const order = prng(sha256(`fedstr ${seed}`), 'split').shuffle(digits.train.rows);
      const half = order.length / 2;
      return federate([engine], {
        ...{ spec: { ...MLP, hidden: [128] } as ModelSpec, test: digits.test, rounds: 3, rule: 'fedavg', attackers: 0 },
        ...{ outer: NONE, codec: { name: 'int4' as const } },
        hyper: { optimizer: 'adam', learningRate: 0.001, batch: 32, epochs: 3 },
        shards: [subset(digits.train, order.slice(0, half)), subset(digits.train, order.slice(half))],
        seed: `fedstr ${seed}`,
      });
    },
  }));
}

const H = 50;
export const GPT_STEPS = 2_000;
const GPT_BATCH = 12;
const GPT_TRAINERS = 4;
export const GPT_ROWS = ['SparseLoCo', 'DiLoCo, f32', 'one trainer, four times the batch'] as const;

/** Character GPT on tinyshakespeare; the last tenth is what the loss is measured on. */
async function gptRuns(path: string, seeds: number, steps: number): Promise<Run[]> {
  const { examples, schema } = await readDataset(path, { tokenizer: 'char', context: 64 });
  const held = Math.floor(examples.rows / 10);
  const rows = (from: number, to: number) =>
    subset(
      examples,
      Uint32Array.from({ length: to - from }, (_, i) => from + i),
    );
  const train = rows(0, examples.rows - held);
  const test = rows(examples.rows - held, examples.rows);
  const spec: ModelSpec = {
    ...{ model: 'gpt', task: 'classification', inputs: schema.inputs, outputs: schema.outputs },
    ...{ layers: 3, heads: 3, width: 48 },
  };
  const inner = { optimizer: 'adamw', learningRate: 0.002, weightDecay: 0.1, clipNorm: 1 } as const;
  const federated = (row: string, seed: number, codec: Codec, outer: Outer): Run => ({
    ...{ group: 'gpt', row, seed },
    start: async (engine) => {
      const order = prng(sha256(`gpt ${seed}`), 'split').shuffle(train.rows);
      const share = Math.floor(order.length / GPT_TRAINERS);
      return federate([engine], {
        ...{ spec, test, rounds: steps / H, rule: 'fedavg', attackers: 0, outer, codec, measureEvery: 10 },
        hyper: { ...inner, batch: GPT_BATCH, localSteps: H },
        shards: each(GPT_TRAINERS).map((i) => subset(train, order.slice(i * share, (i + 1) * share))),
        seed: `gpt ${seed}`,
      });
    },
  });
  const alone = (seed: number): Run => ({
    ...{ group: 'gpt', row: GPT_ROWS[2], seed },
    async start(engine) {
      const start = initialParams(spec, sha256(`gpt ${seed}`));
      const hyper = { ...inner, batch: GPT_BATCH * GPT_TRAINERS, localSteps: steps };
      const { weights } = await engine.train({
        model: spec,
        weights: start,
        examples: train,
        hyper,
        seed: sha256(`${seed}`),
      });
      const { loss, accuracy } = await engine.evaluate(spec, weights, test);
      return { rounds: [{ round: 1, loss, accuracy: accuracy!, payloadBytes: 0, packedBytes: 0 }] };
    },
  });
  return each(seeds).flatMap((seed) => [
    alone(seed),
    federated(GPT_ROWS[0], seed, CODEC_PRESETS.sparseloco, { name: 'sgd', learningRate: 1 }),
    federated(GPT_ROWS[1], seed, CODEC_PRESETS.f32, { name: 'diloco', learningRate: 0.7, momentum: 0.9 }),
  ]);
}

type Digits = Awaited<ReturnType<typeof readDigits>>;

export interface Size {
  readonly seeds: number;
  readonly gptSeeds: number;
  readonly gptSteps: number;
  readonly rules: readonly RuleName[];
  /** Behind the work floor. */
  readonly floorRules: readonly RuleName[];
  /** Default: all. */
  readonly codecs?: readonly string[];
}
export const FULL: Size = {
  seeds: SEEDS,
  gptSeeds: 3,
  gptSteps: GPT_STEPS,
  rules: RULES_UNDER_ATTACK,
  floorRules: ['fedavg', 'multi-krum', 'norm-clip'],
};
export const SHORT: Size = {
  seeds: 1,
  gptSeeds: 1,
  gptSteps: 200,
  rules: ['fedavg', 'multi-krum'],
  floorRules: ['fedavg', 'norm-clip'],
  codecs: ['f32', 'int4', 'central'],
};

/** Those of the first seed first. */
export async function allRuns(size: Size): Promise<Run[]> {
  const digits = await readDigits();
  const text = shakespeare();
  const runs = [
    ...fedstrRuns(digits, size.seeds),
    ...codecRuns(digits, size.seeds).filter(({ row }) => size.codecs === undefined || size.codecs.includes(row)),
    ...attackRuns(digits, size.seeds, size.floorRules, true),
    ...attackRuns(digits, size.seeds, size.rules, false),
    ...labelRuns(digits, size.seeds, size.rules),
    ...(text === null ? [] : await gptRuns(text, size.gptSeeds, size.gptSteps)),
  ];
  return runs
    .map((run, i) => ({ run, i }))
    .sort((a, b) => a.run.seed - b.run.seed || a.i - b.i)
    .map(({ run }) => run);
}

/** The attacks whose effect is bounded by a target. */
export const isBounded = (name: string): boolean => (BOUNDED as readonly string[]).includes(name);

function each(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
