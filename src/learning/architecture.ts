import { plainLayer, sequentialTensors } from './sequential.js';
import type { NamedShape } from './safetensors.js';
import type { CnnSpec, DenseSpec, GptSpec, LstmSpec, ModelSpec } from './types.js';

/** Which tensors a model consists of, and what each starts from. */

export interface Parameter extends NamedShape {
  /** Constants, or uniform in [-limit, limit). */
  readonly start: 'zeros' | 'ones' | { readonly limit: number };
}

export const CONVOLUTION = 5;
export const POOL = 2;
/** Width of the feed-forward layer of a transformer in widths of the model. */
export const FEED_FORWARD = 4;

/** In order of names. */
export function architecture(spec: ModelSpec): readonly Parameter[] {
  return [...tensors(spec)].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Its own fields in a fixed order: equal models are equal text. */
export function plainSpec(spec: ModelSpec): ModelSpec {
  const { model, task, inputs, outputs } = spec;
  switch (model) {
    case 'logreg':
    case 'mlp':
      return { model, task, inputs, outputs, hidden: spec.hidden };
    case 'cnn':
      return { model, task, inputs, outputs, shape: spec.shape, filters: spec.filters, hidden: spec.hidden };
    case 'gpt':
      return { model, task, inputs, outputs, layers: spec.layers, heads: spec.heads, width: spec.width };
    case 'lstm':
      return { model, task, inputs, outputs, layers: spec.layers, width: spec.width };
    case 'sequential':
      return { model, task, inputs, outputs, shape: spec.shape, stack: spec.stack.map(plainLayer) };
  }
}

function tensors(spec: ModelSpec): readonly Parameter[] {
  switch (spec.model) {
    case 'logreg':
    case 'mlp':
      return dense(denseWidths(spec));
    case 'cnn':
      return [...convolutions(spec), ...dense(denseWidths(spec))];
    case 'gpt':
      return gpt(spec);
    case 'lstm':
      return lstm(spec);
    case 'sequential':
      return sequentialTensors(spec, glorot);
  }
}

/** Widths from the inputs of the first dense layer to the outputs of the last: one more than there are dense layers. */
export function denseWidths(spec: DenseSpec | CnnSpec): readonly number[] {
  const first =
    spec.model === 'cnn'
      ? mapSizes(spec)
          .at(-1)!
          .reduce((product, size) => product * size, 1)
      : spec.inputs;
  return [first, ...spec.hidden, spec.outputs];
}

/** [height, width, channels] of the images, then of what each convolution and its pooling make of them. */
export function mapSizes({ shape, filters }: CnnSpec): readonly (readonly number[])[] {
  const sizes: (readonly number[])[] = [shape];
  for (const channels of filters) {
    const [height, width] = sizes.at(-1)!;
    sizes.push([Math.floor(height! / POOL), Math.floor(width! / POOL), channels]);
  }
  return sizes;
}

/** Glorot uniform (Glorot & Bengio 2010): limit sqrt(6 / (in + out)), where a filter counts each place of its window. */
const glorot = (inputs: number, outputs: number): Parameter['start'] => ({ limit: Math.sqrt(6 / (inputs + outputs)) });

/** `dense_0/bias` [out], `dense_0/kernel` [in, out], `dense_1/bias`, ... The last layer gives the logits or the value. */
function dense(widths: readonly number[]): readonly Parameter[] {
  return widths.slice(1).flatMap((out, layer) => [
    { name: `dense_${layer}/bias`, shape: [out], start: 'zeros' as const },
    { name: `dense_${layer}/kernel`, shape: [widths[layer]!, out], start: glorot(widths[layer]!, out) },
  ]);
}

/** `conv_0/bias` [out], `conv_0/kernel` [5, 5, in, out], ... */
function convolutions(spec: CnnSpec): readonly Parameter[] {
  const channels = [spec.shape[2]!, ...spec.filters];
  const places = CONVOLUTION * CONVOLUTION;
  return spec.filters.flatMap((out, layer) => {
    const shape = [CONVOLUTION, CONVOLUTION, channels[layer]!, out];
    return [
      { name: `conv_${layer}/bias`, shape: [out], start: 'zeros' as const },
      { name: `conv_${layer}/kernel`, shape, start: glorot(places * channels[layer]!, places * out) },
    ];
  });
}

/**
 * Standard deviation 0.02 everywhere, divided by sqrt(2 x layers) where a block adds to the stream (Radford et al. 2019, 2.3), from a
 * uniform distribution; gains 1, biases 0.
 */
function gpt({ inputs, outputs, layers, width }: GptSpec): readonly Parameter[] {
  const spread = (stdDev: number): Parameter['start'] => ({ limit: stdDev * Math.sqrt(3) });
  const [wide, residual] = [spread(0.02), spread(0.02 / Math.sqrt(2 * layers))];
  const norm = (name: string): readonly Parameter[] => [
    { name: `${name}/bias`, shape: [width], start: 'zeros' },
    { name: `${name}/gain`, shape: [width], start: 'ones' },
  ];
  const linear = (name: string, from: number, to: number, start: Parameter['start']): readonly Parameter[] => [
    { name: `${name}/bias`, shape: [to], start: 'zeros' },
    { name: `${name}/kernel`, shape: [from, to], start },
  ];
  const blocks = Array.from({ length: layers }, (_, layer) => [
    ...norm(`block_${layer}/norm_0`),
    ...linear(`block_${layer}/attend`, width, 3 * width, wide),
    ...linear(`block_${layer}/gather`, width, width, residual),
    ...norm(`block_${layer}/norm_1`),
    ...linear(`block_${layer}/up`, width, FEED_FORWARD * width, wide),
    ...linear(`block_${layer}/down`, FEED_FORWARD * width, width, residual),
  ]);
  return [
    { name: 'tokens', shape: [outputs, width], start: wide },
    { name: 'positions', shape: [inputs, width], start: wide },
    ...blocks.flat(),
    ...norm('norm'),
  ];
}

/** `lstm_0/bias` [4 width], `lstm_0/kernel` and `lstm_0/recurrent` [width, 4 width]: input, forget, candidate and output gate side by side. */
function lstm({ outputs, layers, width }: LstmSpec): readonly Parameter[] {
  const gates = 4 * width;
  const levels = Array.from({ length: layers }, (_, layer) => [
    { name: `lstm_${layer}/bias`, shape: [gates], start: 'zeros' as const },
    { name: `lstm_${layer}/kernel`, shape: [width, gates], start: glorot(width, gates) },
    { name: `lstm_${layer}/recurrent`, shape: [width, gates], start: glorot(width, gates) },
  ]);
  return [
    { name: 'tokens', shape: [outputs, width], start: { limit: 0.05 } },
    ...levels.flat(),
    { name: 'head/bias', shape: [outputs], start: 'zeros' },
    { name: 'head/kernel', shape: [width, outputs], start: glorot(width, outputs) },
  ];
}
