import { pack } from '../src/blob/pack.js';
import { sha256 } from '../src/hash.js';
import { defaultAttackers } from '../src/learning/aggregate/rule.js';
import { CODEC_PRESETS } from '../src/learning/codec/codec.js';
import { decodeDifference, encodeDifference } from '../src/learning/codec/difference.js';
import type { Outer } from '../src/learning/outer/outer.js';
import { initialParams } from '../src/learning/params.js';
import { encodeParams } from '../src/learning/safetensors.js';
import type { HyperParameters, ModelSpec, ParamSet, TrainState } from '../src/learning/types.js';
import type { Engine } from '../src/ports.js';
import { dirichletHalf, noDigits, readDigits } from './learning/data.js';
import { federate, startEngines } from './learning/federation.js';
import type { BenchResult, BenchTarget } from './run.js';

/** What the model of the next round takes as a difference, against all of it packed; MNIST from the folder that NMKT_TEST_DATA names. `--full`: the cnn, too. */
export async function bench(): Promise<BenchResult> {
  const skip = noDigits();
  if (skip !== null) return { rows: [{ skip }], targets: [] };
  const [engine] = await startEngines(1);
  const digits = await readDigits();
  const rows: object[] = [];
  const targets: BenchTarget[] = [];
  for (const of of federations(process.argv.includes('--full'))) {
    const shares = await measure(engine!, digits, of);
    const { model, trainers, codec, outer } = of;
    const name = `${model}, ${trainers} trainers, ${codec}, outer ${outer.name}`;
    rows.push({ name, ...shares });
    if (outer.name !== 'none') continue;
    const most = codec === 'topk' || codec === 'sparseloco' ? 20 : 90;
    const worst = Math.max(...Object.values(shares));
    targets.push({ name: `difference: ${name}`, target: `<= ${most} %`, got: `${worst} %`, ok: worst <= most });
  }
  for (const model of ['mlp', 'cnn'] as const) {
    const { state, trained } = await measureWork(engine!, digits, model);
    rows.push({ name: `${model}, state after 24 steps`, last: state });
    rows.push({ name: `${model}, trained model`, last: trained });
    const ok = Math.max(state, trained) <= 80;
    targets.push({ name: `difference: ${model}, what is shown`, target: '<= 80 %', got: `${state} %`, ok });
  }
  return { rows: rows.map((row) => ({ name: '', first: '', fourth: '', last: '', ...row })), targets };
}

interface Of {
  readonly model: keyof typeof MODELS;
  readonly trainers: number;
  readonly codec: keyof typeof CODEC_PRESETS;
  readonly outer: Outer;
}

const MODELS = {
  mlp: { model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [64] },
  cnn: {
    ...{ model: 'cnn', task: 'classification', inputs: 784, outputs: 10 },
    ...{ shape: [28, 28, 1], filters: [6, 16], hidden: [120, 84] },
  },
} as const satisfies Record<string, ModelSpec>;

function federations(isFull: boolean): Of[] {
  const codecs = ['f32', 'int4', 'topk', 'sparseloco'] as const;
  const plain = (isFull ? (['mlp', 'cnn'] as const) : (['mlp'] as const)).flatMap((model) =>
    [4, 10].flatMap((trainers) => codecs.map((codec): Of => ({ model, trainers, codec, outer: { name: 'none' } }))),
  );
  const moving = (['int4', 'topk'] as const).map((codec): Of => {
    return { model: 'mlp', trainers: 4, codec, outer: { name: 'diloco' } };
  });
  return [...plain, ...moving];
}

const ROUNDS = 8;

/** Percent, in three rounds of eight. */
async function measure(
  engine: Engine,
  { train, test }: Awaited<ReturnType<typeof readDigits>>,
  { model, trainers, codec, outer }: Of,
): Promise<Record<'first' | 'fourth' | 'last', number>> {
  const rule = trainers < 5 ? 'fedavg' : 'multi-krum';
  const shares: number[] = [];
  await federate([engine], {
    ...{ spec: MODELS[model], test, rounds: ROUNDS, rule, attackers: defaultAttackers(rule, trainers), outer },
    codec: CODEC_PRESETS[codec],
    hyper: hyperOf(model, 1),
    ...{ shards: dirichletHalf(train, trainers, 'split 1'), seed: 'codecs 1', measureEvery: ROUNDS },
    onModel: (base, next) => void shares.push(shareOf(base, next)),
  });
  return { first: shares[0]!, fourth: shares[3]!, last: shares[7]! };
}

/** Of a training, what spot checks ask for: percent of it packed. */
async function measureWork(
  engine: Engine,
  { train }: Awaited<ReturnType<typeof readDigits>>,
  model: Of['model'],
): Promise<{ readonly state: number; readonly trained: number }> {
  const hyper = hyperOf(model, 2);
  const request = { model: MODELS[model], hyper, examples: dirichletHalf(train, 10, 'split 1')[1]! };
  const start = initialParams(MODELS[model], sha256('start'));
  const { weights: base } = await engine.train({ ...request, weights: start, seed: sha256('before') });
  const states: TrainState[] = [];
  const { weights } = await engine.train(
    { ...request, weights: base, seed: sha256('round'), stateEvery: 24 },
    undefined,
    undefined,
    (state) => states.push(state),
  );
  return { state: shareOf(base, states[0]!.tensors), trained: shareOf(base, weights) };
}

const hyperOf = (model: Of['model'], epochs: number): HyperParameters => ({
  ...{ optimizer: 'adam', learningRate: model === 'mlp' ? 0.001 : 0.002, batch: 32, epochs },
});

function shareOf(base: ParamSet, next: ParamSet): number {
  const whole = encodeParams(next);
  const difference = encodeDifference(base, next);
  if (!Buffer.from(encodeParams(decodeDifference(base, difference, next))).equals(whole))
    throw new Error('a difference does not lead back to its model');
  return Math.round((1000 * difference.length) / pack(whole).length) / 10;
}
