import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers the gradients
import { loadavg } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { FusedAdam } from '../src/kernels/adam.js';
import { architecture } from '../src/learning/architecture.js';
import { initialParams } from '../src/learning/params.js';
import { prng } from '../src/learning/prng.js';
import type { CnnSpec, DenseSpec, Examples, ModelSpec } from '../src/learning/types.js';
import type { TrainRequest } from '../src/ports.js';
import { startRelay } from '../src/relay/embedded.js';
import { connectRelays } from '../src/relay/pool.js';
import { localSigner } from '../src/signer.js';
import { createEngine } from '../src/training/engine.js';
import { rowsOf } from '../src/training/model-batches.js';
import { train } from '../src/training/model-train.js';
import { loadRung } from '../src/training/tfjs-rungs.js';
import type { BenchResult, BenchTarget } from './run.js';

/**
 * What the training loop of nmkt costs: against a loop over tfjs as a user writes it, on the same kernels with the same Adam,
 * in turns in one process by processor time; two workers against one, by the clock, which shows all of it only on a machine
 * without other work; and how long the main thread keeps a relay waiting while a worker trains.
 */
const ROUNDS = 5;
const BATCH = 64;
const ROWS = 1024;
const DELAY_MS = 8_000;

const mlp: DenseSpec = { model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [128] };
const cnn: CnnSpec = { ...mlp, model: 'cnn', shape: [28, 28, 1], filters: [6, 16], hidden: [120, 84] };

type Row = Record<'what' | 'unit' | 'got', string | number>;

export async function bench(): Promise<BenchResult> {
  const rows: Row[] = [];
  const targets: BenchTarget[] = [];
  const target = (name: string, least: number, got: number): void =>
    void targets.push({ name: `loop: ${name}`, target: `>= ${least}`, got: got.toFixed(2), ok: got >= least });
  const load = (): void => void rows.push({ what: 'load of the machine', unit: '', got: loadavg()[0]! });
  load();
  await loadRung('wasm');
  for (const [name, spec, steps] of [
    ['MLP 784-128-10', mlp, 100],
    ['cnn 28x28', cnn, 16],
  ] as const) {
    const { ours, bare } = await loops(spec, steps);
    rows.push({ what: `${name}, nmkt`, unit: 'samples/s of processor time', got: ours });
    rows.push({ what: `${name}, bare tfjs`, unit: 'samples/s of processor time', got: bare });
    target(`${name}, nmkt against bare tfjs`, 0.97, ours / bare);
  }
  const gain = await secondWorker();
  rows.push({ what: 'two workers against one, cnn', unit: 'x, by the clock', got: gain });
  target('a second worker', 1.6, gain);
  const delays = await loopDelay();
  for (const [what, got] of Object.entries(delays)) rows.push({ what, unit: what.endsWith('event') ? '' : 'ms', got });
  const p99 = delays['loop delay, p99'];
  targets.push({
    name: 'loop: main thread while a worker trains, p99',
    target: '< 30 ms',
    got: `${p99.toFixed(1)} ms`,
    ok: p99 < 30,
  });
  load();
  return { rows, targets };
}

function examplesOf(spec: ModelSpec): Examples {
  const random = prng(new Uint8Array(32), 'bench/loop');
  const features = Uint8Array.from({ length: ROWS * spec.inputs }, () => random.below(256));
  const labels = Int32Array.from({ length: ROWS }, () => random.below(spec.outputs));
  return { rows: ROWS, inputs: spec.inputs, features, scale: 255, labels };
}

function requestFor(spec: ModelSpec, localSteps: number): TrainRequest {
  const seed = new Uint8Array(32);
  const hyper = { optimizer: 'adam', learningRate: 0.001, batch: BATCH, localSteps } as const;
  return { model: spec, weights: initialParams(spec, seed), examples: examplesOf(spec), hyper, seed };
}

/** Samples per second of processor time, best of ROUNDS each. */
async function loops(
  spec: DenseSpec | CnnSpec,
  steps: number,
): Promise<{ readonly ours: number; readonly bare: number }> {
  const request = requestFor(spec, steps);
  const step = bareStep(spec, request);
  const run = {
    ours: async () =>
      void (await train(
        request,
        () => undefined,
        () => undefined,
      )),
    bare: async () => {
      for (let i = 0; i < steps; i++) await step(i);
    },
  };
  const best = { ours: 0, bare: 0 };
  for (let round = -2; round < ROUNDS; round++)
    for (const which of ['ours', 'bare'] as const) {
      const begin = cpuSeconds();
      await run[which]();
      // V8 compiles in the first rounds.
      if (round >= 0) best[which] = Math.max(best[which], (steps * BATCH) / (cpuSeconds() - begin));
    }
  return best;
}

/** A step as a user of tfjs writes it: the next rows of the data to tensors, `minimize`, and the loss to report. */
function bareStep(spec: DenseSpec | CnnSpec, { examples, weights }: TrainRequest): (i: number) => Promise<void> {
  const names = architecture(spec).map(({ name }) => name);
  const variables = weights.map(({ shape, data }) => tf.variable(tf.tensor(data, [...shape])));
  const find = <T extends tf.Tensor>(name: string): T => variables[names.indexOf(name)] as unknown as T;
  const optimizer = new FusedAdam({ learningRate: 0.001 });
  return async (i) => {
    const from = (i * BATCH) % (ROWS - BATCH + 1);
    const features = rowsOf(examples.features, examples.scale, spec.inputs, from, from + BATCH);
    const classes = tf.tensor1d(examples.labels.subarray(from, from + BATCH), 'int32');
    const loss = optimizer.minimize(
      () => {
        let flat = tf.tensor2d(features, [BATCH, spec.inputs]);
        if (spec.model === 'cnn') {
          let maps = tf.reshape<tf.Rank.R4>(flat, [BATCH, ...(spec.shape as [number, number, number])]);
          spec.filters.forEach((_, layer) => {
            const sums = tf.conv2d(maps, find<tf.Tensor4D>(`conv_${layer}/kernel`), 1, 'same');
            maps = tf.maxPool(tf.relu(tf.add<tf.Tensor4D>(sums, find(`conv_${layer}/bias`))), 2, 2, 'valid');
          });
          flat = tf.reshape(maps, [BATCH, -1]);
        }
        spec.hidden.concat(spec.outputs).forEach((_, layer, all) => {
          const kernel = find<tf.Tensor2D>(`dense_${layer}/kernel`);
          const sum = tf.add<tf.Tensor2D>(tf.matMul(flat, kernel), find(`dense_${layer}/bias`));
          flat = layer === all.length - 1 ? sum : tf.relu(sum);
        });
        return tf.losses.softmaxCrossEntropy(tf.oneHot(classes, spec.outputs), flat);
      },
      true,
      variables,
    )!;
    await loss.data();
    tf.dispose([loss, classes]);
  };
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Work of two trainings at once, over that of one in the same time; in turns, best of three. */
async function secondWorker(): Promise<number> {
  const engines = [await createEngine({ want: 'wasm' }), await createEngine({ want: 'wasm' })];
  const request = requestFor(cnn, 60);
  const timed = async (count: number): Promise<number> => {
    const begin = performance.now();
    await Promise.all(engines.slice(0, count).map((engine) => engine.train(request)));
    return performance.now() - begin;
  };
  const best = [Infinity, Infinity];
  for (let round = -1; round < 3; round++)
    for (const i of [1, 0]) {
      const ms = await timed(i + 1);
      if (round >= 0) best[i] = Math.min(best[i]!, ms);
    }
  await Promise.all(engines.map((engine) => engine.close()));
  return (2 * best[0]!) / best[1]!;
}

/** Chunks of a blob go to a relay and come back, checked, while a worker trains and hands out its states. */
async function loopDelay(): Promise<{
  readonly 'loop delay, p50': number;
  readonly 'loop delay, p99': number;
  readonly 'loop delay, most': number;
  readonly 'chunks there and back, every event': number;
}> {
  const relay = await startRelay({ port: 0 });
  const relays = connectRelays([relay.url]);
  const signer = localSigner(new Uint8Array(32).fill(1));
  const engine = await createEngine({ want: 'wasm' });
  const stop = new AbortController();
  const training = engine
    .train(
      { ...requestFor(cnn, 1_000_000), stateEvery: 20 },
      () => undefined,
      stop.signal,
      () => undefined,
    )
    .catch(() => undefined);
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  const end = performance.now() + DELAY_MS;
  let count = 0;
  while (performance.now() < end) {
    const event = await signer.sign({
      kind: 1,
      created_at: Math.floor(Date.now() / 1000),
      tags: [['i', `${count}`]],
      content: 'A'.repeat(40_000),
    });
    await relays.publish(event);
    count += (await relays.fetch([{ ids: [event.id] }])).events.length;
  }
  histogram.disable();
  stop.abort();
  await training;
  await Promise.all([engine.close(), relays.close(), relay.close()]);
  return {
    'loop delay, p50': histogram.percentile(50) / 1e6,
    'loop delay, p99': histogram.percentile(99) / 1e6,
    'loop delay, most': histogram.max / 1e6,
    'chunks there and back, every event': count,
  };
}
