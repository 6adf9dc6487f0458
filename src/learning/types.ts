import type { Branded } from '../hash.js';

/** `float32` only; names unique; canonical order is by UTF-8 bytes of the name. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
/** Sorted by name. */
export type ParamSet = readonly Tensor[];

/** rung / module hash / tfjs version / CPU class, e.g. `wasm/3f2a9c10/4.22.0/x64`. Equal ids promise equal bytes (wasm, cpu). */
export type EngineId = Branded<string, 'EngineId'>;
export type Rung = 'node' | 'webgpu' | 'wasm' | 'cpu';

/** `multilabel`: each output is a question of its own, yes or no. */
export type Task = 'classification' | 'regression' | 'multilabel';

/** Of `multilabel`: the answers of an example are the bits of one int32. */
export const MAX_LABELS = 30;

/** What every architecture says. Only these are known: nothing that is read is ever executed. */
interface AnyModel {
  readonly task: Task;
  /** Features per example after flattening, >= 1; of `gpt` and `lstm` the tokens of its context. */
  readonly inputs: number;
  /** Classes (>= 2) for classification, 1 for regression, labels (2 to 30) for multilabel; of `gpt` and `lstm` the size of the vocabulary. */
  readonly outputs: number;
}

/** `logreg`: one dense layer. `mlp`: dense + relu for each hidden width, then dense. */
export interface DenseSpec extends AnyModel {
  readonly model: 'logreg' | 'mlp';
  /** Widths of hidden layers; empty for logreg. */
  readonly hidden: readonly number[];
}

/** After LeNet-5: for each number of filters a 5 x 5 convolution of stride 1 that keeps the size, relu, 2 x 2 max pooling; then as `mlp`. */
export interface CnnSpec extends AnyModel {
  readonly model: 'cnn';
  /** [height, width, channels]; the product is `inputs`. */
  readonly shape: readonly number[];
  readonly filters: readonly number[];
  readonly hidden: readonly number[];
}

/**
 * Decoder-only transformer after GPT-2: learned positions, normalised before attention and feed-forward (gelu, 4 x width), and
 * before the head, which is the token embedding. It predicts the next token at each place of its context.
 */
export interface GptSpec extends AnyModel {
  readonly model: 'gpt';
  readonly layers: number;
  /** Divides `width`. */
  readonly heads: number;
  readonly width: number;
}

/**
 * Token embedding, `layers` long short-term memories (Hochreiter and Schmidhuber 1997, with the forget gate) one on the other, and a
 * dense head at each place: it predicts the next token there. Each starts from a state of zeros at the first token.
 */
export interface LstmSpec extends AnyModel {
  readonly model: 'lstm';
  readonly layers: number;
  /** Of the embedding and of each state. */
  readonly width: number;
}

export type Pair = readonly [high: number, wide: number];
/** As TensorFlow.js and Keras mean them, images as [height, width, channels]. `same`: padded with zeros to ceil(size / stride). */
export type Layer =
  | { readonly kind: 'dense'; readonly units: number; readonly bias: boolean }
  | {
      readonly kind: 'conv';
      readonly filters: number;
      readonly kernel: Pair;
      readonly strides: Pair;
      readonly padding: 'same' | 'valid';
      readonly bias: boolean;
    }
  | {
      readonly kind: 'max-pool' | 'average-pool';
      readonly size: Pair;
      readonly strides: Pair;
      readonly padding: 'same' | 'valid';
    }
  | { readonly kind: 'flatten' | 'relu' };

/** Layers of somebody's choice, one after the other; the last gives the logits or the value. */
export interface SequentialSpec extends AnyModel {
  readonly model: 'sequential';
  /** Of one example, 1 to 3 sizes whose product is `inputs`. */
  readonly shape: readonly number[];
  readonly stack: readonly Layer[];
}

export type ModelSpec = DenseSpec | CnnSpec | GptSpec | LstmSpec | SequentialSpec;
export type ModelName = ModelSpec['model'];

/** Published jobs use 0.001 to 1; learning rate x this from 2 on makes a step overshoot the base. */
export const MAX_PROXIMAL = 1_000;

export interface HyperParameters {
  readonly optimizer: 'sgd' | 'momentum' | 'adam' | 'adamw';
  readonly learningRate: number;
  /** Exactly with `momentum`: the share of the velocity that is kept, in (0, 1). */
  readonly momentum?: number;
  /** Exactly with `adamw`: weights shrink by learning rate x this per step. */
  readonly weightDecay?: number;
  /** Gradients longer than this, all tensors as one vector, are shortened to it. */
  readonly clipNorm?: number;
  /** FedProx: how hard each step is pulled back to what the training began with (mu), above 0, at most `MAX_PROXIMAL`. */
  readonly proximal?: number;
  /** Steps of each training over which the learning rate rises to its value. */
  readonly warmupSteps?: number;
  /** `cosine`: from there down towards 0 at the end of each training. */
  readonly decay?: 'cosine';
  readonly batch: number;
  /** Exactly one of the two is set. */
  readonly epochs?: number;
  readonly localSteps?: number;
}

/** A training after `step` steps: weights and the moments of the optimizer; sorted by name (see train-state). */
export interface TrainState {
  readonly step: number;
  readonly tensors: ParamSet;
}

/**
 * Examples in memory. Features row-major [rows, inputs]: Uint8Array (value / `scale` is the input) or Float32Array (scale 1).
 * Labels: Int32Array of class indices (classification), of label sets whose bit i is label i (multilabel), or Float32Array (regression).
 */
export interface Examples {
  readonly rows: number;
  readonly inputs: number;
  readonly features: Uint8Array | Float32Array;
  readonly scale: number;
  readonly labels: Int32Array | Float32Array;
}

/** Decimal string with exactly nine digits after the point, e.g. `-0.125000000`; no minus on zero, no leading zeros. */
export type Decimal9 = string;

/** A number, standardised to (x - mean) / stdDev; a missing cell counts as `fill`. `stdDev` > 0. */
export interface NumericColumn {
  readonly name: string;
  readonly kind: 'numeric';
  readonly mean: Decimal9;
  readonly stdDev: Decimal9;
  readonly fill: Decimal9;
}

/** One input per value, 1 where the cell equals it (one-hot); an unknown value is all zeros. `''` stands for missing, if it was seen. */
export interface CategoricalColumn {
  readonly name: string;
  readonly kind: 'categorical';
  readonly values: readonly string[];
}

export type Column = NumericColumn | CategoricalColumn;

/**
 * How text becomes tokens. `char`: each character by its place in `characters` (code points, ascending, none twice). `byte`: the bytes
 * of its UTF-8. `bpe`: these bytes, joined by `merges` (see bpe.ts).
 */
export type TextCode =
  | { readonly tokenizer: 'char'; readonly characters: string }
  | { readonly tokenizer: 'byte' }
  | { readonly tokenizer: 'bpe'; readonly merges: string };

/** How the raw data become inputs and labels: part of the manifest, so that prediction applies the same. */
export interface DataSchema {
  readonly task: Task;
  /** Shape of one example, e.g. [28, 28] or [13]; its product is `inputs`. */
  readonly shape: readonly number[];
  readonly inputs: number;
  /** How features are stored: bytes, of which value / scale is the input, or the inputs themselves (scale 1). */
  readonly dtype: 'U8' | 'F32';
  /** Integer >= 1; 255 for image bytes. */
  readonly scale: number;
  /** Classes for classification, 1 for regression, labels for multilabel. */
  readonly outputs: number;
  /** Name of the label column (tables only). */
  readonly label?: string;
  /** Class names by label index (classification), or names of the label columns (multilabel), `outputs` of them. */
  readonly classes?: readonly string[];
  /** Labels are (y - mean) / stdDev (regression). */
  readonly target?: { readonly name: string; readonly mean: Decimal9; readonly stdDev: Decimal9 };
  /** Tables only, in the order of the inputs they become. */
  readonly columns?: readonly Column[];
  /** Text only: an example is `inputs` tokens (scale 1), its label the token that follows; `outputs` is the vocabulary. */
  readonly text?: TextCode;
}
