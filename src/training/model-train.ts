import { NmktError } from '../errors.js';
import { parameterShapes } from '../learning/params.js';
import { stepCount, weightsOf } from '../learning/train-state.js';
import type { HyperParameters, ModelSpec, ParamSet, TrainState } from '../learning/types.js';
import type { Evaluation, TrainRequest, TrainResult } from '../ports.js';
import { batchesForever, rowsOf } from './model-batches.js';
import { batchLoss, softmaxRows } from './model-loss.js';
import { forward, gradients, layersOf, type Layer } from './model-net.js';
import { freshMoments, makeOptimizer, type Moments } from './model-optimizer.js';
import { EVALUATION_ROWS } from './model-schedule.js';
import { layerWidths } from './model-spec.js';

/**
 * Counted into the engine id: raise it whenever the same request gives other bytes than before (order of examples,
 * loss, optimizer, products), so that nobody is accused over a change of ours.
 */
export const TRAINING_REVISION = 1;

export type OnStep = (done: number, total: number, loss: number) => void;

/**
 * Mini-batch training on the current tfjs backend; the request was checked before. Waits only for the backend: on wasm and cpu
 * it runs to the end without a turn of the event loop.
 *
 * @returns    losses are means over the first and the last batch, before their updates; `wallMs` is 0, the caller measures
 * @throws     NmktError `training-failed` at the first loss or weight that is not finite
 */
export async function train(
  request: TrainRequest,
  onStep: OnStep,
  onState: (state: TrainState) => void,
): Promise<TrainResult> {
  const { model, examples, hyper, from, stateEvery = Infinity } = request;
  const widths = layerWidths(model);
  const layers = layersOf(widths, from === undefined ? request.weights : weightsOf(from, model));
  const flat = layers.flatMap((layer) => [layer.kernel, layer.bias]);
  const sizes = flat.map((data) => data.length);
  const moments = from === undefined ? freshMoments(hyper, sizes) : momentsOf(from, widths, hyper);
  const optimize = makeOptimizer(hyper, moments);
  const steps = stepCount(hyper, examples.rows);
  const end = Math.min(steps, request.toStep ?? steps);
  const batches = batchesForever(examples, hyper.batch, request.seed, moments.step);
  let lossFirst = 0;
  let lossLast = 0;
  for (let step = moments.step; step < end; step++) {
    const batch = batches.next().value;
    const found = await gradients(layers, batch, (outputs) =>
      batchLoss(model.task, outputs, batch.labels, model.outputs),
    );
    lossLast = found.loss.sum / batch.rows;
    if (step === moments.step) lossFirst = lossLast;
    if (!Number.isFinite(lossLast)) throw diverged(`the loss is ${lossLast} at step ${step + 1} of ${steps}`);
    optimize(flat, found.gradients);
    onStep(step + 1, steps, lossLast);
    const done = step + 1;
    if (done < steps && (done === end || done % stateEvery === 0))
      onState({ step: done, tensors: stateTensors(model, layers, moments) });
  }
  if (!flat.every(isFinite)) throw diverged('a weight is not finite after the last step');
  return { weights: paramsOf(model, layers), steps, lossFirst, lossLast, wallMs: 0 };
}

/** Loss added in float64 in the order of the examples; NaN and Infinity are reported, not thrown. */
export async function evaluate(
  model: ModelSpec,
  weights: ParamSet,
  examples: TrainRequest['examples'],
): Promise<Evaluation> {
  const { rows, inputs, features, scale, labels } = examples;
  const layers = layersOf(layerWidths(model), weights);
  const losses = new Float64Array(rows);
  let sum = 0;
  let hits = 0;
  for (let from = 0; from < rows; from += EVALUATION_ROWS) {
    const to = Math.min(from + EVALUATION_ROWS, rows);
    const outputs = await forward(layers, rowsOf(features, scale, inputs, from, to), to - from);
    const loss = batchLoss(model.task, outputs, labels.subarray(from, to), model.outputs, losses.subarray(from, to));
    sum += loss.sum;
    hits += loss.hits;
  }
  const loss = sum / rows;
  const measured = { loss, count: rows, losses };
  return model.task === 'classification' ? { ...measured, accuracy: hits / rows } : measured;
}

/** Probabilities [rows, classes] or values [rows, 1]; features are inputs already (scale 1) unless `scale` says otherwise. */
export async function predict(
  model: ModelSpec,
  weights: ParamSet,
  features: Uint8Array | Float32Array,
  rows: number,
  scale: number,
): Promise<Float32Array> {
  const layers = layersOf(layerWidths(model), weights);
  const out = new Float32Array(rows * model.outputs);
  for (let from = 0; from < rows; from += EVALUATION_ROWS) {
    const to = Math.min(from + EVALUATION_ROWS, rows);
    const outputs = await forward(layers, rowsOf(features, scale, model.inputs, from, to), to - from);
    out.set(model.task === 'classification' ? softmaxRows(outputs, model.outputs) : outputs, from * model.outputs);
  }
  return out;
}

function paramsOf(model: ModelSpec, layers: readonly Layer[]): ParamSet {
  return parameterShapes(model).map(({ name, shape }) => {
    const layer = layers[Number(/^dense_(\d+)/.exec(name)![1])]!;
    return { name, shape, data: name.endsWith('/kernel') ? layer.kernel : layer.bias };
  });
}

/** Copies, sorted by name: training goes on in the arrays themselves. */
function stateTensors(model: ModelSpec, layers: readonly Layer[], { mean, square }: Moments): ParamSet {
  const weights = paramsOf(model, layers);
  const moment = (prefix: string, arrays: readonly Float32Array[]): ParamSet => {
    const like = layers.map((layer, i) => ({ ...layer, kernel: arrays[2 * i]!, bias: arrays[2 * i + 1]! }));
    return paramsOf(model, like).map((tensor) => ({ ...tensor, name: `${prefix}/${tensor.name}` }));
  };
  const all = mean.length === 0 ? weights : [...weights, ...moment('mean', mean), ...moment('square', square)];
  return all.map((tensor) => ({ ...tensor, data: new Float32Array(tensor.data) }));
}

function momentsOf({ step, tensors }: TrainState, widths: readonly number[], { optimizer }: HyperParameters): Moments {
  const moment = (prefix: string): Float32Array[] => {
    if (optimizer === 'sgd') return [];
    const own = tensors.filter(({ name }) => name.startsWith(`${prefix}/`));
    const bare = own.map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length + 1) }));
    return layersOf(widths, bare).flatMap((layer) => [layer.kernel, layer.bias]);
  };
  return { step, mean: moment('mean'), square: moment('square') };
}

function isFinite(data: Float32Array): boolean {
  return data.every(Number.isFinite);
}

function diverged(message: string): NmktError {
  return new NmktError('training-failed', message, {
    remedy: 'lower the learning rate, or look for extreme values in the dataset',
    expected: 'finite numbers',
    got: 'a number that is not finite',
  });
}
