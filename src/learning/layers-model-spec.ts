import { bad, layersOf, pair, part, readLayersModel, size, type Config } from './layers-model.js';
import { suitsShape } from './model-choice.js';
import { sequentialShapes } from './sequential.js';
import type { DataSchema, Layer, SequentialSpec, Task } from './types.js';

/** A Sequential model of TensorFlow.js or Keras as a `sequential` one of ours, where it says the same. */

export interface GivenModel {
  readonly spec: SequentialSpec;
  /** What the file calls each layer of the stack. */
  readonly names: readonly string[];
}

/** Layers, of which the last may be a softmax or sigmoids: ours end before them. */
type Converted = Layer | 'softmax' | 'sigmoid';
const ENDS: Readonly<Record<Task, string | undefined>> = {
  classification: 'softmax',
  multilabel: 'sigmoid',
  regression: undefined,
};

const CONVERT: Readonly<Record<string, (config: Config) => readonly Converted[]>> = {
  InputLayer: () => [],
  Flatten: () => [{ kind: 'flatten' }],
  Activation: (config) => activation(config['activation']),
  ReLU(config) {
    for (const name of ['max_value', 'negative_slope', 'threshold'])
      if (config[name] != null && config[name] !== 0) throw bad(`a ReLU without ${name}`, config[name]);
    return [{ kind: 'relu' }];
  },
  Dense: (config) => [
    { kind: 'dense', units: size(config['units'], 'units'), bias: config['use_bias'] !== false },
    ...activation(config['activation']),
  ],
  Conv2D(config) {
    if ((config['groups'] ?? 1) !== 1) throw bad('groups 1', config['groups']);
    const [kernel, strides] = [pair(config['kernel_size'], 'kernel_size', 1), pair(config['strides'], 'strides', 1)];
    const bias = config['use_bias'] !== false;
    const filters = size(config['filters'], 'filters');
    return [
      { kind: 'conv', filters, kernel, strides, padding: padding(config), bias },
      ...activation(config['activation']),
    ];
  },
  MaxPooling2D: (config) => [pooling('max-pool', config)],
  AveragePooling2D: (config) => [pooling('average-pool', config)],
  Dropout(config) {
    if (config['rate'] !== 0) throw bad('no Dropout: the training here draws nothing', config['rate']);
    return [];
  },
};

/** Of a layer, as far as docs/protocol.md lets a job have them. */
const MAX_LAYERS = 64;
const MAX_FILTERS = 4_096;
const MAX_SIZE = 65_536;

/** Would change the training, which is that of the job alone. */
const REFUSED = [
  ...['kernel_regularizer', 'bias_regularizer', 'activity_regularizer'],
  ...['kernel_constraint', 'bias_constraint'],
];

/**
 * Initializers are not read: weights start as those of every model here do, or from the file's.
 *
 * @throws NmktError `bad-job` for what cannot be trained here as it is, or does not fit the data
 */
export function sequentialSpec(file: unknown, schema: DataSchema): GivenModel {
  const { shape } = readLayersModel(file);
  const stack: Layer[] = [];
  const names: string[] = [];
  const layers = layersOf(file);
  layers.forEach((layer, i) => {
    const config = (part(layer, 'config') ?? {}) as Config;
    const name = part(config, 'name');
    for (const one of REFUSED) if (config[one] != null) throw bad(`no ${one}`, config[one]);
    if (config['trainable'] === false) throw bad('layers that are all trainable', `${String(name)}: trainable false`);
    if ((config['data_format'] ?? 'channels_last') !== 'channels_last')
      throw bad('data_format channels_last', config['data_format']);
    const convert = CONVERT[part(layer, 'class_name') as string];
    if (convert === undefined)
      throw bad(`for a training, layers ${Object.keys(CONVERT).join(', ')}`, part(layer, 'class_name'));
    for (const made of convert(config)) {
      if (made === 'softmax' || made === 'sigmoid') {
        if (i < layers.length - 1 || ENDS[schema.task] !== made)
          throw bad('softmax as the end of a classification, sigmoid of several labels', made);
        continue;
      }
      stack.push(bounded(made));
      if (stack.length > MAX_LAYERS) throw bad(`at most ${MAX_LAYERS} layers, activations counted`, stack.length);
      names.push(typeof name === 'string' ? name : '');
    }
  });
  if (!suitsShape(shape, schema))
    throw bad(
      `an input of shape ${schema.text === undefined ? schema.shape.join(' x ') : 'tokens, which gpt and lstm have'}`,
      shape.join(' x '),
    );
  const { task, inputs, outputs } = schema;
  const spec: SequentialSpec = { model: 'sequential', task, inputs, outputs, shape, stack };
  const fault = sequentialShapes(spec);
  if (typeof fault === 'string') throw bad(fault, stack.map(({ kind }) => kind).join(' '));
  return { spec, names };
}

function bounded(layer: Layer): Layer {
  const sizes = [
    ...('units' in layer ? [layer.units] : []),
    ...('kernel' in layer ? layer.kernel : []),
    ...('size' in layer ? layer.size : []),
    ...('strides' in layer ? layer.strides : []),
  ];
  if (Math.max(0, ...sizes) > MAX_SIZE) throw bad(`sizes to ${MAX_SIZE}`, Math.max(...sizes));
  if ('filters' in layer && layer.filters > MAX_FILTERS) throw bad(`at most ${MAX_FILTERS} filters`, layer.filters);
  return layer;
}

function activation(value: unknown): readonly Converted[] {
  if (value === undefined || value === null || value === 'linear') return [];
  if (value === 'relu') return [{ kind: 'relu' }];
  if (value === 'softmax' || value === 'sigmoid') return [value];
  throw bad('activation relu or linear, and softmax or sigmoid at the end', value);
}

function pooling(kind: 'max-pool' | 'average-pool', config: Config): Layer {
  const window = pair(config['pool_size'], 'pool_size', 2);
  const strides = config['strides'] == null ? window : pair(config['strides'], 'strides', 2);
  return { kind, size: window, strides, padding: padding(config) };
}

/** Read before with its sizes. */
function padding({ padding: given = 'valid' }: Config): 'same' | 'valid' {
  return given === 'same' ? 'same' : 'valid';
}
