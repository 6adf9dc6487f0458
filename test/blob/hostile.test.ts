import { brotliCompressSync, gzipSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { sealBlob, type BlobPointer } from '../../src/blob/blob.js';
import { CHUNK_BYTES, fromBase64, sealChunk, SEALED_BYTES, toBase64 } from '../../src/blob/chunk.js';
import { blobKeys, epochPrk, shardKey } from '../../src/blob/keys.js';
import { leafHash, merkleRoot } from '../../src/merkle.js';
import { pack, unpack } from '../../src/blob/pack.js';
import { downloadBlob, uploadBlob } from '../../src/blob/transfer.js';
import { isNmktError, type ErrorCode } from '../../src/errors.js';
import { concatBytes, fromHex, hex, sha256, type Bytes, type EventId, type Sha256 } from '../../src/hash.js';
import { encodeExamples } from '../../src/learning/examples.js';
import type { NostrEvent, Relays } from '../../src/ports.js';
import { buildSnapshot, parseSnapshot, type DatasetManifest } from '../../src/protocol/dataset.js';
import { encodeLocator, locatorHash, openLocator, type Locator } from '../../src/protocol/locator.js';
import { checkForeignUrl, checkRelayUrl } from '../../src/relay/relay-url.js';
import { localSigner } from '../../src/signer.js';
import { locatedIn, openShard, sealedEpoch } from '../../src/roles/epoch.js';
import { withoutControls } from '../../src/terminal/color.js';
import { readIdx } from '../../src/training/idx.js';
import { buildChunk } from '../../src/protocol/chunk.js';
import { readLayersWeights } from '../../src/training/layers-file.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { TINY_SCHEMA, tinyExamples } from '../support/market-world.js';
import { note } from '../relay/samples.js';
import { folderOfFile } from '../support/run-nmkt.js';
import { KEY, OPTIONS, noise } from './samples.js';

/**
 * What a hostile customer, trainer, owner of a dataset or relay may declare: each is refused with its reason before anything of the
 * declared size is allocated, and with no more chunks fetched than it takes to see it.
 */
interface Row {
  readonly what: string;
  readonly run: () => unknown;
  readonly code: ErrorCode;
  /** In message, expected or got. */
  readonly says: RegExp;
  /** Chunks that may be fetched to see it; none by default. */
  readonly chunks?: number;
}

const MIB = 1 << 20;
/** Of memory, for what declares far more. The head of a gzip file is unpacked to know what it declares: 8 MiB at most. */
const MAX_BUFFERS = 10 * MIB;
const folder = folderOfFile();

/** Relays that count the chunks they give. */
const network = memoryNetwork(['wss://a.example']);
const stored = network.relays();
let fetched = 0;
const relays: Relays = {
  ...{ urls: stored.urls, publish: stored.publish.bind(stored), subscribe: stored.subscribe.bind(stored) },
  close: () => stored.close(),
  async fetch(filters, options) {
    const answer = await stored.fetch(filters, options);
    fetched += answer.events.length;
    return answer;
  },
};

const shards = [tinyExamples(2_000, 'one'), tinyExamples(2_000, 'two')];
const packed = shards.map((examples) => pack(encodeExamples(examples, TINY_SCHEMA)));
interface Epoch {
  readonly manifest: DatasetManifest;
  readonly locator: Locator;
  readonly keys: readonly Bytes[];
}
/** Two shards of several chunks each, published. @param seed  of all its keys */
async function epochOf(seed: string): Promise<Epoch> {
  const [salt, key, blind] = [sha256(seed), sha256(`${seed} key`), sha256(`${seed} blind`)];
  const sealed = sealedEpoch(
    {
      salt: hex(salt),
      secrets: { key: hex(key), blind: hex(blind), salt: hex(sha256(`${seed} data`)) },
      shards: shards.map((examples, shard) => {
        const bytes = encodeExamples(examples, TINY_SCHEMA);
        const hash = hex(sha256(bytes)) as Sha256;
        return { examples: examples.rows, size: bytes.length, sha256: hash, packed: packed[shard]!.length };
      }),
    },
    {
      ...{ name: 'tiny', part: 'train', schema: TINY_SCHEMA, nowSec: 1_750_000_000, expirationSec: 1_790_000_000 },
      read: async (shard, position, length) => packed[shard]!.subarray(position, position + length),
    },
  );
  await uploadBlob(relays, sealed.source);
  const { manifest, secrets } = await sealed.finish();
  const prk = epochPrk(salt, key);
  return {
    manifest,
    locator: openLocator(secrets.locator, blind, manifest.locator),
    keys: shards.map((_, shard) => shardKey(prk, shard)),
  };
}

let epoch: Epoch;
let other: Epoch;
/** A blob of three chunks and an index. */
let blob: BlobPointer;
/** Its events: data, then index. */
let events: readonly NostrEvent[];
/** 64 MiB of zeros in one chunk. */
let bomb: BlobPointer;
/** Indices of two chunks by a hostile author. */
let ofIndices: BlobPointer;
let ofTwins: BlobPointer;
let withTail: BlobPointer;
let ofNothing: BlobPointer;
beforeAll(async () => {
  [epoch, other] = [await epochOf('epoch'), await epochOf('other')];
  const sealed = sealBlob(noise(140_000), { ...OPTIONS, inline: 'never' });
  await uploadBlob(relays, sealed.events);
  ({ pointer: blob, events } = sealed);
  const zeroed = sealBlob(new Uint8Array(64 * MIB), { ...OPTIONS, inline: 'never' });
  await uploadBlob(stored, zeroed.events);
  bomb = zeroed.pointer;
  const [first, second, , index] = events.map((event): [string, Bytes] => [event.id, leafOf(event)]);
  ofIndices = await forged([first!, index!]);
  ofTwins = await forged([first!, [first![0], second![1]]]);
  withTail = await forged([first!, second!], Uint8Array.of(1));
  ofNothing = { ...(await forged([first!, second!])), ids: ['ab'.repeat(32) as EventId] };
});

const read = (pointer: BlobPointer, from: Relays = relays) =>
  downloadBlob(from, pointer, { key: KEY, context: OPTIONS.context, part: OPTIONS.part, maxBytes: 8 * MIB });
const pointing = (fields: object) => () => read({ ...blob, ...fields });
const lying = (events: (event: NostrEvent) => NostrEvent): Relays => ({
  ...relays,
  fetch: async (filters, options) => {
    const answer = await relays.fetch(filters, options);
    return { ...answer, events: answer.events.map(events) };
  },
});
const opening =
  (change: (epoch: Epoch) => Partial<Epoch> & { readonly shard?: number; readonly key?: Bytes }) => () => {
    const { manifest, locator, shard = 0, key } = { ...epoch, ...change(epoch) };
    return openShard(relays, manifest, locatedIn(locator, shard), shard, key ?? epoch.keys[shard]!);
  };
/** The first shard in snapshot and locator, with these fields. */
const both = (fields: object) =>
  opening(({ manifest, locator }) => ({
    manifest: { ...manifest, shards: [{ ...manifest.shards[0]!, ...fields }, manifest.shards[1]!] },
    locator: { ...locator, shards: [{ ...locator.shards[0]!, ...fields }, locator.shards[1]!] },
  }));

/** A snapshot whose text was changed. */
const snapshot = (change: (text: string) => string) => () => {
  const { kind, tags, content } = buildSnapshot(epoch.manifest, 1_750_000_000);
  const changed = change(content);
  expect(changed).not.toBe(content);
  return parseSnapshot(note('owner', { kind, tags: tags.map((tag) => [...tag]), content: changed }));
};
const shardField = (name: string, value: string) =>
  snapshot((text) => text.replace(new RegExp(`"${name}":\\d+(?=[^]*?commit)`), `"${name}":${value}`));
const named = (name: string) => snapshot((text) => text.replace('"name":"tiny"', `"name":${JSON.stringify(name)}`));

const blind = sha256('blind');
const locatorText = (change: (text: string) => string) => () => {
  const text = change(encodeLocator(epoch.locator));
  return openLocator(text, blind, locatorHash(text, blind));
};

/** A blob whose author wrote this index: two data chunks of its own choice. */
async function forged(records: readonly (readonly [id: string, leaf: Bytes])[], tail = new Uint8Array(0)) {
  const keys = blobKeys(KEY);
  const plain = new Uint8Array(CHUNK_BYTES);
  plain.set(concatBytes(...records.flatMap(([id, leaf]) => [fromHex(id), leaf]), tail));
  const sealed = sealChunk(plain, keys.index, {
    ...{ context: OPTIONS.context, part: OPTIONS.part, index: 0, count: 1, purpose: 'index' },
  });
  const event = await localSigner(OPTIONS.uploadSecret).sign(buildChunk(sealed, 1_750_000_000, 1_790_000_000));
  await stored.publish(event);
  const root = hex(merkleRoot(records.map(([, leaf]) => leaf))) as Sha256;
  return {
    ...blob,
    chunks: records.length,
    packed: records.length * CHUNK_BYTES,
    size: 140_000,
    root,
    ids: [event.id],
  };
}
const leafOf = (event: NostrEvent): Bytes => leafHash(fromBase64(event.content, SEALED_BYTES));

const zeros = brotliCompressSync(Buffer.alloc(64 * MIB), { params: { 1: 1 } });
const gzipBomb = join(folder, 'bomb');
writeFileSync(gzipBomb, gzipSync(Buffer.concat([Buffer.of(0, 0, 8, 1, 0, 0, 0, 4), Buffer.alloc(64 * MIB)])));
/** A file of a model that says its weights lie there. */
const weightsAt = (path: string) => () => {
  const dense = {
    class_name: 'Dense',
    config: { name: 'd', units: 3, activation: 'softmax', batch_input_shape: [null, 24] },
  };
  const file = {
    modelTopology: { model_config: { class_name: 'Sequential', config: { layers: [dense] } } },
    weightsManifest: [
      {
        paths: [path],
        weights: [
          { name: 'd/kernel', shape: [24, 3], dtype: 'float32' },
          { name: 'd/bias', shape: [3], dtype: 'float32' },
        ],
      },
    ],
  };
  return readLayersWeights(join(folder, 'model.json'), file, TINY_SCHEMA);
};

const rows: Row[] = [
  // Absurd sizes and counts.
  ...['9007199254740992', '-1', '1e308', '1.5', '"1"', 'null', '0', '1099511627777'].map((value) => ({
    ...{ what: `a snapshot of a shard of ${value} bytes`, run: shardField('size', value), code: 'bad-event' as const },
    says: /shards\.0\.size|integers only/,
  })),
  ...['9007199254740992', '-1', '1e308', '16777217'].map((value) => ({
    ...{
      what: `a snapshot of a shard of ${value} chunks`,
      run: shardField('chunks', value),
      code: 'bad-event' as const,
    },
    says: /shards\.0\.chunks|integers only/,
  })),
  {
    what: 'a snapshot of 1,025 shards',
    run: snapshot((text) => {
      const shard = /\{"examples":[^}]+\}/.exec(text)![0];
      return text.replace(/"shards":\[.*?\]/, `"shards":[${Array(1_025).fill(shard).join()}]`);
    }),
    code: 'bad-event',
    says: /at most 64000 characters|shards/,
  },
  ...[2 ** 53, -1, 1e308, NaN, 2 ** 40 + 1].map((size) => ({
    ...{
      what: `a pointer to ${size} bytes`,
      run: pointing({ size }),
      code: 'bad-blob' as const,
      says: /size: an integer/,
    },
  })),
  {
    what: 'a pointer to 2^40 bytes',
    run: pointing({ size: 2 ** 40 }),
    code: 'too-large',
    says: /declares 1099511627776/,
  },
  {
    what: 'more packed bytes than brotli makes of so few',
    run: pointing({ size: 10 }),
    code: 'bad-blob',
    says: /packed/,
  },
  ...[2, 4, -1, 2 ** 53, 0].map((chunks) => ({
    ...{ what: `${chunks} chunks for the bytes of three`, run: pointing({ chunks }), code: 'bad-blob' as const },
    says: /chunks: an integer from 3 to 3/,
  })),
  {
    what: 'more index chunks than chunks need',
    run: pointing({ ids: ['00'.repeat(32), '11'.repeat(32)] }),
    code: 'bad-blob',
    says: /ids: 1 event ids/,
  },
  {
    what: 'a shard of a tebibyte in snapshot and locator',
    run: both({ size: 2 ** 40, examples: 2 ** 40 }),
    code: 'too-large',
    says: /at most 4294967296 bytes/,
  },
  {
    what: 'a shard larger than its examples',
    run: both({ size: 2 ** 30 }),
    code: 'too-large',
    says: /at most \d{6} bytes/,
  },
  {
    what: 'a locator that says more bytes than the snapshot',
    run: opening(({ locator }) => ({ locator: { ...locator, shards: [{ ...locator.shards[0]!, size: 200_001 }] } })),
    code: 'bad-blob',
    says: /other sizes than the snapshot.*200001 bytes/,
  },
  {
    what: 'a locator that says more chunks than the snapshot',
    run: opening(({ manifest }) => ({ manifest: { ...manifest, shards: [{ ...manifest.shards[0]!, chunks: 1 }] } })),
    code: 'bad-blob',
    says: /other sizes than the snapshot.* in 1 chunks/,
  },
  // Bombs.
  {
    what: 'a brotli stream that declares a tebibyte',
    run: () => unpack(zeros, 2 ** 40, MIB),
    code: 'too-large',
    says: /at most 1048576/,
  },
  {
    what: '64 MiB in a brotli stream that declares 1,000 bytes',
    run: () => unpack(zeros, 1_000, MIB),
    code: 'bad-blob',
    says: /longer stream/,
  },
  {
    what: 'a blob of 64 MiB that declares 20,000 bytes',
    run: () => read({ ...bomb, size: 20_000 }),
    code: 'bad-blob',
    says: /longer stream/,
    chunks: 1,
  },
  {
    what: '64 MiB in a gzip file that declares four values',
    run: () => readIdx(gzipBomb, MIB),
    code: 'bad-dataset',
    says: /longer/,
  },

  // Names.
  ...['\u0000', '\u001b]0;owned\u0007', 'two\nlines', 'x'.repeat(201), '\ud800'].map((name) => ({
    ...{ what: `a dataset named ${JSON.stringify(name).slice(0, 30)}`, run: named(name), code: 'bad-event' as const },
    says: /name|one meaning/,
  })),
  ...['../secret', '/etc/passwd', 'a/b', 'a\\b'].map((path) => ({
    ...{ what: `weights at ${path}`, run: weightsAt(path), code: 'bad-job' as const, says: /names of files beside it/ },
  })),
  ...['..', 'a\u0000b', 'x'.repeat(5_000)].map((path) => ({
    what: `weights at ${JSON.stringify(path).slice(0, 20)}`,
    run: weightsAt(path),
    code: 'bad-usage' as const,
    says: /there is no model at/,
  })),
  // Keys that reach a prototype.
  ...['__proto__', '\\u005f_proto__'].flatMap((key) => [
    {
      what: `a snapshot with ${key}`,
      run: snapshot((text) => text.replace('{', `{"${key}":{"size":1},`)),
      code: 'bad-event' as const,
      says: /no __proto__/,
    },
    {
      what: `a locator with ${key}`,
      run: locatorText((text) => text.replace('{"sha256"', `{"${key}":{},"sha256"`)),
      code: 'bad-event' as const,
      says: /locator/,
    },
  ]),
  {
    what: 'a locator whose shards are only in a constructor',
    run: locatorText((text) => `{"constructor":${text}}`),
    code: 'bad-event',
    says: /locator/,
  },
  {
    what: 'a pointer whose fields are inherited',
    run: () => read(Object.create(blob) as BlobPointer),
    code: 'bad-blob',
    says: /size: an integer/,
  },
  // Relays on private networks.
  ...[
    ...[
      'ws://127.0.0.1',
      'wss://127.0.0.1',
      'ws://localhost',
      'ws://localhost.',
      'wss://LOCALHOST.',
      'ws://[::1]',
      'ws://2130706433',
    ],
    ...[
      'ws://0x7f000001',
      'wss://127.1',
      'wss://0177.0.0.1',
      'wss://[::ffff:127.0.0.1]',
      'wss://[0:0:0:0:0:ffff:7f00:1]',
    ],
    ...[
      'wss://10.0.0.1',
      'wss://10.1',
      'wss://167772161',
      'wss://0xa000001',
      'wss://012.0.0.1',
      'wss://[::ffff:10.0.0.1]',
      'wss://[::ffff:a00:1]',
    ],
    ...[
      'wss://169.254.169.254',
      'wss://2852039166',
      'wss://[fe80::1]',
      'wss://192.168.0.1.',
      'wss://172.31.255.255',
      'wss://[fc00::1]',
      'wss://0',
    ],
    ...['wss://printer.local', 'wss://relay.localhost.', 'wss://metadata', 'wss://[64:ff9b::a00:1]'],
  ].map((url) => ({
    what: `a stranger's relay ${url}`,
    run: () => checkForeignUrl(url, 'sandbox', ['wss://relay.example']),
    code: 'bad-settings' as const,
    says: /for tests|private or reserved/,
  })),
  ...[
    'javascript:alert(1)',
    'wss://a b',
    'wss://u:p@relay.example',
    `wss://${'x'.repeat(600)}.example`,
    'wss://..',
  ].map((url) => ({
    what: `a stranger's relay ${JSON.stringify(url).slice(0, 40)}`,
    run: () => checkForeignUrl(url, 'sandbox', ['ws://127.0.0.1:7447']),
    code: 'bad-settings' as const,
    says: /cannot be used/,
  })),
  // An index that is missing, or leads elsewhere. One that names itself cannot be: its id would be a hash of itself.
  {
    what: 'an index that no relay has',
    run: () => read(ofNothing),
    code: 'relay-unreachable',
    says: /1 of 1 index chunks were found on no relay/,
  },
  {
    what: 'an index that names an index',
    run: () => read(ofIndices),
    code: 'bad-blob',
    says: /data chunk 2 of 2 does not open/,
    chunks: 3,
  },
  {
    what: 'an index that names one chunk twice',
    run: () => read(ofTwins),
    code: 'bad-blob',
    says: /names one chunk twice/,
    chunks: 1,
  },
  {
    what: 'an index with more than its records',
    run: () => read(withTail),
    code: 'bad-blob',
    says: /padding/,
    chunks: 1,
  },
  // Wrong commitments.
  {
    what: 'another key commitment',
    run: pointing({ commit: '00'.repeat(32) }),
    code: 'wrong-key',
    says: /key commitment 0000/,
  },
  {
    what: 'another root',
    run: pointing({ root: '00'.repeat(32) }),
    code: 'hash-mismatch',
    says: /Merkle root of the index/,
    chunks: 1,
  },
  {
    what: 'another content hash',
    run: pointing({ sha256: '00'.repeat(32) }),
    code: 'hash-mismatch',
    says: /content of a blob/,
    chunks: 4,
  },
  {
    what: 'a relay that gives another chunk under the id',
    run: () =>
      read(
        blob,
        lying((event) => (event.id === events[0]!.id ? { ...event, content: events[1]!.content } : event)),
      ),
    code: 'hash-mismatch',
    says: /leaf of chunk 1 of 3/,
    chunks: 8,
  },
  {
    what: 'a relay that changed a bit of the index',
    run: () =>
      read(
        blob,
        lying((event) =>
          event.id === blob.ids[0]
            ? {
                ...event,
                content: toBase64(
                  fromBase64(event.content, SEALED_BYTES).map((byte, at) => (at === 99 ? byte ^ 1 : byte)),
                ),
              }
            : event,
        ),
      ),
    code: 'bad-blob',
    says: /index chunk 1 of 1 does not open/,
    chunks: 2,
  },
  {
    what: 'a locator of another hash',
    run: () => openLocator(encodeLocator(epoch.locator), blind, epoch.manifest.locator),
    code: 'hash-mismatch',
    says: /locator in the grant/,
  },
  // One thing in the place of another.
  {
    what: "the second shard's key for the first",
    run: opening(({ keys }) => ({ key: keys[1]! })),
    code: 'wrong-key',
    says: /key commitment/,
  },
  {
    what: "the second shard's chunks in the place of the first's, with its key",
    run: opening(({ locator, keys }) => ({
      locator: { ...locator, shards: [locator.shards[1]!, locator.shards[0]!] },
      key: keys[1]!,
    })),
    code: 'bad-blob',
    says: /does not open|other sizes/,
    chunks: 2,
  },
  {
    what: 'chunks of another dataset, with its key',
    run: opening(() => ({ locator: other.locator, key: other.keys[0]! })),
    code: 'bad-blob',
    says: /does not open/,
    chunks: 2,
  },
];

describe('is refused, for its reason and at once', () => {
  it.each(rows.map((row) => [row.what, row] as const))('%s', async (_, { run, code, says, chunks = 0 }) => {
    fetched = 0;
    const before = process.memoryUsage().arrayBuffers;
    const error = await Promise.resolve()
      .then(run)
      .then(
        () => undefined,
        (caught: unknown) => caught,
      );
    const grown = process.memoryUsage().arrayBuffers - before;
    if (!isNmktError(error)) throw new Error('not refused as it should be', { cause: error });
    expect(error.code).toBe(code);
    expect(`${error.message}; ${error.expected ?? ''}; ${error.got ?? ''}`).toMatch(says);
    expect(error.remedy).not.toBe('');
    expect(fetched).toBeLessThanOrEqual(chunks);
    expect(grown).toBeLessThan(MAX_BUFFERS);
  });
});

describe('what is no harm', () => {
  it('is taken as it is: names like paths, a key named constructor, the true shard, relays on this machine where the own ones are', async () => {
    expect(named('../../etc/passwd')().manifest.name).toBe('../../etc/passwd');
    expect(snapshot((text) => text.replace('{', '{"constructor":{"prototype":{}},'))().manifest).toEqual(
      epoch.manifest,
    );
    expect(((await opening(() => ({}))()) as { rows: number }).rows).toBe(2_000);
    expect(checkForeignUrl('ws://127.0.0.1:1', 'sandbox', ['ws://localhost:2'])).toBe('ws://127.0.0.1:1');
    expect(() => checkForeignUrl('ws://127.0.0.1:1', 'bitcoin', ['wss://relay.example'])).toThrow(/for tests/);
    expect(checkForeignUrl('wss://relay.example/a\u0000b', 'bitcoin', [])).toBe('wss://relay.example/a%00b');
    expect(checkRelayUrl('ws://127.0.0.1:1', 'sandbox')).toBe('ws://127.0.0.1:1');
    expect(({} as Record<string, unknown>)['size']).toBeUndefined();
  });

  it('does not reach a terminal as a command: escapes, C1 and marks that turn the direction are shown as such', () => {
    const hostile = 'a\u001b[2Jb\u009b2Jc\u0007d\u202ee\u2066f\rg';
    expect(withoutControls(hostile)).toBe('a�[2Jb�2Jc�d�e�f�g');
    expect(withoutControls('two\nlines\tand a tab')).toBe('two\nlines\tand a tab');
  });
});
