import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sequentialSpec } from '../../src/learning/layers-model-spec.js';
import { initialParams } from '../../src/learning/params.js';
import { prng } from '../../src/learning/prng.js';
import { sequentialShapes } from '../../src/learning/sequential.js';
import type { CnnSpec, DataSchema, ModelSpec, ParamSet } from '../../src/learning/types.js';
import { modelSpec } from '../../src/protocol/model.js';
import { readLayersFile, readLayersWeights } from '../../src/training/layers-file.js';
import { writeModelFiles } from '../../src/training/model-files.js';
import { netOf } from '../../src/training/net.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { seed, sequential } from './engine-data.js';

/** TensorFlow.js itself is the oracle: models that it made are read here, and ours there. */

let dir: string;
beforeAll(() => tf.setBackend('cpu'));
beforeEach(() => {
  dir = temporaryFolder();
});

const schema: DataSchema = {
  ...{ task: 'classification', shape: [9, 8, 2], inputs: 144, dtype: 'U8', scale: 255, outputs: 4 },
};
const pictures = (rows: number): Float32Array => {
  const random = prng(seed(3), 'pictures');
  return Float32Array.from({ length: rows * 144 }, () => random.normal());
};

/** Convolution, pooling of both kinds, an activation of its own, and a softmax at the end. */
function theirs(): layers.Sequential {
  const { conv2d, maxPooling2d, averagePooling2d, flatten, dense, activation } = layers.layers;
  const random = (at: number) => layers.initializers.randomNormal({ seed: at, stddev: 0.3 });
  return layers.sequential({
    layers: [
      conv2d({
        ...{ inputShape: [9, 8, 2], filters: 3, kernelSize: [3, 2], padding: 'same', activation: 'relu' },
        ...{ kernelInitializer: random(1), biasInitializer: random(2) },
      }),
      maxPooling2d({ poolSize: 2, padding: 'same' }),
      conv2d({ filters: 5, kernelSize: 2, strides: [2, 1], useBias: false, kernelInitializer: random(3) }),
      averagePooling2d({ poolSize: [2, 2], strides: [1, 1] }),
      activation({ activation: 'linear' }),
      flatten(),
      dense({ units: 7, useBias: false, activation: 'relu', kernelInitializer: random(4) }),
      dense({ units: 4, activation: 'softmax', kernelInitializer: random(5), biasInitializer: random(6) }),
    ],
  });
}

/** As `model.save('file://…')` writes it where a Node.js binding is there. */
async function saved(model: layers.Sequential): Promise<string> {
  await model.save(
    tf.io.withSaveHandler((made) => {
      const bytes = Buffer.from(made.weightData as ArrayBuffer);
      writeFileSync(join(dir, 'first.bin'), bytes.subarray(0, 100));
      writeFileSync(join(dir, 'second.bin'), bytes.subarray(100));
      const weightsManifest = [{ paths: ['first.bin', 'second.bin'], weights: made.weightSpecs }];
      writeFileSync(join(dir, 'model.json'), JSON.stringify({ modelTopology: made.modelTopology, weightsManifest }));
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } });
    }),
  );
  return join(dir, 'model.json');
}

/** What was written into `dir`, by stock TensorFlow.js. */
function loaded(written: unknown): Promise<layers.LayersModel> {
  const { modelTopology, weightsManifest } = written as {
    readonly modelTopology: object;
    readonly weightsManifest: readonly { readonly weights: never[] }[];
  };
  const weightData = Uint8Array.from(readFileSync(join(dir, 'weights.bin'))).buffer;
  const weightSpecs = weightsManifest[0]!.weights;
  return layers.loadLayersModel({ load: () => Promise.resolve({ modelTopology, weightSpecs, weightData }) });
}

function ours(spec: ModelSpec, weights: ParamSet, features: Float32Array, rows: number): Float32Array {
  return tf.tidy(() => {
    const tensors = weights.map(({ shape, data }) => tf.tensor(data, [...shape]));
    return tf.softmax(netOf(spec).forward(tensors, features, rows)).dataSync<'float32'>();
  });
}

describe('a LayersModel', () => {
  it('made by TensorFlow.js becomes a model for the wire, and predicts with its weights as it does there', async () => {
    const model = theirs();
    const path = await saved(model);
    const file = await readLayersFile(path);
    const { spec } = sequentialSpec(file, schema);
    expect(spec).toEqual(sequential);
    expect(modelSpec.parse(spec)).toEqual(spec);
    const weights = await readLayersWeights(path, file, schema);
    const features = pictures(3);
    const wanted = (model.predict(tf.tensor(features, [3, 9, 8, 2])) as tf.Tensor).dataSync();
    ours(spec, weights!, features, 3).forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
  });

  it('of ours is one that TensorFlow.js loads, and comes back as it was', async () => {
    const weights = initialParams(sequential, seed(6));
    await writeModelFiles(dir, sequential, weights, {});
    const path = join(dir, 'model.json');
    const file = await readLayersFile(path);
    const model = await loaded(file);
    const features = pictures(2);
    const wanted = (model.predict(tf.tensor(features, [2, 9, 8, 2])) as tf.Tensor).dataSync();
    ours(sequential, weights, features, 2).forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
    expect(sequentialSpec(file, schema).spec).toEqual(sequential);
    expect(await readLayersWeights(path, file, schema)).toEqual(weights);
  });

  it('of a cnn of ours predicts the same in TensorFlow.js, and comes back as layers that do', async () => {
    const cnn: CnnSpec = {
      ...{ model: 'cnn', task: 'classification', inputs: 144, outputs: 4 },
      ...{ shape: [9, 8, 2], filters: [3, 5], hidden: [7] },
    };
    const weights = initialParams(cnn, seed(7)).map((one) => ({ ...one, data: one.data.map((x) => x + 0.01) }));
    await writeModelFiles(dir, cnn, weights, {});
    const path = join(dir, 'model.json');
    const file = await readLayersFile(path);
    const features = pictures(3);
    const wanted = ((await loaded(file)).predict(tf.tensor(features, [3, 9, 8, 2])) as tf.Tensor).dataSync();
    const { spec } = sequentialSpec(file, schema);
    const same = ours(spec, (await readLayersWeights(path, file, schema))!, features, 3);
    expect(same).toEqual(ours(cnn, weights, features, 3));
    same.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
  });

  it('has the shapes that are counted by hand', () => {
    const [images, flat] = [
      [
        [9, 8, 2],
        [9, 8, 3],
        [9, 8, 3],
        [5, 4, 3],
        [2, 3, 5],
        [1, 2, 5],
      ],
      [[10], [7], [7], [4]],
    ];
    expect(sequentialShapes(sequential)).toEqual([...images, ...flat]);
  });

  it('without weights starts from the seed', async () => {
    const { modelTopology } = (await readLayersFile(await saved(theirs()))) as { modelTopology: object };
    expect(await readLayersWeights(join(dir, 'model.json'), { modelTopology }, schema)).toBeUndefined();
  });
});

type Json = Record<string, unknown>;
const layer = (class_name: string, config: Json = {}) => ({ class_name, config });
const first = { batch_input_shape: [null, 144] };
const dense = (units: number, more: Json = {}) => layer('Dense', { name: 'd', units, ...more });
const model = (...all: unknown[]) => ({ modelTopology: { class_name: 'Sequential', config: { layers: all } } });

describe('a LayersModel that cannot be trained here as it is', () => {
  it.each<[string, unknown, RegExp, string?]>([
    ['another activation', model(dense(4, { ...first, activation: 'tanh' })), /^activation relu or linear/, 'tanh'],
    ['softmax in the middle', model(dense(4, { ...first, activation: 'softmax' }), dense(4)), /^softmax as the end/],
    ['dropout', model(layer('Dropout', { ...first, rate: 0.5 }), dense(4)), /^no Dropout/, '0.5'],
    ['batch normalisation', model(layer('BatchNormalization', first), dense(4)), /^for a training, layers/],
    ['a regularizer', model(dense(4, { ...first, kernel_regularizer: { l2: 1 } })), /^no kernel_regularizer/],
    ['frozen layers', model(dense(4, { ...first, trainable: false })), /all trainable/],
    ['a bounded relu', model(layer('ReLU', { ...first, max_value: 6 }), dense(4)), /^a ReLU without max_value/, '6'],
    [
      'groups',
      model(layer('Conv2D', { batch_input_shape: [null, 9, 8, 2], filters: 2, kernel_size: 1, groups: 2 })),
      /^groups 1/,
    ],
    ['channels first', model(layer('Flatten', { ...first, data_format: 'channels_first' }), dense(4)), /^data_format/],
    ['other inputs', model(dense(4, { batch_input_shape: [null, 143] })), /^an input of shape 9 x 8 x 2/, '143'],
    ['other outputs', model(dense(5, first)), /^layers that end in 4 outputs/],
    ['images below a dense layer', model(dense(4, { batch_input_shape: [null, 9, 8, 2] })), /^a flat input/],
    ['too wide a layer', model(dense(70_000, first), dense(4)), /^sizes to 65536/, '70000'],
    [
      'too many layers',
      model(dense(4, first), ...Array.from({ length: 64 }, () => dense(4))),
      /^at most 64 layers/,
      '65',
    ],
    ['a layer off the list', model(layer('Lambda', first), dense(4)), /^layers InputLayer/, 'Lambda'],
  ])('is refused: %s', (_, file, expected, got) => {
    try {
      sequentialSpec(file, schema);
    } catch (error) {
      expect(error).toMatchObject({ code: 'bad-job', expected: expect.stringMatching(expected) as string });
      if (got !== undefined) expect(error).toMatchObject({ got: expect.stringContaining(got) as string });
      return;
    }
    expect.unreachable();
  });

  it('is refused for text, whose inputs are tokens', () => {
    const text: DataSchema = { ...schema, shape: [144], scale: 1, text: { tokenizer: 'char', characters: 'abcd' } };
    expect(() => sequentialSpec(model(dense(4, first)), text)).toThrow();
  });
});

describe('weights beside a LayersModel', () => {
  it('are not made room for where the files are smaller than they claim', async () => {
    const [wide, narrow] = [dense(65_536, { ...first, name: 'w' }), dense(16_384, { name: 'v' })];
    const weights = [
      ...[
        { name: 'w/kernel', shape: [144, 65_536] },
        { name: 'w/bias', shape: [65_536] },
      ],
      ...[
        { name: 'v/kernel', shape: [65_536, 16_384] },
        { name: 'v/bias', shape: [16_384] },
      ],
      ...[
        { name: 'd/kernel', shape: [16_384, 4] },
        { name: 'd/bias', shape: [4] },
      ],
    ].map((one) => ({ ...one, dtype: 'float32' }));
    writeFileSync(join(dir, 'w.bin'), new Uint8Array(1_000));
    const about = { ...model(wide, narrow, dense(4)), weightsManifest: [{ paths: ['w.bin'], weights }] };
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const reading = readLayersWeights(join(dir, 'model.json'), about, schema).finally(
      () => (most = process.memoryUsage().arrayBuffers),
    );
    await expect(reading).rejects.toMatchObject({ code: 'bad-job', got: '1000' });
    expect(most - before).toBeLessThan(2 ** 24);
  });

  const spec = { name: 'd/kernel', dtype: 'float32', shape: [144, 4] };
  const bias = { name: 'd/bias', dtype: 'float32', shape: [4] };
  const file = (weights: unknown, paths: unknown = ['w.bin']) => ({
    ...model(dense(4, first)),
    weightsManifest: [{ paths, weights }],
  });
  const read = (about: unknown, bytes = 4 * (144 * 4 + 4)) => {
    writeFileSync(join(dir, 'w.bin'), new Uint8Array(bytes));
    return readLayersWeights(join(dir, 'model.json'), about, schema);
  };

  it('are found by their names, in any order, whatever stands before', async () => {
    for (const weights of [
      [spec, bias],
      [bias, { ...spec, name: 'sequential/d/kernel' }],
    ])
      expect((await read(file(weights)))!.map(({ name }) => name)).toEqual(['layer_0/bias', 'layer_0/kernel']);
  });

  it.each<[string, unknown, string, number?]>([
    ['a missing one', file([spec]), 'shape-mismatch', 4 * 144 * 4],
    ['another shape', file([{ ...spec, shape: [4, 144] }, bias]), 'shape-mismatch'],
    ['more than the layers have', file([spec, bias, { ...bias, name: 'e' }]), 'bad-job'],
    ['a size that no memory holds', file([{ ...spec, shape: [2 ** 24, 2 ** 24, 2 ** 24] }]), 'bad-job'],
    ['other numbers', file([{ ...spec, dtype: 'int32' }, bias]), 'bad-job'],
    ['quantized ones', file([{ ...spec, quantization: { dtype: 'uint8' } }, bias]), 'bad-job'],
    ['a short file', file([spec, bias]), 'bad-job', 100],
    ['a long file', file([spec, bias]), 'bad-job', 3_000],
    ['a file elsewhere', file([spec, bias], ['../w.bin']), 'bad-job'],
    ['no file', file([spec, bias], ['v.bin']), 'bad-usage'],
    ['a folder', file([spec, bias], ['.']), 'bad-usage'],
    ['no list', file('all'), 'bad-job'],
  ])('are refused: %s', async (_, about, code, bytes) => {
    await expect(read(about, bytes)).rejects.toMatchObject({ code });
  });
});
