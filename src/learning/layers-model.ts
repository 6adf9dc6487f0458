import { NmktError } from '../errors.js';
import type { ModelCost, ModelKind } from './model-cost.js';

/**
 * A Sequential model as TensorFlow.js and Keras describe it (https://www.tensorflow.org/js/guide/save_load), layer by layer from its
 * text alone. Only layers of this list are known; nothing that a file holds is ever executed or built.
 */

/** [height, width, channels], or [features]. */
type Shape = readonly number[];
interface Measured {
  readonly shape: Shape;
  readonly parameters: number;
  readonly flops: number;
}
export type Config = Readonly<Record<string, unknown>>;

const LAYERS: Readonly<Record<string, (config: Config, shape: Shape) => Measured>> = {
  InputLayer: (_, shape) => ({ shape, parameters: 0, flops: 0 }),
  Flatten: (_, shape) => ({ shape: [volume(shape)], parameters: 0, flops: 0 }),
  Dropout: (_, shape) => ({ shape, parameters: 0, flops: 0 }),
  Activation: (_, shape) => ({ shape, parameters: 0, flops: 0 }),
  ReLU: (_, shape) => ({ shape, parameters: 0, flops: 0 }),
  BatchNormalization: (_, shape) => ({ shape, parameters: 4 * shape.at(-1)!, flops: 2 * volume(shape) }),
  Dense(config, shape) {
    const units = size(config['units'], 'units');
    const [below, places] = [shape.at(-1)!, volume(shape.slice(0, -1))];
    const parameters = below * units + bias(config, units);
    return { shape: [...shape.slice(0, -1), units], parameters, flops: 2 * places * below * units };
  },
  Conv2D(config, shape) {
    const filters = size(config['filters'], 'filters');
    const [high, wide] = pair(config['kernel_size'], 'kernel_size', 1);
    const [height, width, channels] = image(shape, config);
    const rows = after(height, high, pair(config['strides'], 'strides', 1)[0], config);
    const columns = after(width, wide, pair(config['strides'], 'strides', 1)[1], config);
    if (pair(config['dilation_rate'], 'dilation_rate', 1).some((rate) => rate !== 1))
      throw bad('dilation_rate 1', config['dilation_rate']);
    const window = high * wide * channels;
    return {
      shape: [rows, columns, filters],
      parameters: window * filters + bias(config, filters),
      flops: 2 * rows * columns * window * filters,
    };
  },
  MaxPooling2D: pooling,
  AveragePooling2D: pooling,
};

const MAX_LAYERS = 256;
const MAX_SIZE = 2 ** 24;
/** Doubles count exactly far beyond it. */
const MAX_NUMBERS = 2 ** 40;

/** @throws NmktError `bad-job` for another layer, a size that is none, or more than 2^40 parameters, numbers or operations */
export function readLayersModel(file: unknown): {
  readonly name: string;
  readonly kind: ModelKind;
  readonly cost: ModelCost;
  /** Of one example. */
  readonly shape: Shape;
} {
  const layers = layersOf(file);
  const input = inputShape(layers[0]);
  let shape = input;
  const cost = { parameters: 0, activations: volume(shape), flops: 0 };
  for (const layer of layers) {
    const name = part(layer, 'class_name');
    if (typeof name !== 'string' || !Object.hasOwn(LAYERS, name))
      throw bad(`layers ${Object.keys(LAYERS).join(', ')}`, name);
    const measured = LAYERS[name]!((part(layer, 'config') ?? {}) as Config, shape);
    shape = measured.shape;
    cost.parameters += measured.parameters;
    cost.flops += measured.flops;
    cost.activations += 2 * volume(shape); // sums, and what the activation makes of them
    const most = Math.max(cost.parameters, cost.activations, cost.flops);
    if (!(most <= MAX_NUMBERS)) throw bad(`at most ${MAX_NUMBERS} parameters, activations and operations`, most);
  }
  const isOfImages = layers.some((layer) => part(layer, 'class_name') === 'Conv2D');
  return { name: `Sequential, ${layers.length} layers`, kind: isOfImages ? 'images' : 'dense', cost, shape: input };
}

/** @throws NmktError `bad-job` for what is no Sequential model of 1 to 256 layers */
export function layersOf(file: unknown): readonly unknown[] {
  const topology = part(file, 'modelTopology');
  const model = part(topology, 'model_config') ?? topology;
  const kind = part(model, 'class_name');
  const inside = part(model, 'config');
  const layers: unknown = Array.isArray(inside) ? inside : part(inside, 'layers');
  if (kind !== 'Sequential' || !Array.isArray(layers)) throw bad('a Sequential model with a list of layers', kind);
  if (layers.length < 1 || layers.length > MAX_LAYERS) throw bad(`1 to ${MAX_LAYERS} layers`, layers.length);
  return layers;
}

function inputShape(first: unknown): Shape {
  const config = part(first, 'config');
  const shape = part(config, 'batch_input_shape') ?? part(config, 'batch_shape');
  if (!Array.isArray(shape) || shape.length < 2 || shape.length > 4)
    throw bad('a first layer with batch_input_shape [null, ...]', shape);
  return shape.slice(1).map((one) => size(one, 'batch_input_shape'));
}

function pooling(config: Config, shape: Shape): Measured {
  const window = pair(config['pool_size'], 'pool_size', 2);
  const strides = config['strides'] == null ? window : pair(config['strides'], 'strides', 2);
  const [height, width, channels] = image(shape, config);
  const rows = after(height, window[0], strides[0], config);
  const columns = after(width, window[1], strides[1], config);
  return { shape: [rows, columns, channels], parameters: 0, flops: 0 };
}

function image(shape: Shape, config: Config): readonly [number, number, number] {
  if (shape.length !== 3) throw bad('an image [height, width, channels] below a convolution or pooling', shape);
  if ((config['data_format'] ?? 'channels_last') !== 'channels_last')
    throw bad('data_format channels_last', config['data_format']);
  return shape as unknown as readonly [number, number, number];
}

function after(length: number, window: number, stride: number, { padding = 'valid' }: Config): number {
  if (padding !== 'valid' && padding !== 'same') throw bad('padding valid or same', padding);
  const left = padding === 'same' ? Math.ceil(length / stride) : Math.floor((length - window) / stride) + 1;
  if (left < 1) throw bad(`a window of at most ${length}`, window);
  return left;
}

export function pair(value: unknown, what: string, fallback: number): readonly [number, number] {
  const [first, second] = Array.isArray(value) ? (value as unknown[]) : [value ?? fallback, value ?? fallback];
  return [size(first, what), size(second ?? first, what)];
}

const bias = (config: Config, width: number): number => (config['use_bias'] === false ? 0 : width);
const volume = (shape: Shape): number => shape.reduce((product, one) => product * one, 1);

export function size(value: unknown, what: string): number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_SIZE) return value as number;
  throw bad(`${what} from 1 to ${MAX_SIZE}`, value);
}

export function part(value: unknown, name: string): unknown {
  const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return isThere ? (value as Config)[name] : undefined;
}

export function bad(expected: string, got: unknown): NmktError {
  const isPlain = ['string', 'number', 'boolean'].includes(typeof got);
  const shown = isPlain ? String(got).slice(0, 40) : got == null ? 'nothing' : 'a list or an object';
  return new NmktError('bad-job', 'the LayersModel is not usable', {
    expected,
    got: shown,
    remedy: 'export a Sequential model of known layers from TensorFlow.js or Keras',
  });
}
