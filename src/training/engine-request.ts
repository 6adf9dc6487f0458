import { NmktError, type ErrorCode } from '../errors.js';
import { labelCount } from '../learning/examples.js';
import { callBytes, modelCost, readsTokens } from '../learning/model-cost.js';
import { checkFinite, checkParams } from '../learning/params.js';
import { checkShapes } from '../learning/safetensors.js';
import { stateShapes, stepCount } from '../learning/train-state.js';
import { MAX_PROXIMAL, type HyperParameters, type ModelSpec, type ParamSet } from '../learning/types.js';
import type { TrainRequest } from '../ports.js';
import { evaluationRows } from './model-schedule.js';
import { checkSpec } from './model-spec.js';

/** What this machine is ready to spend on one call, whatever a job asks for. */
export interface EngineLimits {
  readonly maxParams: number;
  /** Memory of one call: data, weights, optimizer state and activations. */
  readonly maxBytes: number;
  /** Wall time of one call. */
  readonly maxMinutes: number;
}

/** 25 million parameters train within 1 GiB. */
export const DEFAULT_LIMITS: EngineLimits = { maxParams: 25_000_000, maxBytes: 2 ** 31, maxMinutes: 60 };

type Data = Pick<TrainRequest['examples'], 'features' | 'rows'> & { readonly labels?: Int32Array | Float32Array };

/** @throws NmktError `too-large` before anything of the size is made, else the error of the part that is wrong */
export function checkTrain(request: TrainRequest, limits: EngineLimits): void {
  checkHyper(request.hyper);
  if (request.seed.length !== 32)
    throw unusable('bad-job', 'the seed has a wrong length', '32 bytes', `${request.seed.length} bytes`);
  const batch = Math.min(request.hyper.batch, request.examples.rows);
  checkSizes(request.model, request.examples, () => batch, limits);
  checkExamples(request.model, request.examples);
  checkParams(request.weights, request.model);
  checkPart(request);
}

/** A part of a training: where it begins and ends. */
function checkPart({ model, hyper, examples, from, toStep, stateEvery }: TrainRequest): void {
  const steps = stepCount(hyper, examples.rows);
  const first = from?.step ?? 0;
  const within = (value: number, least: number) => Number.isSafeInteger(value) && value >= least && value <= steps;
  if (from !== undefined) {
    if (!within(first, 1) || first === steps)
      throw unusable('bad-job', 'the training cannot go on there', `a step from 1 to ${steps - 1}`, String(first));
    checkShapes(from.tensors, stateShapes(model, hyper));
    checkFinite(from.tensors);
  }
  if (toStep !== undefined && !within(toStep, first + 1))
    throw unusable('bad-job', 'the training cannot stop there', `a step from ${first + 1} to ${steps}`, String(toStep));
  if (stateEvery !== undefined && !(Number.isSafeInteger(stateEvery) && stateEvery >= 1))
    throw unusable('bad-job', 'states cannot be kept that often', 'a whole number of steps', String(stateEvery));
}

export function checkEvaluate(
  model: ModelSpec,
  weights: ParamSet,
  examples: TrainRequest['examples'],
  limits: EngineLimits,
): void {
  checkSizes(model, examples, evaluationRows, limits);
  checkExamples(model, examples);
  checkParams(weights, model);
}

export function checkPredict(
  model: ModelSpec,
  weights: ParamSet,
  features: Uint8Array | Float32Array,
  rows: number,
  limits: EngineLimits,
): void {
  checkSizes(model, { features, rows }, evaluationRows, limits);
  checkFeatures(model, features, rows);
  checkParams(weights, model);
}

/** @param rowsAtOnce  asked once the model is known to be sound */
function checkSizes(
  model: ModelSpec,
  data: Data,
  rowsAtOnce: (model: ModelSpec) => number,
  limits: EngineLimits,
): void {
  checkSpec(model);
  const { parameters } = modelCost(model);
  if (parameters > limits.maxParams) throw tooLarge('parameters', limits.maxParams, parameters);
  const dataBytes = data.features.byteLength + (data.labels?.byteLength ?? 0);
  const bytes = callBytes(model, { batch: rowsAtOnce(model), rows: data.rows, dataBytes });
  if (bytes > limits.maxBytes) throw tooLarge('bytes of memory', limits.maxBytes, bytes);
}

function checkFeatures(model: ModelSpec, features: Uint8Array | Float32Array, rows: number): void {
  if (!Number.isInteger(rows) || rows < 1)
    throw unusable('bad-dataset', 'there are no examples', 'at least 1 row', `${rows} rows`);
  if (features.length !== rows * model.inputs)
    throw unusable(
      'shape-mismatch',
      'the examples do not fit the model',
      `${rows} rows of ${model.inputs} features`,
      `${features.length} values`,
    );
  if (readsTokens(model)) checkTokens(model.outputs, features);
}

/** A number beyond the vocabulary would be looked up outside of the embedding. */
function checkTokens(vocabulary: number, tokens: Uint8Array | Float32Array): void {
  const at = tokens.findIndex((token) => !(Number.isInteger(token) && token >= 0 && token < vocabulary));
  if (at >= 0)
    throw unusable('bad-dataset', 'a token is not in the vocabulary', `0 to ${vocabulary - 1}`, `${tokens[at]!}`);
}

function checkExamples(model: ModelSpec, examples: TrainRequest['examples']): void {
  const { rows, inputs, features, scale, labels } = examples;
  if (inputs !== model.inputs)
    throw unusable(
      'shape-mismatch',
      'the examples do not fit the model',
      `${model.inputs} features`,
      `${inputs} features`,
    );
  checkFeatures(model, features, rows);
  const scaleFits = features instanceof Float32Array ? scale === 1 : Number.isFinite(scale) && scale > 0;
  if (!scaleFits)
    throw unusable(
      'bad-dataset',
      'the scale of the features is not usable',
      'a positive number, 1 for floats',
      `${scale}`,
    );
  if (labels.length !== rows)
    throw unusable('bad-dataset', 'the labels do not match the rows', `${rows} labels`, `${labels.length}`);
  if (labels instanceof Int32Array !== (model.task !== 'regression'))
    throw unusable(
      'bad-dataset',
      `the labels are not those of a ${model.task}`,
      'class indices or sets of labels, or values for regression',
      'the other kind',
    );
  const stray = labels.findIndex((label) =>
    labels instanceof Int32Array ? label < 0 || label >= labelCount(model) : !Number.isFinite(label),
  );
  if (stray >= 0)
    throw unusable(
      'bad-dataset',
      `the label of row ${stray} is not usable`,
      labels instanceof Int32Array ? `a class from 0 to ${labelCount(model) - 1}` : 'a finite number',
      `${labels[stray]!}`,
    );
}

function checkHyper(hyper: HyperParameters): void {
  const whole = (value: number | undefined): boolean => Number.isSafeInteger(value) && value! >= 1;
  const positive = (value: number | undefined): boolean => Number.isFinite(value) && value! > 0;
  if (!['sgd', 'momentum', 'adam', 'adamw'].includes(hyper.optimizer))
    throw unusable('bad-job', 'unknown optimizer', 'sgd, momentum, adam or adamw', String(hyper.optimizer));
  const { momentum, weightDecay, clipNorm, proximal, warmupSteps = 0, decay } = hyper;
  if (hyper.optimizer === 'momentum' ? !(positive(momentum) && momentum! < 1) : momentum !== undefined)
    throw unusable('bad-job', 'the momentum is not usable', 'above 0 and below 1, with momentum only', `${momentum}`);
  if (hyper.optimizer === 'adamw' ? !positive(weightDecay) : weightDecay !== undefined)
    throw unusable('bad-job', 'the weight decay is not usable', 'above 0, with adamw only', `${weightDecay}`);
  if (clipNorm !== undefined && !positive(clipNorm))
    throw unusable('bad-job', 'the norm to clip to is not usable', 'a finite number above 0', `${clipNorm}`);
  if (proximal !== undefined && !(positive(proximal) && proximal <= MAX_PROXIMAL))
    throw unusable('bad-job', 'the proximal term is not usable', `above 0, at most ${MAX_PROXIMAL}`, `${proximal}`);
  if (!(Number.isSafeInteger(warmupSteps) && warmupSteps >= 0))
    throw unusable('bad-job', 'the warm-up is not usable', 'a whole number of steps', `${warmupSteps}`);
  if (decay !== undefined && decay !== 'cosine')
    throw unusable('bad-job', 'unknown decay of the learning rate', 'cosine', String(decay));
  if (!(Number.isFinite(hyper.learningRate) && hyper.learningRate > 0))
    throw unusable('bad-job', 'the learning rate is not usable', 'a finite number above 0', String(hyper.learningRate));
  if (!whole(hyper.batch))
    throw unusable('bad-job', 'the batch is not usable', 'a whole number from 1', String(hyper.batch));
  if ((hyper.epochs === undefined) === (hyper.localSteps === undefined) || !whole(hyper.epochs ?? hyper.localSteps))
    throw unusable(
      'bad-job',
      'the length of training is not usable',
      'epochs or localSteps, from 1',
      `epochs ${hyper.epochs ?? 'unset'}, localSteps ${hyper.localSteps ?? 'unset'}`,
    );
}

function unusable(code: ErrorCode, message: string, expected: string, got: string): NmktError {
  const remedy = code === 'bad-job' ? 'correct the job' : 'correct the dataset or choose another model';
  return new NmktError(code, message, { remedy, expected, got });
}

function tooLarge(what: string, limit: number, got: number): NmktError {
  return new NmktError('too-large', `the call needs more ${what} than the limit`, {
    remedy: 'raise the limit if this machine can bear it, or leave the job to others',
    expected: `at most ${limit} ${what}`,
    got: `${got}`,
  });
}
