import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { decodeIndex, openInline, sealBlob } from '../../src/blob/blob.js';
import { pack, unpack } from '../../src/blob/pack.js';
import { jobFromFlags, readJobFile } from '../../src/commands/job-flags.js';
import { readSettingsFile } from '../../src/config/settings-file.js';
import { sha256, utf8, type EventId } from '../../src/hash.js';
import { decodeExamples, encodeExamples } from '../../src/learning/examples.js';
import { decodeCanonical, decodeParams, decodeSafetensors, encodeParams } from '../../src/learning/safetensors.js';
import { initialParams, parameterShapes } from '../../src/learning/params.js';
import type { DataSchema, ModelSpec } from '../../src/learning/types.js';
import { openDump } from '../../src/relay/dump-reader.js';
import { jobFileSchema, parseDuration, parseJobFile } from '../../src/roles/job-file.js';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { readIdx } from '../../src/training/idx.js';
import { readModelFiles, writeModelFiles } from '../../src/training/model-files.js';
import { formatWalletUri } from '../../src/wallet/wallet-uri.js';
import { note } from '../relay/samples.js';
import { mutateBytes, mutateJson, mutateJsonText, mutateText, nasty, type Random } from './mutate.js';
import { target, type Target } from './target.js';

const folder = mkdtempSync(join(tmpdir(), 'nmkt-test-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
function fileOf(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

const MIB = 1 << 20;
const spec: ModelSpec = { model: 'mlp', task: 'classification', inputs: 4, outputs: 3, hidden: [5] };
const shapes = parameterShapes(spec);
const params = encodeParams(initialParams(spec, sha256('seed')));
const vectors = readFileSync(new URL('../vectors/learning/core.json', import.meta.url), 'utf8');
const { file: core } = JSON.parse(vectors) as { file: string };
const schema: DataSchema = { task: 'classification', shape: [2], inputs: 2, dtype: 'U8', scale: 1, outputs: 3 };
const examples = encodeExamples(
  { rows: 3, inputs: 2, features: Uint8Array.of(1, 2, 3, 4, 5, 6), scale: 1, labels: Int32Array.of(0, 1, 2) },
  schema,
);
const safetensors = [params, examples, Uint8Array.from(Buffer.from(core, 'hex'))];

/** Another header around the same data, its length right again. */
function brokenSafetensors(random: Random): Uint8Array {
  const file = random.pick(safetensors);
  if (random.below(2) === 0) return mutateBytes(random, safetensors);
  const end = 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const text = Buffer.from(file.subarray(8, end)).toString();
  const header = utf8(random.below(3) === 0 ? mutateText(random, [text]) : mutateJsonText(random, JSON.parse(text)));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return Buffer.concat([length, header, file.subarray(end)]);
}

const modelFolder = join(folder, 'model');
mkdirSync(modelFolder);
await writeModelFiles(modelFolder, spec, initialParams(spec, sha256('seed')), {
  job: 'ab'.repeat(32),
  schema,
});
const modelJson: unknown = JSON.parse(readFileSync(join(modelFolder, 'model.json'), 'utf8'));

const [key, context] = [sha256('key'), sha256('context')];
const seal = (plain: Uint8Array) =>
  sealBlob(plain, {
    ...{ key, context, part: 0, uploadSecret: sha256('upload'), inline: 'allow' },
    ...{ baseTimeSec: 1_800_000_000, expirationSec: 1_900_000_000 },
  });
const small = seal(params);
const many = { ...small.pointer, chunks: 3, packed: 100_000, size: 100_000, ids: ['ab'.repeat(32) as EventId] };
const packed = [pack(params), pack(new Uint8Array(5_000)), pack(utf8('hello '.repeat(900)))];
const sizes = [0, 1, 5_000, 5_400, params.length, MIB - 1, MIB, MIB + 1, 2 ** 40];

const tables = [
  'a,b,c,species\n1,2.5,x,one\n3,4,"y, ""z""",two\n5,,x,one\n6,7,y,two\n',
  'a;b;label\n1;2;0.5\n3;4;0.25\n5;6;0.125\n',
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
const images = [idx([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]), idx([3], [0, 1, 2])];
const idxFiles = [...images, ...images.map((file) => Uint8Array.from(gzipSync(file)))];

const job = { ...jobFileSchema.parse({}), dataset: 'ab'.repeat(32), trainers: 3, title: 'a job' };
const wallet = formatWalletUri({
  walletPubkey: 'cd'.repeat(32) as never,
  relays: ['ws://127.0.0.1:1'],
  secret: 'ef'.repeat(32),
});
const settings = { relays: ['wss://relay.example'], network: 'sandbox', key: 'ab'.repeat(32), engine: 'wasm', wallet };

const broken = (random: Random, sample: unknown): string =>
  random.below(3) === 0 ? mutateText(random, [JSON.stringify(sample)]) : mutateJsonText(random, sample);
const dump = ['a', 'b'].map((name) => `${JSON.stringify(note(name))}\n`).join('');

export const fileTargets: readonly Target[] = [
  target('safetensors from anywhere', brokenSafetensors, (file) => decodeSafetensors(file, { maxBytes: MIB }), 2),
  target('canonical safetensors', brokenSafetensors, (file) => decodeCanonical(file, { maxBytes: MIB })),
  target('models', brokenSafetensors, (file) => decodeParams(file, shapes)),
  target('shards', brokenSafetensors, (file) => decodeExamples(file, schema, { maxBytes: MIB })),
  target(
    'brotli',
    (random) => ({ bytes: mutateBytes(random, packed), size: random.pick(sizes) }),
    ({ bytes, size }) => {
      const got = unpack(bytes, size, MIB).length;
      if (got !== size) throw new Error(`${got} bytes, declared were ${size}`);
    },
    2,
  ),
  target(
    'blobs inside events',
    (random) => ({
      pointer:
        random.below(2) === 0 ? small.pointer : { ...small.pointer, ...(mutateJson(random, small.pointer) as object) },
      inline: mutateText(random, [small.inline!]),
    }),
    ({ pointer, inline }) => openInline(pointer, inline, key, context, 0, MIB),
  ),
  target(
    'indexes of blobs',
    (random) => mutateBytes(random, [random.bytes(192), new Uint8Array(48_000)]),
    (bytes) => decodeIndex(bytes, many),
  ),
  target(
    'tables',
    (random) => ({
      path: fileOf('table.csv', mutateText(random, tables)),
      options: {
        label: random.pick(['label', 'label', 'species', 'species', '2', '0']),
        ...random.pick([{}, { task: 'regression' as const }]),
      },
    }),
    async ({ path, options }) => {
      await readDataset(path, { ...options, maxBytes: MIB });
    },
    0.3,
  ),
  target(
    'tables for a model',
    (random) => fileOf('rows.csv', mutateText(random, tables)),
    (path) => readWithSchema(path, tableSchema, { labelsOptional: true, maxBytes: MIB }),
    0.2,
  ),
  target(
    'IDX',
    (random) => fileOf('images-idx3-ubyte', mutateBytes(random, idxFiles)),
    (path) => readIdx(path, MIB),
    0.4,
  ),
  target(
    'images with labels',
    (random) => ({
      path: fileOf('images-idx3-ubyte', mutateBytes(random, idxFiles)),
      labels: fileOf('labels-idx1-ubyte', mutateBytes(random, idxFiles)),
    }),
    ({ path, labels }) => readDataset(path, { labels, maxBytes: MIB }),
    0.2,
  ),
  target(
    'jobs',
    (random) => mutateJson(random, job),
    (value) => parseJobFile(value, 'a test'),
  ),
  target(
    'job files',
    (random) => fileOf('job.json', broken(random, job)),
    async (path) => jobFromFlags(await readJobFile(path), {}),
    0.3,
  ),
  target(
    'durations',
    (random) =>
      random.below(2) === 0 ? JSON.stringify(nasty(random)) : mutateText(random, ['90s', '15m', '2h', '7d']),
    (text) => parseDuration(text, '--timeout'),
    0.5,
  ),
  target(
    'settings files',
    (random) => fileOf('settings.json', broken(random, settings)),
    (path) => readSettingsFile(path, { secrets: 'private' }),
    0.4,
  ),
  target(
    'model folders',
    (random) => fileOf(join('model', 'model.json'), broken(random, modelJson)),
    () => readModelFiles(modelFolder),
    0.3,
  ),
  target(
    'dumps',
    (random) => fileOf('job.ndjson', mutateText(random, [dump])),
    async (path) => (await openDump(path)).close(),
    0.5,
  ),
];
