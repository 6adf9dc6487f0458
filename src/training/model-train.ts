import { NmktError } from '../errors.js';
import { parameterShapes } from '../learning/params.js';
import type { ModelSpec, ParamSet } from '../learning/types.js';
import type { Evaluation, TrainRequest, TrainResult } from '../ports.js';
import { batchesForever, rowsOf } from './model-batches.js';
import { batchLoss, softmaxRows } from './model-loss.js';
import { forward, gradients, layersOf, type Layer } from './model-net.js';
import { makeOptimizer } from './model-optimizer.js';
import { EVALUATION_ROWS, stepCount } from './model-schedule.js';
import { layerWidths } from './model-spec.js';

/**
 * Counted into the engine id: raise it whenever the same request gives other bytes than before (order of examples,
 * loss, optimizer, products), so that nobody is accused over a change of ours.
 */
export const TRAINING_REVISION = 1;

export type OnStep = (done: number, total: number, loss: number) => void;

/**
 * Mini-batch training on the current tfjs backend; the request was checked before. Runs to the end without yielding.
 *
 * @returns    losses are means over the first and the last batch, before their updates; `wallMs` is 0, the caller measures
 * @throws     NmktError `training-failed` at the first loss or weight that is not finite
 */
export function train(request: TrainRequest, onStep: OnStep): TrainResult {
  const { model, examples, hyper } = request;
  const layers = layersOf(layerWidths(model), request.weights);
  const flat = layers.flatMap((layer) => [layer.kernel, layer.bias]);
  const optimize = makeOptimizer(
    hyper,
    flat.map((data) => data.length),
  );
  const steps = stepCount(hyper, examples.rows);
  const batches = batchesForever(examples, hyper.batch, request.seed);
  let lossFirst = 0;
  let lossLast = 0;
  for (let step = 0; step < steps; step++) {
    const batch = batches.next().value;
    const found = gradients(layers, batch, (outputs) => batchLoss(model.task, outputs, batch.labels, model.outputs));
    lossLast = found.loss.sum / batch.rows;
    if (step === 0) lossFirst = lossLast;
    if (!Number.isFinite(lossLast)) throw diverged(`the loss is ${lossLast} at step ${step + 1} of ${steps}`);
    optimize(flat, found.gradients);
    onStep(step + 1, steps, lossLast);
  }
  if (!flat.every(isFinite)) throw diverged('a weight is not finite after the last step');
  return { weights: paramsOf(model, layers), steps, lossFirst, lossLast, wallMs: 0 };
}

/** Loss added in float64 in the order of the examples; NaN and Infinity are reported, not thrown. */
export function evaluate(model: ModelSpec, weights: ParamSet, examples: TrainRequest['examples']): Evaluation {
  const { rows, inputs, features, scale, labels } = examples;
  const layers = layersOf(layerWidths(model), weights);
  const losses = new Float64Array(rows);
  let sum = 0;
  let hits = 0;
  for (let from = 0; from < rows; from += EVALUATION_ROWS) {
    const to = Math.min(from + EVALUATION_ROWS, rows);
    const outputs = forward(layers, rowsOf(features, scale, inputs, from, to), to - from);
    const loss = batchLoss(model.task, outputs, labels.subarray(from, to), model.outputs, losses.subarray(from, to));
    sum += loss.sum;
    hits += loss.hits;
  }
  const loss = sum / rows;
  const measured = { loss, count: rows, losses };
  return model.task === 'classification' ? { ...measured, accuracy: hits / rows } : measured;
}

/** Probabilities [rows, classes] or values [rows, 1]; features are inputs already (scale 1) unless `scale` says otherwise. */
export function predict(
  model: ModelSpec,
  weights: ParamSet,
  features: Uint8Array | Float32Array,
  rows: number,
  scale: number,
): Float32Array {
  const layers = layersOf(layerWidths(model), weights);
  const out = new Float32Array(rows * model.outputs);
  for (let from = 0; from < rows; from += EVALUATION_ROWS) {
    const to = Math.min(from + EVALUATION_ROWS, rows);
    const outputs = forward(layers, rowsOf(features, scale, model.inputs, from, to), to - from);
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
