import { concatBytes, type Bytes } from '../hash.js';
import { CONVOLUTION, denseWidths, POOL } from '../learning/architecture.js';
import type { CnnSpec, DenseSpec, Layer, ModelSpec, ParamSet, SequentialSpec } from '../learning/types.js';

/**
 * The model as TensorFlow.js and Keras write it: a LayersModel file, format of tfjs-layers 4.22 and
 * https://www.tensorflow.org/js/guide/save_load. Weights are float32, little-endian, in the order of the manifest.
 */
export interface LayersModelFile {
  /** A `gpt` has layers that TensorFlow.js has not, an `lstm` is written as ours: such a file says so and has no topology. */
  readonly format: 'layers-model' | 'nmkt-model';
  readonly generatedBy: string;
  readonly convertedBy: null;
  readonly modelTopology?: object;
  readonly weightsManifest: readonly {
    readonly paths: readonly string[];
    readonly weights: readonly {
      readonly name: string;
      readonly shape: readonly number[];
      readonly dtype: 'float32';
    }[];
  }[];
}

/** `weightsPath` is relative to the folder of model.json. */
export function layersModel(spec: ModelSpec, weights: ParamSet, weightsPath: string): LayersModelFile {
  return {
    format: spec.model === 'gpt' || spec.model === 'lstm' ? 'nmkt-model' : 'layers-model',
    generatedBy: 'nmkt',
    convertedBy: null,
    ...(spec.model !== 'gpt' && spec.model !== 'lstm' && { modelTopology: topology(spec) }),
    weightsManifest: [
      {
        paths: [weightsPath],
        weights: inManifestOrder(weights).map(({ name, shape }) => ({ name, shape, dtype: 'float32' })),
      },
    ],
  };
}

/** The data of all tensors in the order of the manifest. */
export function manifestBytes(weights: ParamSet): Bytes {
  return concatBytes(
    ...inManifestOrder(weights).map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  );
}

function layersOf(spec: DenseSpec | CnnSpec | SequentialSpec): readonly object[] {
  if (spec.model === 'sequential') return sequentialLayers(spec);
  return spec.model === 'cnn' ? [...convolutions(spec), ...denseLayers(spec)] : denseLayers(spec);
}

function topology(spec: DenseSpec | CnnSpec | SequentialSpec): object {
  const layers = layersOf(spec);
  return {
    class_name: 'Sequential',
    config: { name: spec.model, layers },
    keras_version: 'tfjs-layers 4.22.0',
    backend: 'tensor_flow.js',
  };
}

/** As Keras orders them: by layer, kernel before bias. */
function inManifestOrder(weights: ParamSet): ParamSet {
  const layer = (name: string): number => Number(/\d+/.exec(name)?.[0]);
  const kind = (name: string): number => (name.endsWith('/kernel') ? 0 : 1);
  const block = (name: string): number => (name.startsWith('conv_') ? 0 : 1);
  if (!weights.some(({ name }) => /^(dense|layer)_/.test(name))) return weights;
  return [...weights].sort(
    (a, b) => block(a.name) - block(b.name) || layer(a.name) - layer(b.name) || kind(a.name) - kind(b.name),
  );
}

const initialised = {
  kernel_initializer: { class_name: 'GlorotUniform', config: { seed: null } },
  bias_initializer: { class_name: 'Zeros', config: {} },
  kernel_regularizer: null,
  bias_regularizer: null,
  activity_regularizer: null,
  kernel_constraint: null,
  bias_constraint: null,
};

function denseLayers(spec: DenseSpec | CnnSpec): readonly object[] {
  const widths = denseWidths(spec);
  const last = widths.length - 2;
  return widths.slice(1).map((units, layer) => ({
    class_name: 'Dense',
    config: {
      name: `dense_${layer}`,
      trainable: true,
      dtype: 'float32',
      ...(layer === 0 && spec.model !== 'cnn' && { batch_input_shape: [null, spec.inputs] }),
      units,
      activation: layer < last ? 'relu' : LAST[spec.task],
      use_bias: true,
      ...initialised,
    },
  }));
}

function convolutions({ shape, filters }: CnnSpec): readonly object[] {
  const format = { data_format: 'channels_last', trainable: true, dtype: 'float32' };
  const layers = filters.flatMap((channels, layer) => [
    {
      class_name: 'Conv2D',
      config: {
        name: `conv_${layer}`,
        ...format,
        ...(layer === 0 && { batch_input_shape: [null, ...shape] }),
        filters: channels,
        kernel_size: [CONVOLUTION, CONVOLUTION],
        strides: [1, 1],
        padding: 'same',
        dilation_rate: [1, 1],
        activation: 'relu',
        use_bias: true,
        ...initialised,
      },
    },
    {
      class_name: 'MaxPooling2D',
      config: { name: `pool_${layer}`, ...format, pool_size: [POOL, POOL], strides: [POOL, POOL], padding: 'valid' },
    },
  ]);
  return [...layers, { class_name: 'Flatten', config: { name: 'flatten', ...format } }];
}

const LAST = { classification: 'softmax', regression: 'linear', multilabel: 'sigmoid' } as const;

/** A classification ends in a softmax, labels end in sigmoids, which ours leave to the loss. */
function sequentialLayers({ shape, stack, task }: SequentialSpec): readonly object[] {
  const layers: { class_name: string; config: object }[] = stack.map((layer, i) => {
    const [class_name, config] = kerasLayer(layer);
    const first = i === 0 && { batch_input_shape: [null, ...shape] };
    return { class_name, config: { name: `layer_${i}`, trainable: true, dtype: 'float32', ...first, ...config } };
  });
  if (task !== 'regression')
    layers.push({ class_name: 'Activation', config: { name: LAST[task], activation: LAST[task] } });
  return layers;
}

function kerasLayer(layer: Layer): readonly [className: string, config: object] {
  const format = { data_format: 'channels_last' };
  switch (layer.kind) {
    case 'relu':
      return ['Activation', { activation: 'relu' }];
    case 'flatten':
      return ['Flatten', format];
    case 'dense':
      return ['Dense', { units: layer.units, activation: 'linear', use_bias: layer.bias, ...initialised }];
    case 'conv': {
      const { filters, kernel, strides, padding, bias } = layer;
      const own = { filters, kernel_size: kernel, strides, padding, dilation_rate: [1, 1], use_bias: bias };
      return ['Conv2D', { ...format, ...own, activation: 'linear', ...initialised }];
    }
    case 'max-pool':
    case 'average-pool': {
      const name = layer.kind === 'max-pool' ? 'MaxPooling2D' : 'AveragePooling2D';
      return [name, { ...format, pool_size: layer.size, strides: layer.strides, padding: layer.padding }];
    }
  }
}
