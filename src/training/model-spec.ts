import { NmktError } from '../errors.js';
import { mapSizes } from '../learning/architecture.js';
import { modelCost } from '../learning/model-cost.js';
import { sequentialShapes } from '../learning/sequential.js';
import {
  MAX_LABELS,
  type CnnSpec,
  type DenseSpec,
  type GptSpec,
  type LstmSpec,
  type ModelSpec,
  type SequentialSpec,
} from '../learning/types.js';

/** Largest width of a layer and largest number of hidden layers: a bound before any multiplication. */
const MAX_WIDTH = 1 << 24;
const MAX_HIDDEN_LAYERS = 64;

const TASKS: ReadonlySet<string> = new Set(['classification', 'regression', 'multilabel']);

/** A product of sizes beyond it is refused before it is worked out. */
const MAX_NUMBERS = 2 ** 40;

/** @throws NmktError `bad-job` when a size is not a positive integer or the parts contradict each other */
export function checkSpec(spec: ModelSpec): void {
  const { task, inputs, outputs } = spec;
  if (!TASKS.has(task)) throw bad('classification, regression or multilabel', task);
  for (const width of [inputs, outputs]) checkWidth(width);
  if (task === 'classification' && outputs < 2) throw bad('at least 2 classes', outputs);
  if (task === 'multilabel' && !(outputs >= 2 && outputs <= MAX_LABELS))
    throw bad(`2 to ${MAX_LABELS} labels`, outputs);
  if (task === 'regression' && outputs !== 1) throw bad('1 output for regression', outputs);
  switch (spec.model) {
    case 'logreg':
    case 'mlp':
      return checkDense(spec);
    case 'cnn':
      return checkCnn(spec);
    case 'gpt':
    case 'lstm':
      return checkText(spec);
    case 'sequential':
      return checkSequential(spec);
    default:
      throw bad('model logreg, mlp, cnn, gpt, lstm or sequential', (spec as { model: unknown }).model);
  }
}

function checkDense({ model, hidden }: DenseSpec): void {
  checkWidths('hidden widths', hidden);
  if (model === 'logreg' && hidden.length > 0) throw bad('no hidden layers for logreg', hidden);
  if (model === 'mlp' && hidden.length === 0) throw bad('at least one hidden width for mlp', hidden);
}

function checkCnn(spec: CnnSpec): void {
  checkWidths('hidden widths', spec.hidden);
  checkWidths('sizes of an image', spec.shape);
  checkWidths('numbers of filters', spec.filters);
  if (spec.shape.length !== 3 || product(spec.shape) !== spec.inputs)
    throw bad(`[height, width, channels] of ${spec.inputs} inputs`, spec.shape.join(' x '));
  if (spec.filters.length === 0) throw bad('at least one convolution for cnn', spec.filters);
  const smallest = Math.min(...mapSizes(spec).at(-1)!);
  if (smallest < 1) throw bad('images that can be halved by each convolution', spec.shape.join(' x '));
  checkNumbers(spec);
}

function checkText(spec: GptSpec | LstmSpec): void {
  if (spec.task !== 'classification') throw bad(`classification of the next token for ${spec.model}`, spec.task);
  for (const size of [spec.layers, spec.width]) checkWidth(size);
  if (spec.model === 'gpt') checkWidth(spec.heads);
  if (spec.layers > MAX_HIDDEN_LAYERS) throw bad(`at most ${MAX_HIDDEN_LAYERS} layers`, spec.layers);
  if (spec.model === 'gpt' && spec.width % spec.heads !== 0)
    throw bad(`a width that ${spec.heads} heads divide`, spec.width);
  checkNumbers(spec);
}

type Check = (value: unknown) => void;

function checkPair(value: unknown): void {
  if (!Array.isArray(value) || value.length !== 2) throw bad('[high, wide]', value);
  value.forEach(checkWidth);
}
function checkPadding(value: unknown): void {
  if (value !== 'same' && value !== 'valid') throw bad('padding same or valid', value);
}
function checkBias(value: unknown): void {
  if (typeof value !== 'boolean') throw bad('bias true or false', value);
}

const pooling = { size: checkPair, strides: checkPair, padding: checkPadding };
const FIELDS: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  ...{ relu: {}, flatten: {}, 'max-pool': pooling, 'average-pool': pooling },
  dense: { units: checkWidth, bias: checkBias },
  conv: { filters: checkWidth, kernel: checkPair, strides: checkPair, padding: checkPadding, bias: checkBias },
};

function checkSequential(spec: SequentialSpec): void {
  checkWidths('sizes of an example', spec.shape);
  if (spec.shape.length < 1 || spec.shape.length > 3) throw bad('1 to 3 sizes of an example', spec.shape);
  const { stack } = spec;
  const isList: boolean = Array.isArray(stack);
  if (!isList || stack.length < 1 || stack.length > MAX_HIDDEN_LAYERS)
    throw bad(`a list of 1 to ${MAX_HIDDEN_LAYERS} layers`, stack);
  for (const layer of stack as readonly unknown[]) {
    const of = (name: string): unknown => (layer as Readonly<Record<string, unknown>> | null)?.[name];
    const kind = of('kind');
    if (typeof kind !== 'string' || !Object.hasOwn(FIELDS, kind))
      throw bad(`layers ${Object.keys(FIELDS).join(', ')}`, kind);
    for (const [name, check] of Object.entries(FIELDS[kind]!)) check(of(name));
  }
  const shapes = sequentialShapes(spec);
  if (typeof shapes === 'string') throw bad(shapes, stack.map(({ kind }) => kind).join(' '));
  checkNumbers(spec);
}

function checkWidths(what: string, widths: readonly number[]): void {
  if (!Array.isArray(widths) || widths.length > MAX_HIDDEN_LAYERS)
    throw bad(`a list of at most ${MAX_HIDDEN_LAYERS} ${what}`, widths);
  widths.forEach(checkWidth);
}

function checkWidth(width: unknown): void {
  if (!Number.isInteger(width) || (width as number) < 1 || (width as number) > MAX_WIDTH)
    throw bad(`whole sizes from 1 to ${MAX_WIDTH}`, width);
}

/** Doubles count exactly up to here, so what is worked out from the sizes later is exact. */
function checkNumbers(spec: ModelSpec): void {
  const { parameters, activations } = modelCost(spec);
  const most = Math.max(parameters, activations);
  if (!(most <= MAX_NUMBERS)) throw bad(`at most ${MAX_NUMBERS} parameters and activations`, most);
}

const product = (sizes: readonly number[]): number => sizes.reduce((volume, size) => volume * size, 1);

function bad(expected: string, got: unknown): NmktError {
  return new NmktError('bad-job', 'the model is not usable', {
    remedy: 'correct the model in the job',
    expected,
    got: Array.isArray(got) ? `a list of ${got.length}` : typeof got === 'object' ? 'an object' : `${got as string}`,
  });
}
