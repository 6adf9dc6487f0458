import { z } from 'zod';
import { sequentialShapes } from '../learning/sequential.js';
import { MAX_LABELS, MAX_PROXIMAL, type HyperParameters, type ModelSpec } from '../learning/types.js';
import { int, positiveDecimal } from './scalars.js';

const common = {
  task: z.enum(['classification', 'regression', 'multilabel']),
  inputs: int(1, 1_000_000),
  outputs: int(1, 100_000),
};
const widths = z.array(int(1, 65_536)).max(16);

const dense = z
  .object({ model: z.enum(['logreg', 'mlp']), ...common, hidden: widths })
  .refine((spec) => spec.model === 'mlp' || spec.hidden.length === 0, 'logreg has no hidden layers')
  .refine((spec) => spec.model === 'logreg' || spec.hidden.length > 0, 'mlp has at least one hidden layer');

const cnn = z
  .object({
    model: z.literal('cnn'),
    ...common,
    shape: z.tuple([int(1, 65_536), int(1, 65_536), int(1, 65_536)]),
    filters: z.array(int(1, 4_096)).min(1).max(8),
    hidden: widths,
  })
  .refine(({ shape, inputs }) => shape.reduce((product, size) => product * size, 1) === inputs, 'inputs are the image')
  .refine(
    ({ shape, filters }) => Math.min(shape[0], shape[1]) >= 2 ** filters.length,
    'each convolution halves the image',
  );

const gpt = z
  .object({
    model: z.literal('gpt'),
    ...common,
    task: z.literal('classification'),
    inputs: int(1, 65_536),
    layers: int(1, 64),
    heads: int(1, 256),
    width: int(1, 16_384),
  })
  .refine(({ width, heads }) => width % heads === 0, 'heads divide the width');

const lstm = z.object({
  model: z.literal('lstm'),
  ...common,
  task: z.literal('classification'),
  inputs: int(1, 65_536),
  layers: int(1, 64),
  width: int(1, 16_384),
});

const pair = z.tuple([int(1, 65_536), int(1, 65_536)]);
const padding = z.enum(['same', 'valid']);
const layer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('dense'), units: int(1, 65_536), bias: z.boolean() }),
  z.object({
    ...{ kind: z.literal('conv'), filters: int(1, 4_096), kernel: pair, strides: pair, padding, bias: z.boolean() },
  }),
  z.object({ kind: z.enum(['max-pool', 'average-pool']), size: pair, strides: pair, padding }),
  z.object({ kind: z.enum(['flatten', 'relu']) }),
]);

const sequential = z
  .object({
    model: z.literal('sequential'),
    ...common,
    shape: z.array(int(1, 1_000_000)).min(1).max(3),
    stack: z.array(layer).min(1).max(64),
  })
  .refine(
    (spec) => typeof sequentialShapes(spec) !== 'string',
    'each layer fits the one below it, the last the outputs',
  );

/** An architecture from the allow-list; nothing from the wire is ever executed. */
export const modelSpec: z.ZodType<ModelSpec> = z
  .discriminatedUnion('model', [dense, cnn, gpt, lstm, sequential])
  .refine((spec) => (spec.task === 'regression' ? spec.outputs === 1 : spec.outputs >= 2), 'outputs fit the task')
  .refine((spec) => spec.task !== 'multilabel' || spec.outputs <= MAX_LABELS, `at most ${MAX_LABELS} labels`);

export const positive = z.codec(positiveDecimal, z.number(), { decode: Number, encode: (value) => decimalText(value) });

/** Shortest plain decimal string of a number, at most 12 decimals. */
export function decimalText(value: number): string {
  const fixed = value.toFixed(12).replace(/\.?0+$/, '');
  return fixed === '' || fixed === '-' || fixed === '-0' ? '0' : fixed;
}

/** Without fields unknown here, unlike the rest: who left one out would train otherwise than agreed, and be called a fraud. */
export const hyperParameters: z.ZodType<HyperParameters> = z
  .strictObject({
    optimizer: z.enum(['adam', 'sgd', 'momentum', 'adamw']),
    learningRate: positive,
    momentum: positive.optional(),
    weightDecay: positive.optional(),
    clipNorm: positive.optional(),
    proximal: positive.optional(),
    warmupSteps: int(1, 1_000_000).optional(),
    decay: z.literal('cosine').optional(),
    batch: int(1, 65_536),
    epochs: int(1, 1_000).optional(),
    localSteps: int(1, 1_000_000).optional(),
  })
  .refine(
    (hyper) => (hyper.epochs === undefined) !== (hyper.localSteps === undefined),
    'exactly one of epochs and localSteps',
  )
  .refine(({ optimizer, momentum }) => (optimizer === 'momentum' ? momentum! < 1 : momentum === undefined), {
    message: 'momentum below 1, exactly with the optimizer momentum',
  })
  .refine(({ optimizer, weightDecay }) => (optimizer === 'adamw') === (weightDecay !== undefined), {
    message: 'weightDecay exactly with the optimizer adamw',
  })
  .refine(({ proximal = 1 }) => proximal <= MAX_PROXIMAL, `proximal at most ${MAX_PROXIMAL}`);
