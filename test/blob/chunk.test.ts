import { createDecipheriv, createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, hex, sha256, sha256Hex, type Bytes } from '../../src/hash.js';
import { signEvent } from '../../src/schnorr.js';
import { buildChunk } from '../../src/protocol/chunk.js';
import * as chunk from '../../src/blob/chunk.js';
import { blobKeys, epochPrk, uploadSecret } from '../../src/blob/keys.js';
import { leafHash } from '../../src/merkle.js';
import { CONTEXT, KEY, flip, noise } from './samples.js';

const read = (name: string) => JSON.parse(readFileSync(new URL(`../vectors/blob/${name}`, import.meta.url), 'utf8'));
const vector = read('chunk.json');
const keysVector = read('keys.json');
const keys = blobKeys(KEY);
const place: chunk.ChunkPlace = { context: CONTEXT, part: 7, index: 2, count: 5, purpose: 'data' };
const countingBytes = (length: number) => Uint8Array.from({ length }, (_, at) => at % 251);
const badBlob = expect.objectContaining({ code: 'bad-blob' }) as Error;

describe('a sealed chunk', () => {
  const vectorKeys = blobKeys(fromHex(vector.key));
  test.each(vector.cases as Record<string, never>[])('follows the vector: $purpose', (wanted) => {
    const { purpose, part, index, count, plainBytes } = wanted as unknown as chunk.ChunkPlace & { plainBytes: number };
    const at: chunk.ChunkPlace = { context: fromHex(vector.context), part, index, count, purpose };
    const sealKeys = purpose === 'index' ? vectorKeys.index : vectorKeys.data;
    const sealed = chunk.sealChunk(countingBytes(plainBytes), sealKeys, at);
    expect(hex(chunk.chunkAad(at))).toBe(wanted.aad);
    expect(sealed.length).toBe(wanted.sealedBytes);
    expect(hex(sealed.subarray(0, 12))).toBe(wanted.nonce);
    expect(hex(sealed.subarray(-16))).toBe(wanted.tag);
    expect(sha256Hex(sealed)).toBe(wanted.sealedSha256);
    expect(hex(leafHash(sealed))).toBe(wanted.leaf);
    expect(Buffer.compare(chunk.openChunk(sealed, sealKeys, at), countingBytes(plainBytes))).toBe(0);
    const event = wanted.event as unknown as { id: string; createdAt: number; expiration: number } | undefined;
    if (event === undefined) return;
    const secret = uploadSecret(epochPrk(fromHex(keysVector.salt), fromHex(keysVector.datasetKey)));
    expect(signEvent(buildChunk(sealed, event.createdAt, event.expiration), secret).id).toBe(event.id);
  });

  test('is nonce, ChaCha20-Poly1305 ciphertext and tag: node opens it by hand', () => {
    const plain = countingBytes(100);
    const sealed = chunk.sealChunk(plain, keys.data, place);
    const u32s = Buffer.alloc(12);
    [7, 2, 5].forEach((value, at) => u32s.writeUInt32BE(value, at * 4));
    const aad = Buffer.concat([Buffer.from('nmkt/1/chunk'), CONTEXT, u32s, Buffer.from([0])]);
    const digest = createHash('sha256').update(plain).digest();
    const nonce = createHmac('sha256', keys.data.nonce).update(aad).update(digest).digest().subarray(0, 12);
    expect(hex(sealed.subarray(0, 12))).toBe(hex(nonce));
    const decipher = createDecipheriv('chacha20-poly1305', keys.data.enc, nonce, { authTagLength: 16 });
    decipher.setAAD(aad, { plaintextLength: 100 }).setAuthTag(sealed.subarray(-16));
    expect(hex(Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]))).toBe(hex(plain));
  });

  test('is 64,412 bytes or fewer as an event, which fits the 65,536 of strfry', () => {
    const sealed = chunk.sealChunk(noise(chunk.CHUNK_BYTES), keys.data, place);
    expect(sealed.length).toBe(48_028);
    const event = signEvent(buildChunk(sealed, 1_750_000_000, 1_760_000_000), sha256('upload'));
    expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThanOrEqual(64_412);
    expect(Buffer.byteLength(JSON.stringify(['EVENT', event]))).toBeLessThan(65_535);
  });

  test('opens nowhere else: other part, context, index, count or purpose', () => {
    const sealed = chunk.sealChunk(noise(1000), keys.data, place);
    const elsewhere: Partial<chunk.ChunkPlace>[] = [
      { part: 8 },
      { context: sha256('other') },
      { index: 3 },
      { count: 4 },
      { purpose: 'index' },
      { purpose: 'inline' },
    ];
    for (const other of elsewhere) {
      expect(() => chunk.openChunk(sealed, keys.data, { ...place, ...other })).toThrow(badBlob);
    }
    expect(() => chunk.openChunk(sealed, keys.index, place)).toThrow(badBlob);
    expect(() => chunk.openChunk(sealed, blobKeys(sha256('other')).data, place)).toThrow(badBlob);
  });

  test('does not open with any bit flipped or any byte cut', () => {
    const sealed = chunk.sealChunk(noise(300), keys.data, place);
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.nat(7), (at, bit) => {
        expect(() => chunk.openChunk(flip(sealed, at, bit), keys.data, place)).toThrow(badBlob);
        expect(() => chunk.openChunk(sealed.subarray(0, at), keys.data, place)).toThrow(badBlob);
      }),
    );
  });

  test('never uses one nonce for two plaintexts, and repeats itself for equal ones', () => {
    const nonces = new Set<string>();
    for (let at = 0; at < 200; at++) {
      const plain = flip(new Uint8Array(25), at >> 3, at & 7);
      const sealed = chunk.sealChunk(plain, keys.data, place);
      expect(hex(chunk.sealChunk(plain, keys.data, place))).toBe(hex(sealed));
      nonces.add(hex(sealed.subarray(0, 12)));
    }
    expect(nonces.size).toBe(200);
  });

  test('refuses a place that is none', () => {
    expect(() => chunk.chunkAad({ ...place, context: new Uint8Array(31) })).toThrow(RangeError);
    expect(() => chunk.chunkAad({ ...place, part: -1 })).toThrow(RangeError);
    expect(() => chunk.chunkAad({ ...place, count: 2 ** 32 })).toThrow(RangeError);
  });
});

describe('base64', () => {
  test('round trips, and takes one spelling only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes: Bytes) => {
        expect(hex(chunk.fromBase64(chunk.toBase64(bytes), bytes.length))).toBe(hex(bytes));
      }),
    );
    // "AA==" is one zero byte; "AB==" decodes to it as well in lax readers.
    expect(hex(chunk.fromBase64('AA==', 1))).toBe('00');
    for (const text of ['AB==', 'AA=A', 'A===', 'AA', 'AA==\n', '-_==', 'A A=', 'AAA=', '']) {
      expect(() => chunk.fromBase64(text, 1), text).toThrow(badBlob);
    }
    expect(() => chunk.fromBase64('A'.repeat(10_000_000), 3)).toThrow(badBlob);
  });
});

describe('padding', () => {
  test('is zeros up to the block, and nothing but zeros comes off', () => {
    expect([...chunk.padToMultiple(Uint8Array.of(1, 2, 3), 4)]).toEqual([1, 2, 3, 0]);
    expect(chunk.padToMultiple(new Uint8Array(8), 4).length).toBe(8);
    expect([...chunk.unpad(Uint8Array.of(1, 0, 0, 0), 2)]).toEqual([1, 0]);
    expect(() => chunk.unpad(Uint8Array.of(1, 0, 0, 9), 2)).toThrow(badBlob);
  });
});

describe('timestamps of chunks', () => {
  test('follow the vector', () => {
    const { baseTimeSec, count, times } = vector.times;
    expect(chunk.chunkTimes(baseTimeSec, count, blobKeys(fromHex(vector.key)).time)).toEqual(times);
  });

  test('are distinct seconds that end at the base time, in an order that the key decides', () => {
    const times = chunk.chunkTimes(1_000_000, 500, keys.time);
    expect([...times].sort((a, b) => b - a)).toEqual(Array.from({ length: 500 }, (_, at) => 1_000_000 - at));
    expect(times).not.toEqual([...times].sort((a, b) => b - a));
    expect(times).not.toEqual(chunk.chunkTimes(1_000_000, 500, blobKeys(sha256('other')).time));
  });
});
