import { architecture, CONVOLUTION, denseWidths, FEED_FORWARD, mapSizes } from './architecture.js';
import { sequentialCost } from './sequential.js';
import type { CnnSpec, GptSpec, LstmSpec, ModelSpec } from './types.js';

/** What a model takes, worked out from its description alone: nothing is built for it. */
export interface ModelCost {
  readonly parameters: number;
  /** Numbers that one example leaves on its way to the outputs, and that its gradients need again. */
  readonly activations: number;
  /** Additions and multiplications of products per example, forwards only; a training step takes three times as many. */
  readonly flops: number;
}

/** Weights, gradients, two moments, the tensor on the heap, the packed copy of the kernel, and the copies in transit. */
const COPIES_OF_WEIGHTS = 8;
/** Values, gradients, and what products and derivatives put beside them. */
const COPIES_OF_ACTIVATIONS = 4;

/** What a call holds beside its data. @param rows  at once: the batch of a training */
export function modelBytes({ parameters, activations }: Omit<ModelCost, 'flops'>, rows: number): number {
  return 4 * COPIES_OF_WEIGHTS * parameters + 4 * COPIES_OF_ACTIVATIONS * rows * activations;
}

export function modelCost(spec: ModelSpec): ModelCost {
  const parameters = architecture(spec).reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  switch (spec.model) {
    case 'logreg':
    case 'mlp':
      return { parameters, activations: sum(denseWidths(spec)), flops: 2 * parameters };
    case 'cnn':
      return { parameters, ...cnnCost(spec) };
    case 'gpt':
      return { parameters, ...gptCost(spec) };
    case 'lstm':
      return { parameters, ...lstmCost(spec) };
    case 'sequential':
      return { parameters, ...sequentialCost(spec) };
  }
}

/**
 * Memory of one call on a model, at most: data, weights, optimizer state and activations.
 *
 * @param batch      examples at once
 * @param dataBytes  of all examples, labels included
 */
export function callBytes(
  spec: ModelSpec,
  { batch, rows, dataBytes }: { readonly batch: number; readonly rows: number; readonly dataBytes: number },
): number {
  return 2 * dataBytes + modelBytes(modelCost(spec), batch) + 4 * rows * spec.outputs;
}

/** What most of the work is: dense layers, convolutions, or sequences. */
export type ModelKind = 'dense' | 'images' | 'text';

export function kindOf(spec: ModelSpec): ModelKind {
  if (readsTokens(spec)) return 'text';
  const isOfImages =
    spec.model === 'cnn' || (spec.model === 'sequential' && spec.stack.some(({ kind }) => kind === 'conv'));
  return isOfImages ? 'images' : 'dense';
}

/** Models whose inputs are numbers of tokens, and that answer at each. */
export function readsTokens({ model }: Pick<ModelSpec, 'model'>): boolean {
  return model === 'gpt' || model === 'lstm';
}

/** Answers per example: of `gpt` and `lstm` one for each token of its context. */
export function positions(spec: ModelSpec): number {
  return readsTokens(spec) ? spec.inputs : 1;
}

/** Sums, relu, pooling; and a convolution unfolds its windows block by block, in memory of its own. */
function cnnCost(spec: CnnSpec): Omit<ModelCost, 'parameters'> {
  const sizes = mapSizes(spec);
  const widths = denseWidths(spec);
  let activations = spec.inputs + 2 * sum(widths);
  let flops = 2 * products(widths);
  for (const [layer, channels] of spec.filters.entries()) {
    const [height, width, below] = sizes[layer] as [number, number, number];
    activations += height * width * channels * 3;
    flops += 2 * height * width * channels * below * CONVOLUTION * CONVOLUTION;
  }
  return { activations, flops };
}

/** Per token a block keeps about 30 widths (norms, products, gelu in its parts) and three scores per head and token. */
function gptCost({ inputs, outputs, layers, heads, width }: GptSpec): Omit<ModelCost, 'parameters'> {
  const perToken = layers * ((14 + 8 * FEED_FORWARD) * width + 4 * heads * inputs) + 6 * width + 4 * outputs;
  const block = 2 * (3 + 1 + 2 * FEED_FORWARD) * width * width + 2 * 2 * inputs * width;
  return { activations: inputs * perToken, flops: inputs * (layers * block + 2 * width * outputs) };
}

/** Per token a layer keeps its sums three times, its gates and both states. */
function lstmCost({ inputs, outputs, layers, width }: LstmSpec): Omit<ModelCost, 'parameters'> {
  const perToken = (18 * layers + 2) * width + 4 * outputs;
  return { activations: inputs * perToken, flops: inputs * (layers * 16 * width * width + 2 * width * outputs) };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const products = (widths: readonly number[]): number =>
  widths.slice(1).reduce((total, width, i) => total + width * widths[i]!, 0);
