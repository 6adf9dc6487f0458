import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { sealBlob, type BlobPointer } from '../../src/blob/blob.js';
import { SEALED_BYTES } from '../../src/blob/chunk.js';
import { downloadByFile, uploadBlob, type ChunkFile } from '../../src/blob/transfer.js';
import { NmktError } from '../../src/errors.js';
import type { Relays } from '../../src/ports.js';
import { memoryFile } from '../support/memory-file.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { KEY, OPTIONS, noise } from './samples.js';

const READ = { key: KEY, context: OPTIONS.context, part: OPTIONS.part, maxBytes: 8_000_000 };
const withCode = (code: string) => expect.objectContaining({ code }) as Error;
const BYTES = noise(960_100);
const CHUNKS = 21;

const stored = memoryNetwork(['wss://a.example']).relays();
let given = 0;
const relays: Relays = {
  ...{ urls: stored.urls, publish: stored.publish.bind(stored), subscribe: stored.subscribe.bind(stored) },
  close: () => stored.close(),
  fetch: async (filters, options) => {
    const answer = await stored.fetch(filters, options);
    given += answer.events.length;
    return answer;
  },
};
let pointer: BlobPointer;
let whole: Uint8Array;
const fileOf = (bytes: Uint8Array = new Uint8Array()) => {
  const disk = new Map<string, Uint8Array>([['f', bytes]]);
  return { file: memoryFile(disk, 'f'), bytes: () => disk.get('f')! };
};
/** @returns the chunks that relays gave, the index not counted */
async function download(file: ChunkFile, from: BlobPointer = pointer): Promise<number> {
  given = 0;
  expect(Buffer.compare(await downloadByFile(relays, from, READ, file), BYTES)).toBe(0);
  return given - 1;
}

beforeAll(async () => {
  const sealed = sealBlob(BYTES, { ...OPTIONS, inline: 'never' });
  await uploadBlob(stored, sealed.events);
  pointer = sealed.pointer;
  expect(pointer.chunks).toBe(CHUNKS);
  const { file, bytes } = fileOf();
  expect(await download(file)).toBe(CHUNKS);
  whole = bytes();
  expect(whole).toHaveLength(CHUNKS * SEALED_BYTES);
});

describe('a download by a file', () => {
  test('fetches nothing but the index when the file is whole', async () => {
    expect(await download(fileOf(whole).file)).toBe(0);
  });

  test('fetches what a crash changed, lost or cut off, whichever it is, and no more', async () => {
    const places = fc.uniqueArray(fc.nat(CHUNKS - 1), { maxLength: 6 });
    const damage = fc.record({ changed: places, zeroed: places, length: fc.nat(whole.length) });
    await fc.assert(
      fc.asyncProperty(damage, async ({ changed, zeroed, length }) => {
        const bytes = whole.slice(0, length);
        const flip = (index: number) => {
          const at = index * SEALED_BYTES + 40_000;
          if (at < length) bytes[at]! ^= 1;
        };
        changed.forEach(flip);
        for (const index of zeroed) bytes.fill(0, index * SEALED_BYTES, (index + 1) * SEALED_BYTES);
        const right = Array.from({ length: CHUNKS }, (_, index) => index).filter(
          (index) => (index + 1) * SEALED_BYTES <= length && !zeroed.includes(index) && !changed.includes(index),
        );
        const { file, bytes: now } = fileOf(bytes);
        expect(await download(file)).toBe(CHUNKS - right.length);
        expect(Buffer.compare(now(), whole)).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  test('does not take the file of another blob for its own', async () => {
    const other = sealBlob(noise(960_100, 'other'), { ...OPTIONS, inline: 'never' });
    await uploadBlob(stored, other.events);
    const { file, bytes } = fileOf(whole);
    const got = await downloadByFile(relays, other.pointer, READ, file);
    expect(Buffer.compare(got, noise(960_100, 'other'))).toBe(0);
    expect(Buffer.compare(bytes(), whole)).not.toBe(0);
    expect(await download(file)).toBe(CHUNKS);
  });

  test('blames the disk, not the sender, for what is not there as it was written', async () => {
    const { file } = fileOf();
    const forgetful: ChunkFile = { ...file, write: async () => undefined };
    await expect(downloadByFile(relays, pointer, READ, forgetful)).rejects.toThrow(withCode('disk-failed'));
    let reads = 0;
    const torn: ChunkFile = {
      ...fileOf(whole).file,
      read: async (position, length) => {
        if (reads++ < CHUNKS + 3) return whole.slice(position, position + length);
        throw new NmktError('disk-failed', 'no', { remedy: 'none', expected: 'bytes', got: 'EIO' });
      },
    };
    await expect(downloadByFile(relays, pointer, READ, torn)).rejects.toThrow(withCode('disk-failed'));
    const full = () =>
      Promise.reject(new NmktError('disk-full', 'no', { remedy: 'none', expected: 'room', got: 'ENOSPC' }));
    await expect(downloadByFile(relays, pointer, READ, { ...file, write: full })).rejects.toThrow(
      withCode('disk-full'),
    );
  });

  test('refuses what a download without one refuses, and asks nobody before key and sizes are right', async () => {
    given = 0;
    const { file } = fileOf(whole);
    const failing = (fields: object, options: object = {}) =>
      downloadByFile(relays, { ...pointer, ...fields }, { ...READ, ...options }, file);
    await expect(failing({ commit: '00'.repeat(32) })).rejects.toThrow(withCode('wrong-key'));
    await expect(failing({}, { maxBytes: 1_000 })).rejects.toThrow(withCode('too-large'));
    expect(given).toBe(0);
    await expect(failing({ sha256: '00'.repeat(32) })).rejects.toThrow(withCode('hash-mismatch'));
    await expect(failing({ size: 900_000, packed: pointer.packed })).rejects.toThrow(withCode('bad-blob'));
    await expect(failing({ packed: pointer.packed - 1 })).rejects.toThrow(withCode('bad-blob'));
    await expect(failing({}, { part: 8 })).rejects.toThrow(withCode('bad-blob'));
    const stop = new AbortController();
    stop.abort();
    await expect(failing({}, { signal: stop.signal })).rejects.toThrow(withCode('interrupted'));
  });

  test('goes on where it was stopped', async () => {
    const { file, bytes } = fileOf();
    const stop = new AbortController();
    const onProgress = (done: number) => done === 19 && stop.abort();
    const stopped = downloadByFile(relays, pointer, { ...READ, onProgress, signal: stop.signal }, file);
    await expect(stopped).rejects.toThrow(withCode('interrupted'));
    const progress: number[] = [];
    given = 0;
    const options = { ...READ, onProgress: (done: number) => void progress.push(done) };
    expect(Buffer.compare(await downloadByFile(relays, pointer, options, file), BYTES)).toBe(0);
    expect(given - 1).toBeLessThanOrEqual(2);
    expect(progress[0]).toBeGreaterThanOrEqual(19);
    expect(progress.at(-1)).toBe(CHUNKS);
    expect(Buffer.compare(bytes(), whole)).toBe(0);
  });

  test('waits for the disk: of 40 MB no more is fetched than eight requests bring', async () => {
    const plain = noise(40_000_000);
    const large = sealBlob(plain, { ...OPTIONS, inline: 'never' });
    await uploadBlob(stored, large.events, { window: { first: 1_000, min: 1_000, max: 1_000 } });
    const { pointer: from } = large;
    const ids = new Set<string>(from.ids);
    const disk = new Uint8Array(from.chunks * SEALED_BYTES);
    let chunks = 0;
    let isSlow!: () => void;
    const slow = new Promise<void>((resolve) => (isSlow = resolve));
    const counted: Relays = {
      ...relays,
      fetch: async (filters, options) => {
        const answer = await relays.fetch(filters, options);
        chunks += answer.events.filter(({ id }) => !ids.has(id)).length;
        return answer;
      },
    };
    const file: ChunkFile = {
      read: async (position, length) => disk.subarray(position, position + length),
      write: async (bytes, position) => {
        await slow;
        disk.set(bytes, position);
      },
    };
    const done = downloadByFile(counted, from, { ...READ, maxBytes: plain.length }, file);
    for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
    expect(from.chunks).toBeGreaterThan(800);
    expect(chunks).toBe(8 * 64);
    isSlow();
    expect(Buffer.compare(await done, plain)).toBe(0);
    expect(chunks).toBe(from.chunks);
  });
});
