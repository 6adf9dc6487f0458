import { readsTokens } from './model-cost.js';
import type { CnnSpec, DataSchema, GptSpec, LstmSpec, ModelName, ModelSpec } from './types.js';

/** A model by name and size for data of a schema: what `--model` and `--size` mean. */

export const MODEL_NAMES = ['logreg', 'mlp', 'cnn', 'gpt', 'lstm'] as const satisfies readonly ModelName[];
export type KnownModel = (typeof MODEL_NAMES)[number];
export const MODEL_SIZES = ['nano', 'micro', 'mini', 'small'] as const;
export type ModelSize = (typeof MODEL_SIZES)[number];

const CNN: Readonly<Record<ModelSize, Pick<CnnSpec, 'filters' | 'hidden'>>> = {
  // LeNet-5 (LeCun et al. 1998) but for the padding.
  nano: { filters: [6, 16], hidden: [120, 84] },
  micro: { filters: [16, 32], hidden: [128] },
  mini: { filters: [32, 64], hidden: [256] },
  small: { filters: [32, 64, 128], hidden: [256] },
};
/** The first three as in minGPT, https://github.com/karpathy/minGPT; small is the character model of nanoGPT. */
const GPT: Readonly<Record<ModelSize, Pick<GptSpec, 'layers' | 'heads' | 'width'>>> = {
  nano: { layers: 3, heads: 3, width: 48 },
  micro: { layers: 4, heads: 4, width: 128 },
  mini: { layers: 6, heads: 6, width: 192 },
  small: { layers: 6, heads: 6, width: 384 },
};

const LSTM: Readonly<Record<ModelSize, Pick<LstmSpec, 'layers' | 'width'>>> = {
  nano: { layers: 1, width: 64 },
  micro: { layers: 1, width: 128 },
  mini: { layers: 2, width: 256 },
  small: { layers: 2, width: 512 },
};

export interface ModelWish {
  /** Absent: what suits the data. */
  readonly model?: KnownModel | undefined;
  /** Of cnn, gpt and lstm; nano when absent. */
  readonly size?: ModelSize | undefined;
  /** Of mlp. */
  readonly hidden: readonly number[];
}

/** Text -> gpt; images in which two poolings leave something -> cnn; tables -> mlp. */
export function modelFor(schema: DataSchema): KnownModel {
  if (schema.text !== undefined) return 'gpt';
  const image = imageShape(schema);
  return image !== undefined && Math.min(image[0]!, image[1]!) >= 4 ? 'cnn' : 'mlp';
}

/** [height, width, channels]; undefined for what is no image. */
export function imageShape({ shape, dtype, text }: DataSchema): readonly number[] | undefined {
  if (dtype !== 'U8' || text !== undefined || shape.length < 2 || shape.length > 3) return undefined;
  return shape.length === 2 ? [...shape, 1] : shape;
}

/** @returns the spec, or what the data lack for it */
export function chooseModel(wish: ModelWish, schema: DataSchema): ModelSpec | string {
  const { task, inputs, outputs } = schema;
  const model = wish.model ?? modelFor(schema);
  const base = { task, inputs, outputs };
  const size = wish.size ?? 'nano';
  switch (model) {
    case 'logreg':
      return { model, ...base, hidden: [] };
    case 'mlp':
      return wish.hidden.length === 0 ? 'at least one hidden layer' : { model, ...base, hidden: wish.hidden };
    case 'cnn': {
      const shape = imageShape(schema);
      if (shape === undefined) return 'images';
      const { filters } = CNN[size];
      const least = 2 ** filters.length;
      if (Math.min(shape[0]!, shape[1]!) < least) return `images of at least ${least} x ${least}`;
      return { model, ...base, shape, ...CNN[size] };
    }
    case 'gpt':
      return schema.text === undefined ? 'text' : { model, ...base, ...GPT[size] };
    case 'lstm':
      return schema.text === undefined ? 'text' : { model, ...base, ...LSTM[size] };
  }
}

/** A model looks at images and tokens as the data are, and answers what they ask. */
export function fitsData(spec: ModelSpec, schema: DataSchema): boolean {
  if (spec.inputs !== schema.inputs || spec.outputs !== schema.outputs) return false;
  if (spec.model === 'sequential') return suitsShape(spec.shape, schema);
  if (spec.model === 'cnn') return imageShape(schema)?.join() === spec.shape.join();
  return !readsTokens(spec) || schema.text !== undefined;
}

/** A flat input takes what is no text; another one has the shape of the data, where grey images may have one channel. */
export function suitsShape(shape: readonly number[], schema: DataSchema): boolean {
  if (schema.text !== undefined) return false;
  const fitting = [[schema.inputs], schema.shape, imageShape(schema) ?? schema.shape];
  return fitting.some((one) => one.join() === shape.join());
}
