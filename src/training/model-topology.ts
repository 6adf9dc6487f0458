import type { ModelSpec, ParamSet } from '../learning/types.js';
import { concatBytes, type Bytes } from '../hash.js';
import { layerWidths } from './model-spec.js';

/**
 * The model as TensorFlow.js and Keras write it: a LayersModel file, format of tfjs-layers 4.22 and
 * https://www.tensorflow.org/js/guide/save_load. Weights are float32, little-endian, in the order of the manifest.
 */
export interface LayersModelFile {
  readonly format: 'layers-model';
  readonly generatedBy: string;
  readonly convertedBy: null;
  readonly modelTopology: object;
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
    format: 'layers-model',
    generatedBy: 'nmkt',
    convertedBy: null,
    modelTopology: {
      class_name: 'Sequential',
      config: { name: spec.model, layers: denseLayers(spec) },
      keras_version: 'tfjs-layers 4.22.0',
      backend: 'tensor_flow.js',
    },
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

/** As Keras orders them: by layer, kernel before bias. */
function inManifestOrder(weights: ParamSet): ParamSet {
  const layer = (name: string): number => Number(/\d+/.exec(name)?.[0]);
  const kind = (name: string): number => (name.endsWith('/kernel') ? 0 : 1);
  return [...weights].sort((a, b) => layer(a.name) - layer(b.name) || kind(a.name) - kind(b.name));
}

function denseLayers(spec: ModelSpec): readonly object[] {
  const widths = layerWidths(spec);
  const last = widths.length - 2;
  return widths.slice(1).map((units, layer) => ({
    class_name: 'Dense',
    config: {
      name: `dense_${layer}`,
      trainable: true,
      dtype: 'float32',
      ...(layer === 0 && { batch_input_shape: [null, spec.inputs] }),
      units,
      activation: layer < last ? 'relu' : spec.task === 'classification' ? 'softmax' : 'linear',
      use_bias: true,
      kernel_initializer: { class_name: 'GlorotUniform', config: { seed: null } },
      bias_initializer: { class_name: 'Zeros', config: {} },
      kernel_regularizer: null,
      bias_regularizer: null,
      activity_regularizer: null,
      kernel_constraint: null,
      bias_constraint: null,
    },
  }));
}
