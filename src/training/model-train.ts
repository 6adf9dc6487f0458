import * as tf from '@tensorflow/tfjs-core';
import { NmktError } from '../errors.js';
import { learningRateAt } from '../learning/schedule.js';
import { momentsOf, stateTensors, stepCount, weightsOf, type Moment } from '../learning/train-state.js';
import type { HyperParameters, ModelSpec, ParamSet, TrainState } from '../learning/types.js';
import type { Evaluation, TrainRequest, TrainResult } from '../ports.js';
import { batchesForever, rowsOf } from './model-batches.js';
import { answersOf, batchLoss } from './model-loss.js';
import { freshMoments, type Moments } from './model-optimizer.js';
import { takeValues, startProgress } from './model-progress.js';
import { evaluationRows } from './model-schedule.js';
import { netOf, type Net } from './net.js';

/** @returns what the training waits for before it goes on, if anything */
export type OnStep = (done: number, total: number, loss: number) => void | Promise<void>;

/**
 * Mini-batch training on the current tfjs backend; the request was checked before. Waits only for the backend: on wasm and cpu
 * it runs to the end without a turn of the event loop.
 *
 * @returns    losses are means over the first and the last batch, before their updates; `wallMs` is 0, the caller measures
 * @throws     NmktError `diverged` at the first loss or weight that is not finite, or a loss above the limit
 */
export async function train(
  request: TrainRequest,
  onStep: OnStep,
  onState: (state: TrainState) => void,
): Promise<TrainResult> {
  const { model, examples, hyper, from, stateEvery = Infinity, lossLimit = Number.MAX_VALUE } = request;
  const net = netOf(model);
  const start = from === undefined ? request.weights : weightsOf(from, model);
  const weights = start.map(({ data }) => new Float32Array(data)); // training may go on in them
  const moments =
    from === undefined
      ? freshMoments(
          hyper,
          weights.map((data) => data.length),
        )
      : momentsAt(from, start, hyper);
  const shapes = net.shapes.map(({ shape }) => shape);
  const progress = startProgress(hyper, { shapes, anchor: request.weights.map(({ data }) => data), weights, moments });
  const steps = stepCount(hyper, examples.rows);
  const end = Math.min(steps, request.toStep ?? steps);
  const batches = batchesForever(examples, hyper.batch, request.seed, moments.step);
  let lossFirst = 0;
  let lossLast = 0;
  try {
    for (let step = moments.step; step < end; step++) {
      const batch = batches.next().value;
      const rate = learningRateAt(hyper, step, steps);
      const found = await net.gradients(progress.tensors(), batch);
      lossLast = found.loss.sum / (batch.rows * net.positions);
      if (step === moments.step) lossFirst = lossLast;
      if (!(lossLast <= lossLimit)) {
        tf.dispose([...found.gradients]);
        throw diverged({ what: `the loss is ${lossLast}`, step, steps, rate, lossLimit });
      }
      await progress.step(found.gradients, rate);
      const pause = onStep(step + 1, steps, lossLast);
      if (pause instanceof Promise) await pause;
      const done = step + 1;
      if (done < steps && (done === end || done % stateEvery === 0)) {
        const now = await progress.read();
        onState(stateAfter(net, now.weights, { ...now.moments, step: done }));
      }
    }
    const last = await progress.read();
    if (!last.weights.every(isFinite)) {
      const [step, rate] = [end - 1, learningRateAt(hyper, end - 1, steps)];
      throw diverged({ what: 'a weight is not finite', step, steps, rate, lossLimit });
    }
    return { weights: named(net, last.weights), steps, lossFirst, lossLast, wallMs: 0 };
  } finally {
    progress.dispose();
  }
}

/** Loss added in float64 in the order of the examples; NaN and Infinity are reported, not thrown. */
export async function evaluate(
  model: ModelSpec,
  weights: ParamSet,
  examples: TrainRequest['examples'],
): Promise<Evaluation> {
  const { rows, inputs, features, scale, labels } = examples;
  const net = netOf(model);
  const losses = new Float64Array(rows);
  const each = net.positions === 1 ? undefined : new Float64Array(evaluationRows(model) * net.positions);
  let sum = 0;
  let hits = 0;
  await inPasses(net, weights, rows, async (tensors, from, to) => {
    const batch = {
      rows: to - from,
      features: rowsOf(features, scale, inputs, from, to),
      labels: labels.subarray(from, to),
    };
    const outputs = await forward(net, tensors, batch.features, batch.rows);
    const loss = batchLoss(model.task, outputs, net.targets(batch), model.outputs, each ?? losses.subarray(from, to));
    if (each !== undefined) losses.set(meanOfEach(each, net.positions).subarray(0, batch.rows), from);
    sum += loss.sum;
    hits += loss.hits;
  });
  const answers = rows * net.positions;
  const measured = { loss: sum / answers, count: rows, losses };
  return model.task === 'regression' ? measured : { ...measured, accuracy: hits / answers };
}

/**
 * Probabilities [rows, classes] or [rows, labels] (of a text: of what follows its last token) or values [rows, 1]; features are inputs already
 * (scale 1) unless `scale` says otherwise.
 */
export async function predict(
  model: ModelSpec,
  weights: ParamSet,
  features: Uint8Array | Float32Array,
  rows: number,
  scale: number,
): Promise<Float32Array> {
  const net = netOf(model);
  const out = new Float32Array(rows * model.outputs);
  await inPasses(net, weights, rows, async (tensors, from, to) => {
    const all = await forward(net, tensors, rowsOf(features, scale, model.inputs, from, to), to - from);
    const outputs = net.positions === 1 ? all : lastOfEach(all, net.positions, model.outputs);
    out.set(answersOf(model.task, outputs, model.outputs), from * model.outputs);
  });
  return out;
}

async function inPasses(
  net: Net,
  weights: ParamSet,
  rows: number,
  pass: (tensors: readonly tf.Tensor[], from: number, to: number) => Promise<void>,
): Promise<void> {
  const tensors = upload(
    net,
    weights.map(({ data }) => data),
  );
  const most = evaluationRows(net.spec);
  try {
    for (let from = 0; from < rows; from += most) await pass(tensors, from, Math.min(from + most, rows));
  } finally {
    tf.dispose(tensors);
  }
}

async function forward(
  net: Net,
  tensors: readonly tf.Tensor[],
  features: Float32Array,
  rows: number,
): Promise<Float32Array> {
  const [outputs] = await takeValues([tf.tidy(() => net.forward(tensors, features, rows))]);
  return outputs!;
}

/** [rows x positions, width] -> [rows, width] */
function lastOfEach(outputs: Float32Array, positions: number, width: number): Float32Array {
  const rows = outputs.length / positions / width;
  const last = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const at = ((row + 1) * positions - 1) * width;
    last.set(outputs.subarray(at, at + width), row * width);
  }
  return last;
}

function meanOfEach(each: Float64Array, positions: number): Float64Array {
  const means = new Float64Array(each.length / positions);
  for (let i = 0; i < each.length; i++) means[Math.floor(i / positions)]! += each[i]!;
  return means.map((sum) => sum / positions);
}

function upload({ shapes }: Net, weights: readonly Float32Array[]): tf.Tensor[] {
  return shapes.map(({ shape }, i) => tf.tensor(weights[i]!, [...shape]));
}

function named({ shapes }: Net, arrays: readonly Float32Array[]): ParamSet {
  return shapes.map(({ name, shape }, i) => ({ name, shape, data: arrays[i]! }));
}

/** Copies: training goes on in the arrays themselves. */
function stateAfter(net: Net, weights: readonly Float32Array[], moments: Moments): TrainState {
  const tensors = stateTensors(named(net, weights), moments);
  return { step: moments.step, tensors: tensors.map((tensor) => ({ ...tensor, data: new Float32Array(tensor.data) })) };
}

function momentsAt({ step, tensors }: TrainState, weights: ParamSet, hyper: HyperParameters): Moments {
  const found = new Map(tensors.map(({ name, data }) => [name, data]));
  const kept = momentsOf(hyper);
  const of = (moment: Moment): Float32Array[] =>
    kept.includes(moment) ? weights.map(({ name }) => new Float32Array(found.get(`${moment}/${name}`)!)) : [];
  return { step, mean: of('mean'), square: of('square'), velocity: of('velocity') };
}

function isFinite(data: Float32Array): boolean {
  return data.every(Number.isFinite);
}

/** @param step  from 0 */
function diverged(at: {
  readonly what: string;
  readonly step: number;
  readonly steps: number;
  readonly rate: number;
  readonly lossLimit: number;
}): NmktError {
  const { what, step, steps, rate, lossLimit } = at;
  return new NmktError('diverged', `${what} at step ${step + 1} of ${steps}, at learning rate ${shortest(rate)}`, {
    remedy: `--learning-rate ${shortest(rate / 10)}, or look for extreme values in the dataset`,
    expected: lossLimit === Number.MAX_VALUE ? 'finite numbers' : `a loss of at most ${shortest(lossLimit)}`,
    got: what,
  });
}

function shortest(value: number): string {
  return String(Number(value.toPrecision(4)));
}
