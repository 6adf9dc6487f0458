import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { downloadBlob } from '../../src/blob/transfer.js';
import { blobKeys } from '../../src/blob/keys.js';
import { indexChunks } from '../../src/blob/pointer.js';
import { unpack } from '../../src/blob/pack.js';
import { jobFromFlags, readJobFile } from '../../src/commands/job-flags.js';
import { parseEventReference } from '../../src/config/identifiers.js';
import { readSettingsFile } from '../../src/config/settings-file.js';
import { isNmktError, type ErrorCode } from '../../src/errors.js';
import { sha256, type EventId, type Sha256 } from '../../src/hash.js';
import { decodeExamples } from '../../src/learning/examples.js';
import { decodeParams, decodeSafetensors } from '../../src/learning/safetensors.js';
import type { DataSchema } from '../../src/learning/types.js';
import type { Relays } from '../../src/ports.js';
import { parseChunk } from '../../src/protocol/chunk.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { parseJobEvent } from '../../src/protocol/events.js';
import { parseGrant } from '../../src/protocol/grant.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { parseFilter } from '../../src/relay/event-shape.js';
import { openDump } from '../../src/relay/dump-reader.js';
import { unwrapRumor } from '../../src/relay/gift-wrap.js';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { readIdx } from '../../src/training/idx.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { parseWalletUri } from '../../src/wallet/wallet-uri.js';
import { note, poolForTest, ScriptedRelay, signerOf } from '../relay/samples.js';
import { cpuMs } from './check.js';
import { mutateText, Random } from './mutate.js';

const folder = mkdtempSync(join(tmpdir(), 'nmkt-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MIB = 1 << 20;
const GIB = 2 ** 30;
/** The head of a gzip file is unpacked to know what it declares: 4,096 bytes of it, which can become 4 MiB. */
const MAX_BUFFERS = 10 * MIB;
const long = 'a'.repeat(8 * MIB);
const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

function fileOf(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}
/** Starts with that, and is a gibibyte long without taking any space. */
function sparse(name: string, start: string): string {
  const path = fileOf(name, start);
  truncateSync(path, GIB);
  return path;
}

function safetensors(header: string, data = 0): Uint8Array {
  const bytes = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes, Buffer.alloc(data)]);
}
const tensor = (fields: object): string =>
  JSON.stringify({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4], ...fields } });

const idxHead = (...sizes: readonly number[]): Buffer =>
  Buffer.concat([
    Buffer.of(0, 0, 8, sizes.length),
    ...sizes.map((size) => Buffer.of(size >>> 24, (size >>> 16) & 255, (size >>> 8) & 255, size & 255)),
  ]);
const gzipBomb = gzipSync(Buffer.concat([idxHead(4), Buffer.alloc(64 * MIB)]));
const brotliBomb = brotliCompressSync(Buffer.alloc(64 * MIB));

const nobody: Relays = {
  urls: ['wss://relay.example'],
  publish: () => Promise.reject(new Error('published')),
  fetch: () => Promise.reject(new Error('fetched')),
  subscribe: () => ({ close: () => undefined }),
  close: () => Promise.resolve(),
};
const key = sha256('key');
const chunks = 24_000_000;
const pointer = {
  ...{ sha256: 'ab'.repeat(32) as Sha256, root: 'ab'.repeat(32) as Sha256, commit: blobKeys(key).commit },
  ...{ size: 2 ** 40, packed: chunks * 48_000, chunks },
  ids: Array.from({ length: indexChunks(chunks) }, (_, i) => i.toString(16).padStart(64, '0') as EventId),
};
const schema: DataSchema = { task: 'classification', shape: [2], inputs: 2, dtype: 'U8', scale: 1, outputs: 3 };
const event = (kind: number, content: string, tags: string[][] = []) =>
  note('a', { kind, content, tags: [['t', 'nmkt'], ['v', '1'], ['seq', '0'], ...tags] });
const hugeEvents = {
  job: event(KINDS.job, long),
  snapshot: event(KINDS.snapshot, long),
  chunk: event(KINDS.chunk, long),
};
const manyCheckpoints = event(
  KINDS.submission,
  JSON.stringify({ checkpoints: Array.from({ length: 100_000 }, () => 'ab'.repeat(32)) }),
  [['phase', 'reveal']],
);
const deepJob = event(KINDS.job, `{"hyper":${deep(31_000)}}`);
const hugeWrap = note('a', { kind: 1059, content: long });
const manyTags = event(
  KINDS.job,
  '{}',
  Array.from({ length: 200_000 }, () => ['x']),
);
const manyValues = { ids: Array.from({ length: MIB }, () => 'ab'.repeat(32)) };

/** Of the processor: 8 MiB may be looked at once, on a slow machine too. */
const MAX_MS = 300;
const hugeBytes = new Uint8Array(8 * MIB);
const openQuote = fileOf('d', `a,b\n1,"${long}`);

const cases: [string, readonly ErrorCode[], () => unknown][] = [
  [
    'a safetensors header of 2^63 bytes',
    ['too-large'],
    () => decodeSafetensors(Buffer.concat([Buffer.alloc(7), Buffer.of(0x80), Buffer.alloc(8)]), { maxBytes: MIB }),
  ],
  [
    'a tensor of 2^50 elements',
    ['bad-blob'],
    () =>
      decodeSafetensors(safetensors(tensor({ shape: [2 ** 25, 2 ** 25], data_offsets: [0, 2 ** 52] }), 8), {
        maxBytes: MIB,
      }),
  ],
  [
    'a tensor whose size passes 2^53',
    ['bad-blob'],
    () =>
      decodeSafetensors(safetensors(tensor({ shape: [2 ** 40, 2 ** 40], data_offsets: [0, 4] }), 4), { maxBytes: MIB }),
  ],
  [
    'a safetensors dtype nested 100,000 deep',
    ['bad-blob'],
    () => decodeSafetensors(safetensors(`{"a":{"dtype":${deep(100_000)}}}`), { maxBytes: MIB }),
  ],
  ['a safetensors file above the limit', ['too-large'], () => decodeParams(hugeBytes, [{ name: 'a', shape: [1] }])],
  ['a shard above the limit', ['too-large'], () => decodeExamples(hugeBytes, schema, { maxBytes: MIB })],
  [
    'a blob of a tebibyte',
    ['too-large'],
    () => downloadBlob(nobody, pointer, { key, context: key, part: 0, maxBytes: GIB }),
  ],
  ['a brotli stream that declares a tebibyte', ['too-large'], () => unpack(brotliBomb, 2 ** 40, MIB)],
  ['64 MiB packed into a brotli stream of 1,000 bytes', ['bad-blob'], () => unpack(brotliBomb, 1_000, MIB)],
  ['a job of 8 MiB', ['bad-event'], () => parseJobEvent(hugeEvents.job)],
  ['a job nested 31,000 deep', ['bad-event'], () => parseJobEvent(deepJob)],
  ['a job with 200,000 tags', ['bad-event'], () => parseJobEvent(manyTags)],
  ['a reveal with 100,000 checkpoints', ['bad-event'], () => parseJobEvent(manyCheckpoints)],
  ['a snapshot of 8 MiB', ['bad-event'], () => parseSnapshot(hugeEvents.snapshot)],
  ['a chunk of 8 MiB', ['bad-event'], () => parseChunk(hugeEvents.chunk)],
  ['a grant of 8 MiB', ['bad-event'], () => parseGrant(KINDS.grant, long)],
  ['a gift wrap of 8 MiB', ['too-large'], () => unwrapRumor(hugeWrap, signerOf('bob'))],
  [
    'a filter of a million ids',
    ['too-large'],
    () => parseFilter(manyValues, { maxValues: 2_000, maxTagValueChars: 1_024 }),
  ],
  ['an invoice of 8 MiB', ['bad-invoice'], () => decodeInvoice(`lnbc1${long}`)],
  ['a wallet connection of 8 MiB', ['bad-settings'], () => parseWalletUri(`nostr+walletconnect://${long}`)],
  ['an identifier of 8 MiB', ['bad-key'], () => parseEventReference(`nevent1${long}`)],
  [
    'IDX of 2^128 values',
    ['too-large'],
    () => readIdx(fileOf('a', idxHead(2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1)), GIB),
  ],
  ['IDX of a gibibyte in 12 bytes', ['bad-dataset'], () => readIdx(fileOf('b', idxHead(GIB - 8, 1)), 2 * GIB)],
  ['64 MiB packed into IDX of four values', ['bad-dataset'], () => readIdx(fileOf('c', gzipBomb), GIB)],
  ['a table that is one open quote', ['bad-dataset'], () => readDataset(openQuote, { label: 'b' })],
  [
    'a table of a gibibyte, limited to 1 MiB',
    ['too-large'],
    () => readDataset(sparse('e', 'a,b\n'), { maxBytes: MIB }),
  ],
  [
    'JSON lines that are one line of a gibibyte',
    ['bad-dataset'],
    () => readDataset(sparse('l.jsonl', '{"a":'), { label: 'a', maxBytes: 2 * GIB }),
  ],
  [
    'a JSON line nested 100,000 deep',
    ['bad-dataset'],
    () => readDataset(fileOf('m.jsonl', `{"a":${deep(100_000)}}`), { label: 'a' }),
  ],
  [
    'Parquet whose footer declares four gibibytes',
    ['bad-dataset'],
    () => readDataset(fileOf('n', Buffer.from('PAR1aaaa\xff\xff\xff\xffPAR1', 'latin1')), { label: 'a' }),
  ],
  [
    'Parquet whose footer is a list of 2^31 items',
    ['bad-dataset'],
    () =>
      readDataset(fileOf('o', Buffer.from('PAR1\x19\xf5\xff\xff\xff\xff\x07\x07\0\0\0PAR1', 'latin1')), { label: 'a' }),
  ],
  [
    'PNG of 2^31 by 2^31 pixels',
    ['bad-dataset'],
    () =>
      readWithSchema(
        fileOf('p', Buffer.from('89504e470d0a1a0a0000000d494844527fffffff7fffffff0800000000'.padEnd(200, '0'), 'hex')),
        { ...schema, shape: [1, 2] },
        { labelsOptional: true },
      ),
  ],
  ['a job file of a gibibyte', ['bad-job'], () => readJobFile(sparse('f', '{'))],
  [
    'a job file nested 30,000 deep',
    ['bad-job'],
    async () => jobFromFlags(await readJobFile(fileOf('g', `{"title":${deep(30_000)}}`)), {}),
  ],
  ['a job file that is a list nested 30,000 deep', ['bad-job'], () => readJobFile(fileOf('h', deep(30_000)))],
  ['a settings file of a gibibyte', ['bad-settings'], () => readSettingsFile(sparse('i', '{'), { secrets: 'private' })],
  [
    'a settings file nested 30,000 deep',
    ['bad-settings'],
    () => readSettingsFile(fileOf('j', `{"relays":[${deep(30_000)}]}`), { secrets: 'private' }),
  ],
  ['a dump that is one line of a gibibyte', ['too-large'], () => openDump(sparse('k', '{'))],
];

describe('what declares or is far too much is refused at once, before anything of its size is allocated', () => {
  it.each(cases)('%s', async (_, codes, run) => {
    const attempt = async (): Promise<readonly [number, number]> => {
      const [before, startedAt] = [process.memoryUsage(), cpuMs()];
      const error: unknown = await Promise.resolve()
        .then(run)
        .catch((caught: unknown) => caught);
      const [ms, after] = [cpuMs() - startedAt, process.memoryUsage()];
      if (!isNmktError(error)) throw error;
      expect(codes).toContain(error.code);
      return [ms, after.arrayBuffers - before.arrayBuffers];
    };
    const [first, bytes] = await attempt();
    let ms = first;
    for (let again = 0; again < 3 && ms > MAX_MS; again++) [ms] = await attempt();
    expect(ms).toBeLessThan(MAX_MS);
    expect(bytes).toBeLessThan(MAX_BUFFERS);
  });
});

describe('a connection to a relay', () => {
  it('outlives whatever the relay sends, and then still answers', async () => {
    const good = note('a');
    const samples = [
      ...[
        ['EVENT', 'n0', good],
        ['EOSE', 'n0'],
        ['CLOSED', 'n0', 'error: no'],
        ['OK', good.id, true, ''],
      ],
      ...[
        ['NOTICE', 'slow down'],
        ['AUTH', 'challenge'],
        ['EVENT', 'n1', { ...good, content: 'other' }],
      ],
    ].map((frame) => JSON.stringify(frame));
    const random = new Random('frames');
    const relay = await ScriptedRelay.start(([verb, id], reply, socket) => {
      if (verb !== 'REQ') return;
      // What ends a request early would be no answer to it.
      const garbage = Array.from({ length: 2_000 }, () => mutateText(random, samples)).filter(
        (text) => !/EOSE|CLOSED/.test(text),
      );
      for (const text of garbage) socket.send(text.slice(0, 4_000));
      reply('EVENT', id, good);
      reply('EOSE', id);
    });
    const pool = poolForTest([relay.url]);
    const { events, answered } = await pool.fetch([{ kinds: [1] }]);
    expect([events, answered.length, relay.connections]).toEqual([[good], 1, 1]);
  });
});
