import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { jobFromFlags, readJobFile } from '../../src/commands/job-flags.js';
import { readModelOf } from '../../src/commands/model-file.js';
import { readReason } from '../../src/commands/reason.js';
import { readBounds } from '../../src/commands/trainer-bounds.js';
import { readSecretFile } from '../../src/config/secret-file.js';
import { readSettingsFile } from '../../src/config/settings-file.js';
import { nodeDisk } from '../../src/disk/node-disk.js';
import { sha256, sha256Hex, utf8 } from '../../src/hash.js';
import { openJournal } from '../../src/journal/file-journal.js';
import { decodeRecord, encodeRecord } from '../../src/journal/record-json.js';
import { decodeExamples, encodeExamples } from '../../src/learning/examples.js';
import { CODEC_PRESETS, decodeUpdate, encodeUpdate, type Codec } from '../../src/learning/codec/codec.js';
import { decodeDifference, encodeDifference } from '../../src/learning/codec/difference.js';
import { decodeCanonical, decodeParams, decodeSafetensors, encodeParams } from '../../src/learning/safetensors.js';
import { initialParams, parameterShapes } from '../../src/learning/params.js';
import { parseDecimal9, parseNumber } from '../../src/learning/schema.js';
import { pieces } from '../../src/learning/bpe.js';
import { sequentialSpec } from '../../src/learning/layers-model-spec.js';
import { bpeVocabulary, decodeTokens } from '../../src/learning/tokens.js';
import { stateShapes } from '../../src/learning/train-state.js';
import type { DataSchema, ModelSpec } from '../../src/learning/types.js';
import { parseDuration } from '../../src/roles/duration.js';
import { parseArenaFile } from '../../src/roles/arena/file.js';
import { decodeModelFile, encodeModelFile } from '../../src/roles/arena/model-file.js';
import { parseRecipes, recipeSchema } from '../../src/roles/arena/recipe.js';
import { parseAllianceFile } from '../../src/roles/alliance/file.js';
import { jobFileSchema, parseJobFile } from '../../src/roles/job-file.js';
import {
  decodePartFile,
  decodeStateFile,
  decodeUpdateFile,
  encodePartFile,
  encodeStateFile,
  encodeUpdateFile,
} from '../../src/roles/trainer-files.js';
import { readCheckpoint } from '../../src/training/checkpoint.js';
import { tableFormat, tableRows } from '../../src/training/csv.js';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { readIdx } from '../../src/training/idx.js';
import { readLayersWeights } from '../../src/training/layers-file.js';
import { readModelFiles, readModelSize, writeModelFiles } from '../../src/training/model-files.js';
import { textTokens } from '../../src/training/text-tokens.js';
import { checkSpec } from '../../src/training/model-spec.js';
import { openSandboxFolder } from '../../src/wallet/sandbox-folder.js';
import { formatWalletUri } from '../../src/wallet/wallet-uri.js';
import { fileOf } from './files.js';
import { mutateBytes, mutateJson, mutateJsonText, mutateText, nasty, type Random } from './mutate.js';
import {
  checkJobFile,
  plainOf,
  readJournal,
  readRecord,
  readSettings,
  readTable,
  readTextSlowly,
} from './reference/files.js';
import { model } from './reference/contents.js';
import { mergeSlowly, tokensSlowly } from './reference/merges.js';
import { readJson, refuse } from './reference/json.js';
import { readCanonical, readIdx as readIdxSlowly, readTensors, type Tensor } from './reference/safetensors.js';
import { readDifference } from '../support/second/differences.js';
import { readChanges } from './reference/updates.js';
import { decimal9 } from './reference/scalars.js';
import { target, type Target } from './target.js';

/** Files: models, datasets, jobs, settings, journals. */

const MIB = 1 << 20;
const spec: ModelSpec = { model: 'mlp', task: 'classification', inputs: 4, outputs: 3, hidden: [5] };
const texts = ['abcabdabe\n\u{1f989} d\u00e9ja vu, ab', '\ufeffone two', 'aaaaaaaaaaaaaab'].map((text) =>
  Buffer.from(text),
);
const shapes = parameterShapes(spec);
const params = encodeParams(initialParams(spec, sha256('seed')));
const vectors = readFileSync(new URL('../vectors/learning/core.json', import.meta.url), 'utf8');
const { file: core } = JSON.parse(vectors) as { file: string };
const schema: DataSchema = { task: 'classification', shape: [2], inputs: 2, dtype: 'U8', scale: 1, outputs: 3 };
const training = {
  model: spec,
  hyper: { optimizer: 'adam', learningRate: 0.01, batch: 4, epochs: 1 } as const,
  spot: { ratePpm: 1_000_000, everySteps: 5, engine: 'cpu/00000000/x/x64' as never },
};
const moments = stateShapes(spec, training.hyper).slice(shapes.length);
const lastState = {
  step: 5,
  tensors: [
    ...initialParams(spec, sha256('seed')),
    ...moments.map(({ name, shape }) => ({ name, shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) })),
  ],
};
const stateFile = encodeStateFile(lastState);
const tag = sha256('this training');
const partFile = encodePartFile(lastState, tag);
/** Another state under its own hash, as a home of another job might hold it. */
const withHash = (bytes: Uint8Array): Uint8Array => Buffer.concat([sha256(bytes), bytes]);
const updateFile = encodeUpdateFile(Buffer.concat([sha256('salt'), sha256('content')]), {
  bytes: params,
  checkpoints: [0, 1, 2].map((number) => sha256Hex(`${number}`)),
});

const examples = encodeExamples(
  { rows: 3, inputs: 2, features: Uint8Array.of(1, 2, 3, 4, 5, 6), scale: 1, labels: Int32Array.of(0, 1, 2) },
  schema,
);
const safetensors = [params, examples, Uint8Array.from(Buffer.from(core, 'hex'))];

/** Another header around the same data, its length right again. */
function brokenSafetensors(random: Random, from = safetensors): Uint8Array {
  const file = random.pick(from);
  if (random.below(2) === 0) return mutateBytes(random, [file]);
  const end = 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const text = Buffer.from(file.subarray(8, end)).toString();
  const header = utf8(random.below(3) === 0 ? mutateText(random, [text]) : mutateJsonText(random, JSON.parse(text)));
  const padded =
    random.below(2) === 0
      ? header
      : utf8(
          Buffer.from(header)
            .toString()
            .padEnd(Math.ceil(header.length / 8) * 8),
        );
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  return Buffer.concat([length, padded, file.subarray(end)]);
}

interface Stored {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array | Int32Array;
}
/** Name, shape and bytes: comparable with what the slow reader gives. */
const stored = (tensors: readonly Stored[]) =>
  tensors.map(({ name, shape, data }) => ({
    name,
    shape,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
const bare = (tensors: readonly Tensor[]) => tensors.map(({ name, shape, data }) => ({ name, shape, data }));

const modelFolder = dirname(fileOf(join('model', 'model.json')));
mkdirSync(modelFolder, { recursive: true });
await writeModelFiles(modelFolder, spec, initialParams(spec, sha256('seed')), {
  job: 'ab'.repeat(32),
  schema,
});
const modelJson: unknown = JSON.parse(readFileSync(join(modelFolder, 'model.json'), 'utf8'));

const kerasJson = {
  modelTopology: {
    class_name: 'Sequential',
    config: {
      layers: [
        { class_name: 'Conv2D', config: { batch_input_shape: [null, 8, 8, 1], filters: 2, kernel_size: [3, 3] } },
        { class_name: 'MaxPooling2D', config: { pool_size: [2, 2], padding: 'same' } },
        { class_name: 'Flatten', config: {} },
        { class_name: 'Dense', config: { units: 3 } },
      ],
    },
  },
};

/** Of its weights, whose bytes lie beside it. */
const kerasWeights = [
  { name: 'c/kernel', shape: [3, 3, 1, 2] },
  { name: 'c/bias', shape: [2] },
  { name: 'd/kernel', shape: [18, 3] },
].map((one) => ({ ...one, dtype: 'float32' }));
const kerasSchema: DataSchema = { ...schema, shape: [8, 8], inputs: 64, scale: 255 };
const layersFile = {
  modelTopology: {
    class_name: 'Sequential',
    config: {
      layers: [
        [
          'Conv2D',
          { name: 'c', batch_input_shape: [null, 8, 8, 1], filters: 2, kernel_size: [3, 3], activation: 'relu' },
        ],
        ['AveragePooling2D', { name: 'p', pool_size: 2, strides: [2, 2], padding: 'valid' }],
        ['Flatten', { name: 'f', data_format: 'channels_last' }],
        ['Dense', { name: 'd', units: 3, use_bias: false, activation: 'softmax', kernel_regularizer: null }],
      ].map(([class_name, config]) => ({ class_name, config })),
    },
  },
  weightsManifest: [{ paths: ['layers.bin'], weights: kerasWeights }],
};
fileOf('layers.bin', new Uint8Array(4 * (18 + 2 + 54)));

/** As the layers of a model of ours stand in its own file. */
const ownStack = {
  ...{ model: 'sequential', task: 'classification', inputs: 64, outputs: 3, shape: [8, 8, 1] },
  stack: [
    { kind: 'conv', filters: 2, kernel: [3, 3], strides: [1, 2], padding: 'same', bias: true },
    ...[{ kind: 'relu' }, { kind: 'max-pool', size: [2, 2], strides: [2, 2], padding: 'valid' }],
    ...[{ kind: 'flatten' }, { kind: 'dense', units: 3, bias: false }],
  ],
};

const tables = [
  'a,b,c,species\n1,2.5,x,one\n3,4,"y, ""z""",two\n5,,x,one\n6,7,y,two\n',
  'a;b;label\r\n1;2;0.5\r\n3;4;0.25\r\n\r\n5;6;0.125\r\n',
  'a\tb\tlabel\n1\t2\tred\n3\t4\tblue\n',
  '1,2,0\n3,4,1\n5,6,0\n',
];
const tableSchema: DataSchema = {
  ...{ task: 'classification', shape: [2], inputs: 2, dtype: 'F32', scale: 1, outputs: 2, label: 'label' },
  classes: ['red', 'blue'],
  columns: [
    { kind: 'numeric', name: 'a', mean: '2.000000000', stdDev: '1.000000000', fill: '2.000000000' },
    { kind: 'numeric', name: 'b', mean: '3.000000000', stdDev: '1.000000000', fill: '3.000000000' },
  ],
};

const idx = (shape: readonly number[], data: readonly number[]): Uint8Array =>
  Uint8Array.of(0, 0, 8, shape.length, ...shape.flatMap((size) => [0, 0, 0, size]), ...data);
const images = [idx([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]), idx([3], [0, 1, 2]), idx([2], [0, 1])];
const idxFiles = [...images, ...images.map((file) => Uint8Array.from(gzipSync(file)))];

const imageSchema: DataSchema = { ...schema, shape: [2, 2], inputs: 4, scale: 255 };

const recipes = [recipeSchema.parse({ model: 'mlp' }), recipeSchema.parse({ model: 'cnn', optimizer: 'momentum' })];
const job = { ...jobFileSchema.parse({}), dataset: 'ab'.repeat(32), trainers: 3, title: 'a job' };
const wallet = formatWalletUri({
  walletPubkey: 'cd'.repeat(32) as never,
  relays: ['ws://127.0.0.1:1'],
  secret: 'ef'.repeat(32),
});
const settings = { relays: ['wss://relay.example'], network: 'sandbox', key: 'ab'.repeat(32), engine: 'wasm', wallet };

const broken = (random: Random, sample: unknown): string =>
  random.below(4) === 0 ? mutateText(random, [JSON.stringify(sample)]) : mutateJsonText(random, sample);

const records = [
  { type: 'begin', round: 1, msat: 2n ** 70n, list: [1, 'x', null] },
  { type: 'end', msat: -5n },
];
const journal = records.map((record) => `${encodeRecord(record)}\n`).join('');

/** Zeros, so that the model is the change. */
const UPDATE_SIZE = 300;
const updateBase = [{ name: 'w', shape: [UPDATE_SIZE], data: new Float32Array(UPDATE_SIZE) }];
const codecs = {
  ...{ f16: CODEC_PRESETS.f16, int8: CODEC_PRESETS.int8, int4: CODEC_PRESETS.int4 },
  'topk, 4 bits': { name: 'topk', chunk: 128, keep: 9, bits: 4, feedback: 1 },
  'topk, 2 bits': { name: 'topk', chunk: 100, keep: 9, bits: 2, feedback: 1 },
} as const satisfies Record<string, Codec>;
const values = (random: Random): Float32Array =>
  Float32Array.from(updateBase[0]!.data, () => (random.below(3) === 0 ? random.below(2_001) / 1_000 - 1 : 0));
const ofState = (mean: Float32Array, weights: Float32Array) => [
  { ...updateBase[0]!, name: 'mean/w', data: mean },
  { ...updateBase[0]!, data: weights },
];
const updateOf = (codec: Codec, random: Random): Uint8Array =>
  encodeUpdate(codec, updateBase, [{ ...updateBase[0]!, data: values(random) }], null, new Uint8Array(32)).bytes;

const modelFile = encodeModelFile({ spec, params: initialParams(spec, sha256('seed')) });

export const fileTargets: readonly Target[] = [
  target('safetensors from anywhere', ['bad-blob', 'too-large'], {
    share: 2,
    make: brokenSafetensors,
    run: (file) => {
      const tensors = decodeSafetensors(file, { maxBytes: MIB });
      // Other types become float32: of those the shapes are compared.
      return tensors.map(({ name, shape }) => ({ name, shape }));
    },
    reference: (file) => readTensors(file).tensors.map(({ name, shape }) => ({ name, shape })),
  }),
  target('canonical safetensors', ['bad-blob', 'too-large'], {
    share: 2,
    make: brokenSafetensors,
    run: (file) => stored(decodeCanonical(file, { maxBytes: MIB })),
    reference: (file) => bare(readCanonical(file)),
  }),
  target('models', ['bad-blob', 'too-large', 'shape-mismatch'], {
    make: (random) => brokenSafetensors(random, [params]),
    run: (file) => stored(decodeParams(file, shapes)),
    reference: (file) => bare(readCanonical(file)),
  }),
  target('model files', ['bad-blob', 'too-large', 'shape-mismatch'], {
    make: (random) => mutateBytes(random, [modelFile]),
    run: (file) => void decodeModelFile(file),
  }),
  ...Object.entries(codecs).map(([name, codec]) =>
    target(`updates in ${name}`, ['bad-blob', 'too-large'], {
      share: 0.5,
      make: (random) => mutateBytes(random, [updateOf(codec, random)]),
      run: (file) => Array.from(decodeUpdate(codec, updateBase, file)[0]!.data, (value) => value + 0),
      reference: (file) => readChanges(codec, UPDATE_SIZE, file).map((value) => value + 0),
    }),
  ),
  target('differences of models', ['bad-blob'], {
    make: (random) =>
      mutateBytes(random, [encodeDifference(updateBase, [{ ...updateBase[0]!, data: values(random) }])]),
    run: (file) => [...new Uint32Array(decodeDifference(updateBase, file)[0]!.data.buffer)],
    reference: (file) => readDifference([new Array<number>(UPDATE_SIZE).fill(0)], file)[0]!,
  }),
  target('states as differences', ['bad-blob'], {
    make: (random) => mutateBytes(random, [encodeDifference(updateBase, ofState(values(random), values(random)))]),
    run: (file) => {
      const [mean, weights] = decodeDifference(updateBase, file, ofState(updateBase[0]!.data, updateBase[0]!.data));
      return [mean!, weights!].map(({ data }) => [...new Uint32Array(data.buffer)]);
    },
    reference: (file) => readDifference([UPDATE_SIZE, new Array<number>(UPDATE_SIZE).fill(0)], file),
  }),
  target('states of a training', ['bad-blob', 'too-large', 'shape-mismatch'], {
    make: (random) =>
      random.below(3) === 0
        ? mutateBytes(random, [stateFile])
        : withHash(brokenSafetensors(random, [stateFile.subarray(32)])),
    run: (file) => {
      const state = decodeStateFile(file, training, 15);
      return state === undefined ? 'damaged' : { step: state.step, tensors: stored(state.tensors) };
    },
    reference: (file) => {
      const [hash, bytes] = [Buffer.from(file.subarray(0, 32)), Buffer.from(file.subarray(32))];
      if (!hash.equals(createHash('sha256').update(bytes).digest())) return 'damaged';
      return { step: 15, tensors: bare(readCanonical(bytes)) };
    },
  }),
  target('the last state of a training that nobody checks', ['bad-blob', 'too-large', 'shape-mismatch'], {
    share: 0.5,
    make: (random) => {
      if (random.below(3) === 0) return mutateBytes(random, [partFile]);
      const rest = Buffer.concat([Buffer.of(0, 0, 0, 7), brokenSafetensors(random, [stateFile.subarray(32)])]);
      return Buffer.concat([sha256(tag, rest), rest]);
    },
    run: (file) => {
      const state = decodePartFile(file, training, tag);
      return state === undefined ? 'damaged' : { step: state.step, tensors: stored(state.tensors) };
    },
    reference: (file) => {
      const [hash, rest] = [Buffer.from(file.subarray(0, 32)), Buffer.from(file.subarray(32))];
      if (!hash.equals(createHash('sha256').update(tag).update(rest).digest())) return 'damaged';
      return { step: rest.readUInt32BE(0), tensors: bare(readCanonical(rest.subarray(4))) };
    },
  }),
  target('checkpoints of a training without a market', ['bad-blob', 'too-large', 'shape-mismatch'], {
    share: 0.3,
    make: (random) => {
      const bytes =
        random.below(3) === 0 ? brokenSafetensors(random, [stateFile.subarray(32)]) : stateFile.subarray(32);
      const index = { version: 1, request: 'this one', engine: 'cpu', step: 5, sha256: sha256Hex(bytes), wallMs: 12 };
      return { bytes, index: random.below(3) === 0 ? JSON.stringify(index) : mutateJsonText(random, index) };
    },
    run: async ({ bytes, index }) => {
      const dir = dirname(fileOf(join('checkpoint', 'checkpoint.json'), index));
      fileOf(join('checkpoint', 'checkpoint-5.safetensors'), bytes);
      const found = await readCheckpoint(nodeDisk, dir, 'this one', training);
      return found === undefined ? 'none' : { step: found.state.step, tensors: stored(found.state.tensors) };
    },
    reference: ({ bytes, index }) => {
      const none = { anyOf: ['none'] };
      try {
        const { version, request, engine, step, sha256: hash, wallMs } = JSON.parse(index) as Record<string, unknown>;
        if (version !== 1 || request !== 'this one' || typeof engine !== 'string' || step !== 5) return none;
        if (!Number.isFinite(wallMs) || Number(wallMs) < 0) return none;
        if (hash !== createHash('sha256').update(bytes).digest('hex')) return none;
      } catch {
        return none;
      }
      return { step: 5, tensors: bare(readCanonical(bytes)) };
    },
  }),
  target('updates that a trainer committed to', [], {
    make: (random) => {
      const file = mutateBytes(random, [updateFile, updateFile.subarray(0, 200)]);
      // The number of hashes: the field that everything after it hangs on.
      if (file.length >= 68 && random.below(2) === 0)
        new DataView(file.buffer, file.byteOffset).setUint32(
          64,
          random.pick([0, 1, 3, 4, 127, 128, 2 ** 31, 2 ** 32 - 1]),
        );
      return file;
    },
    run: (file) => decodeUpdateFile(file) ?? 'damaged',
    reference: (file) => {
      const text = Buffer.from(file).toString('hex');
      const count = Number(`0x${text.slice(128, 136)}`);
      const end = 136 + 64 * count;
      if (text.length < 136 || count > 127 || end > text.length) return 'damaged';
      const hashes = text.slice(136, end).match(/.{64}/g) ?? [];
      const [salt, secret] = [text.slice(0, 64), text.slice(64, 128)];
      return { salt, secret, checkpoints: hashes, bytes: text.slice(end) };
    },
  }),
  target('shards', ['bad-blob', 'too-large', 'shape-mismatch'], {
    make: (random) => brokenSafetensors(random, [examples]),
    run: (file) => {
      const { rows, features, labels } = decodeExamples(file, schema, { maxBytes: MIB });
      return stored([
        { name: 'features', shape: [rows, 2], data: features },
        { name: 'labels', shape: [rows], data: labels },
      ]);
    },
    reference: (file) => {
      const [features, labels, ...more] = readCanonical(file);
      if (features?.dtype !== 'U8' || labels?.dtype !== 'I32' || more.length > 0) return refuse('no shard');
      for (let i = 0; i < labels.data.length; i += 4) {
        const label = labels.data.readInt32LE(i);
        if (label < 0 || label > 2) return refuse('no class');
      }
      return bare([features, labels]);
    },
  }),
  target('rows of tables', ['bad-dataset'], {
    share: 0.6,
    make: (random) => Buffer.from(mutateText(random, tables)),
    run: async (file) => {
      const path = fileOf('rows.csv', file);
      const format = await tableFormat(path, false);
      const rows: (readonly string[])[] = [];
      for await (const { cells } of tableRows(path, format)) rows.push(cells);
      return rows;
    },
    reference: (file) => {
      const styles = [',', ';', '\t'].flatMap((delimiter) =>
        ['\n', '\r\n', '\r'].map((end) => [delimiter, end] as const),
      );
      const readings = styles.map(([delimiter, end]) => {
        try {
          return readTable(file, delimiter, end);
        } catch {
          return 'refused';
        }
      });
      return { anyOf: readings };
    },
  }),
  target('tables', ['bad-dataset', 'too-large', 'bad-usage', 'label-missing'], {
    share: 0.3,
    make: (random) => ({
      path: mutateText(random, tables),
      options: {
        label: random.pick(['label', 'label', 'species', 'species', '2', '0']),
        ...random.pick([{}, { task: 'regression' as const }, { task: 'multilabel' as const, label: '0,1' }]),
      },
    }),
    run: async ({ path, options }) => {
      await readDataset(fileOf('table.csv', path), { ...options, maxBytes: MIB });
    },
  }),
  target('tables for a model', ['bad-dataset', 'too-large', 'bad-usage', 'label-missing'], {
    share: 0.3,
    make: (random) => mutateText(random, tables),
    run: async (text) => {
      await readWithSchema(fileOf('rows.csv', text), tableSchema, { labelsOptional: true, maxBytes: MIB });
    },
  }),
  target('texts', ['bad-dataset', 'too-large'], {
    share: 0.4,
    make: (random) => ({ file: mutateBytes(random, texts), isBytes: random.below(3) === 0 }),
    run: async ({ file, isBytes }) => {
      const options = { context: 4, maxBytes: MIB, ...(isBytes && { tokenizer: 'byte' as const }) };
      const { examples, schema: found } = await readDataset(fileOf('story.txt', file), options);
      const again = await readWithSchema(fileOf('story.txt'), found, { maxBytes: MIB });
      if (sha256Hex(again.examples.features as Uint8Array) !== sha256Hex(examples.features as Uint8Array))
        throw new Error('read otherwise with its own schema');
      return [examples.features, [...examples.labels], found.text];
    },
    reference: ({ file, isBytes }) => readTextSlowly(file, isBytes, 4),
  }),
  target('tokens', [], {
    share: 0.4,
    make: (random) => {
      const characters = random.pick(['ab', '\n\ud83e\udd89', '\ufeff\u{1f600}']);
      return {
        characters,
        tokens: Array.from({ length: random.below(12) }, () => random.below(4)),
        bytes: mutateBytes(random, texts),
      };
    },
    run: ({ characters, tokens, bytes }) => [
      decodeTokens({ tokenizer: 'char', characters }, tokens),
      decodeTokens({ tokenizer: 'byte' }, bytes),
    ],
    reference: ({ characters, tokens, bytes }) => {
      let text = '';
      for (const token of tokens) text += Array.from(characters)[token] ?? String.fromCharCode(0xfffd);
      return [text, Buffer.from(bytes).toString('utf8')];
    },
  }),
  target('merges', ['bad-dataset'], {
    share: 0.4,
    make: (random) => {
      const pair = () => [random.below(4) === 0 ? 255 + random.below(9) : 97 + random.below(3), 97 + random.below(2)];
      const drawn = Array.from({ length: 1 + random.below(6) }, () =>
        random.below(2) === 0 ? pair() : pair().reverse(),
      );
      const bytes = Buffer.from(drawn.flat().flatMap((token) => [token >> 8, token & 255]));
      const text = (random.below(4) === 0 ? Buffer.from(mutateBytes(random, [bytes])) : bytes).toString('base64');
      return {
        merges: random.below(6) === 0 ? mutateText(random, [text]) : text,
        words: mutateText(random, ['abcaab baa']),
      };
    },
    run: ({ merges, words }) => {
      const code = { tokenizer: 'bpe', merges } as const;
      const text = Buffer.from(words).toString(); // no half characters
      const tokens = textTokens(code, text);
      if (decodeTokens(code, tokens) !== text) throw new Error('another text comes back');
      return [bpeVocabulary(code).tokens, [...tokens]];
    },
    reference: ({ merges, words }) => {
      const tokens = tokensSlowly(merges);
      const parts = [...pieces(Buffer.from(words).toString())].flatMap((piece) => mergeSlowly(tokens, merges, piece));
      return [tokens.map((token) => Buffer.from(token, 'hex')), parts];
    },
  }),
  target('IDX', ['bad-dataset', 'too-large'], {
    share: 0.7,
    make: (random) => mutateBytes(random, idxFiles),
    run: (file) => readIdx(fileOf('images-idx3-ubyte', file), MIB),
    reference: (file) => readIdxSlowly(file[0] === 0x1f ? gunzipSync(file) : file),
  }),
  target('images with labels', ['bad-dataset', 'too-large', 'bad-usage', 'label-missing'], {
    share: 0.3,
    make: (random) =>
      [mutateBytes(random, [images[0]!]), random.below(2) === 0 ? images[2]! : mutateBytes(random, idxFiles)] as const,
    run: async ([first, second]) => {
      const [path, labels] = [fileOf('images-idx3-ubyte', first), fileOf('labels-idx1-ubyte', second)];
      const { examples: found } = await readDataset(path, { labels, maxBytes: MIB });
      return found.rows;
    },
    reference: (files) => {
      const [first, second] = files.map((file) => readIdxSlowly(file[0] === 0x1f ? gunzipSync(file) : file));
      return first!.shape[0] === second!.shape[0] ? first!.shape[0] : refuse('another number of labels');
    },
  }),
  target('images for a model', ['bad-dataset', 'too-large', 'bad-usage', 'label-missing'], {
    share: 0.3,
    make: (random) => mutateBytes(random, [images[0]!, idxFiles[3]!]),
    run: async (file) => {
      const path = fileOf(join('alone', 'images-idx3-ubyte'), file);
      const found = await readWithSchema(path, imageSchema, { labelsOptional: true, maxBytes: MIB });
      return found.examples.features;
    },
    reference: (file) => readIdxSlowly(file[0] === 0x1f ? gunzipSync(file) : file).data,
  }),
  target('jobs', ['bad-job'], {
    share: 2,
    make: (random) => mutateJson(random, job),
    run: (value) => void parseJobFile(value, 'a test'),
    reference: checkJobFile,
  }),
  target('jobs of an alliance', ['bad-job'], {
    share: 0.5,
    make: (random) => mutateJson(random, { ...parseAllianceFile({ mode: 'alliance' }, 'a test') }),
    run: (value) => void parseAllianceFile(value, 'a test'),
  }),
  target('jobs of an arena', ['bad-job'], {
    share: 0.5,
    make: (random) => mutateJson(random, { ...parseArenaFile({ mode: 'arena' }, 'a test') }),
    run: (value) => void parseArenaFile(value, 'a test'),
  }),
  target('recipes', ['bad-recipe'], {
    share: 0.5,
    make: (random) => mutateJson(random, recipes),
    run: (value) => void parseRecipes(value, 'a test'),
  }),
  target('job files', ['bad-job', 'bad-usage'], {
    share: 0.5,
    make: (random) => broken(random, job),
    run: async (text) => void jobFromFlags(await readJobFile(fileOf('job.json', text)), {}),
    reference: (text) => checkJobFile(plainOf(readJson(text))),
  }),
  target('durations', ['bad-usage'], {
    make: (random) =>
      random.below(2) === 0 ? JSON.stringify(nasty(random)) : mutateText(random, ['90s', '15m', '2h', '7d']),
    run: (text) => parseDuration(text, '--timeout'),
    reference: (text) => {
      const unit = { s: 1, m: 60, h: 3_600, d: 86_400 }[text.at(-1)!];
      const seconds = Number(unit === undefined ? text : text.slice(0, -1)) * (unit ?? 1);
      return seconds >= 1 && seconds <= 31_536_000 ? seconds : refuse('no duration');
    },
  }),
  target('settings files', ['bad-settings', 'unsafe-secret-file'], {
    share: 0.7,
    make: (random) => broken(random, settings),
    run: (text) => readSettingsFile(fileOf('settings.json', text), { secrets: 'private' }),
    reference: readSettings,
  }),
  target('files of secrets', ['bad-settings'], {
    share: 0.3,
    make: (random) => mutateText(random, [wallet, 'ab'.repeat(32), ` ${'x'.repeat(65_534)}\n`]),
    run: (text) => readSecretFile(fileOf('secret', text), '--key-file'),
    reference: (text) => (Buffer.byteLength(text) <= 65_536 ? Buffer.from(text).toString().trim() : refuse('long')),
  }),
  target(
    'model folders',
    ['hash-mismatch', 'bad-job', 'bad-blob', 'bad-settings', 'bad-usage', 'too-large', 'shape-mismatch'],
    {
      share: 0.5,
      make: (random) => broken(random, modelJson),
      run: async (text: string) => {
        fileOf(join('model', 'model.json'), text);
        await readModelFiles(modelFolder);
      },
      reference: (text: string) => void readJson(text),
    },
  ),
  target('sizes of models', ['bad-job', 'bad-settings', 'too-large'], {
    share: 0.5,
    make: (random) =>
      broken(random, random.pick([modelJson, kerasJson, { userDefinedMetadata: { nmkt: { spec: ownStack } } }])),
    run: async (text: string) => {
      const { cost } = await readModelSize(fileOf('keras.json', text));
      if (!Object.values(cost).every((count) => Number.isSafeInteger(count) && count >= 0))
        throw new TypeError('no count');
    },
    reference: (text: string) => void readJson(text),
  }),
  target('layers for a model', ['bad-job', 'bad-settings', 'bad-usage', 'bad-blob', 'too-large', 'shape-mismatch'], {
    share: 0.5,
    make: (random) => broken(random, layersFile),
    run: async (text: string) => {
      const file = await readModelOf({ ...jobFileSchema.parse({}), model: fileOf('layers.json', text) });
      const given = sequentialSpec(file!.content, kerasSchema).spec;
      checkSpec(given);
      await readLayersWeights(file!.path, file!.content, kerasSchema);
      return given;
    },
    // What is made of a file can be said on the wire.
    reference: (text: string) => {
      readJson(text);
      const { spec: made } = sequentialSpec(JSON.parse(text), kerasSchema);
      return void model(readJson(JSON.stringify(made)));
    },
  }),
  target('lists of layers', ['bad-job'], {
    make: (random) => ({ ...(mutateJson(random, ownStack) as object) }),
    run: (value) => {
      checkSpec(value as ModelSpec);
      const sizes = parameterShapes(value as ModelSpec).flatMap(({ shape }) => shape);
      if (!sizes.every((size) => Number.isSafeInteger(size) && size > 0)) throw new TypeError('no size');
    },
  }),
  target('lines of journals', ['SyntaxError', 'RangeError'], {
    make: (random) => jsonOrRecord(random),
    run: decodeRecord,
    reference: readRecord,
  }),
  target('journals', ['bad-journal'], {
    share: 0.5,
    make: (random) =>
      random.below(2) === 0
        ? mutateBytes(random, [Buffer.from(journal)])
        : Buffer.from(`${jsonOrRecord(random)}\n${journal}`),
    run: async (file) => {
      const opened = await openJournal(fileOf('journal.jsonl', file));
      const found = await opened.read();
      await opened.close();
      return found;
    },
    reference: readJournal,
  }),
  target('files of a sandbox', ['bad-settings'], {
    share: 0.3,
    make: (random) => broken(random, { relay: 7777, keys: ['ab'.repeat(32)] }),
    run: async (text) => openSandboxFolder(dirname(fileOf('sandbox.json', text))).read('sandbox.json'),
    reference: (text) => plainOf(readJson(Buffer.from(text).toString())),
  }),
  target('numbers of tables', [], {
    make: (random) => mutateText(random, ['1', '-2.5', '1e3', ' 7 ', '+.5', '0x10']),
    run: (text) => parseNumber(text) ?? null,
    reference: (text) => {
      const value = parseNumber(text);
      if (value === undefined) return null;
      // Whatever counts as a number is decimal, finite, and the number that JavaScript reads there.
      return /^[-+.0-9eE]+$/.test(text.trim()) && Number.isFinite(Number(text.trim()))
        ? Number(text.trim())
        : refuse(text);
    },
  }),
  target('decimals of schemas', ['bad-dataset'], {
    make: (random) => mutateText(random, ['1.000000000', '-0.125000000', '0.000000000', '123456.789012345']),
    run: parseDecimal9,
    reference: (text) => Number(decimal9(text)),
  }),
  target('reasons', ['bad-usage'], {
    share: 0.5,
    make: (random) => mutateText(random, ['maintenance', 'x'.repeat(500)]),
    run: readReason,
    reference: (text: string) =>
      text.length <= 500 && [...text].every((char) => char >= ' ' && char !== '\x7f') ? text : refuse('no line'),
  }),
  target('bounds of a trainer', ['bad-usage', 'bad-key'], {
    share: 0.5,
    make: (random) => ({ price: mutateText(random, ['100', '0', '21']), maxParams: mutateText(random, ['1000']) }),
    run: (options) => readBounds(options, 'sandbox').priceMsat,
    reference: ({ price }) => {
      const sats = /^\s*\+?(\d+)\s*$/.exec(price)?.[1] ?? refuse('no whole number');
      return BigInt(sats) <= 2_100_000_000_000_000n ? BigInt(sats) * 1_000n : refuse('more than all bitcoin');
    },
  }),
];

function jsonOrRecord(random: Random): string {
  const text = encodeRecord(random.pick(records));
  return random.below(4) === 0 ? mutateText(random, [text]) : mutateJsonText(random, JSON.parse(text));
}
