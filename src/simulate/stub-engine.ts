import { momentsOf, stepCount, weightsOf } from '../learning/train-state.js';
import type { EngineId, ModelSpec, ParamSet, TrainState } from '../learning/types.js';
import type { Engine, Evaluation, TrainRequest, TrainResult } from '../ports.js';
import { checkEvaluate, checkPredict, checkTrain, DEFAULT_LIMITS } from '../training/engine-request.js';
import { batchesForever, rowsOf } from '../training/model-batches.js';
import { answersOf, batchLoss } from '../training/model-loss.js';
import { NmktError } from '../errors.js';

/**
 * An engine without TensorFlow.js and without a thread, where the market is what counts: softmax or linear regression by plain
 * stochastic gradient descent (also where the request says adam) with the proximal term, sums in float64, deterministic. Only `logreg`.
 */
export function stubEngine(id = 'cpu/00000000/stub/x64'): Engine {
  let isOpen = true;
  const enter = (model: ModelSpec): void => {
    if (!isOpen) throw new NmktError('interrupted', 'the engine is closed', { remedy: 'make a new one' });
    if (model.model !== 'logreg')
      throw new NmktError('bad-job', 'the stub trains logreg only', { remedy: 'use a real engine', got: model.model });
  };
  return {
    id: id as EngineId,
    async train(request, onProgress, signal, onState) {
      checkTrain(request, DEFAULT_LIMITS);
      enter(request.model);
      if (signal?.aborted === true)
        throw new NmktError('interrupted', 'training was stopped', {
          remedy: 'run the same command again to go on',
        });
      const result = descend(request, onState);
      onProgress?.(result.steps, result.steps, result.lossLast);
      return result;
    },
    async evaluate(model, weights, examples) {
      checkEvaluate(model, weights, examples, DEFAULT_LIMITS);
      enter(model);
      return measure(model, weights, examples);
    },
    async predict(model, weights, features, rows, scale = 1) {
      checkPredict(model, weights, features, rows, DEFAULT_LIMITS);
      enter(model);
      const outputs = linear(weights, rowsOf(features, scale, model.inputs, 0, rows), rows, model);
      return answersOf(model.task, outputs, model.outputs);
    },
    async close() {
      isOpen = false;
    },
  };
}

const copied = (params: ParamSet) => params.map((tensor) => ({ ...tensor, data: new Float32Array(tensor.data) }));

/** Its states hold the weights only, as those of sgd do: where the request says adam, moments of zeros stand beside them. */
function descend(request: TrainRequest, onState: (state: TrainState) => void = () => undefined): TrainResult {
  const { model, examples, hyper, seed, from, stateEvery = Infinity } = request;
  const weights = copied(from === undefined ? request.weights : weightsOf(from, model));
  const [bias, kernel] = weights.map(({ data }) => data) as [Float32Array, Float32Array];
  const [bias0, kernel0] = request.weights.map(({ data }) => data) as [Float32Array, Float32Array];
  const { learningRate, proximal = 0 } = hyper;
  const steps = stepCount(hyper, examples.rows);
  const first = from?.step ?? 0;
  const end = Math.min(steps, request.toStep ?? steps);
  const batches = batchesForever(examples, hyper.batch, seed, first);
  const losses: number[] = [];
  for (let step = first; step < end; step++) {
    const { rows, features, labels } = batches.next().value;
    const { sum, delta } = batchLoss(model.task, linear(weights, features, rows, model), labels, model.outputs);
    losses.push(sum / rows);
    for (let out = 0; out < model.outputs; out++) {
      let slope = 0;
      for (let row = 0; row < rows; row++) slope += delta[row * model.outputs + out]!;
      if (proximal > 0) slope = Math.fround(slope + proximal * (bias[out]! - bias0[out]!));
      bias[out] = bias[out]! - learningRate * slope;
      for (let i = 0; i < model.inputs; i++) {
        let pull = 0;
        for (let row = 0; row < rows; row++)
          pull += features[row * model.inputs + i]! * delta[row * model.outputs + out]!;
        const at = i * model.outputs + out;
        if (proximal > 0) pull = Math.fround(pull + proximal * (kernel[at]! - kernel0[at]!));
        kernel[at] = kernel[at]! - learningRate * pull;
      }
    }
    const done = step + 1;
    if (done < steps && (done === end || done % stateEvery === 0))
      onState({ step: done, tensors: stateOf(weights, hyper) });
  }
  return { weights, steps, lossFirst: losses[0]!, lossLast: losses.at(-1)!, wallMs: 0 };
}

function stateOf(weights: ParamSet, { optimizer }: TrainRequest['hyper']): ParamSet {
  const zeros = (moment: string) =>
    weights.map(({ name, shape, data }) => ({ name: `${moment}/${name}`, shape, data: new Float32Array(data.length) }));
  return [...copied(weights), ...momentsOf({ optimizer }).flatMap(zeros)];
}

function measure(model: ModelSpec, weights: ParamSet, examples: TrainRequest['examples']): Evaluation {
  const { rows, features, scale, labels } = examples;
  const outputs = linear(weights, rowsOf(features, scale, model.inputs, 0, rows), rows, model);
  const losses = new Float64Array(rows);
  const { sum, hits } = batchLoss(model.task, outputs, labels, model.outputs, losses);
  const loss = sum / rows;
  const measured = { loss, count: rows, losses };
  return model.task === 'regression' ? measured : { ...measured, accuracy: hits / rows };
}

/** [rows, inputs] x [inputs, outputs] + [outputs], summed in float64. */
function linear(weights: ParamSet, features: Float32Array, rows: number, model: ModelSpec): Float32Array {
  const [bias, kernel] = weights.map(({ data }) => data) as [Float32Array, Float32Array];
  const { inputs, outputs } = model;
  const result = new Float32Array(rows * outputs);
  for (let row = 0; row < rows; row++)
    for (let out = 0; out < outputs; out++) {
      let sum = bias[out]!;
      for (let i = 0; i < inputs; i++) sum += features[row * inputs + i]! * kernel[i * outputs + out]!;
      result[row * outputs + out] = sum;
    }
  return result;
}
