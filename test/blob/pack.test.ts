import { brotliCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hex, sha256Hex } from '../../src/hash.js';
import { pack, unpack, unpackParts } from '../../src/blob/pack.js';
import { noise } from './samples.js';

const badBlob = expect.objectContaining({ code: 'bad-blob' }) as Error;
const tooLarge = expect.objectContaining({ code: 'too-large' }) as Error;

describe('packing', () => {
  test('round trips bytes of any size and content', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
        expect(hex(unpack(pack(bytes), bytes.length, 5000))).toBe(hex(bytes));
      }),
    );
    for (const large of [noise(5_000_000), new Uint8Array(5_000_000)]) {
      expect(Buffer.compare(unpack(pack(large), large.length, 5_000_000), large)).toBe(0);
    }
  });

  test('makes repetitive data smaller and noise hardly larger', () => {
    expect(pack(new Uint8Array(1_000_000)).length).toBeLessThan(100);
    expect(pack(noise(1_000_000)).length).toBeLessThan(1_001_000);
  });

  test('refuses a declared size above the limit before it looks at the stream', () => {
    expect(() => unpack(Uint8Array.of(255), 10_000_000_000, 1000)).toThrow(tooLarge);
  });

  test('stops a stream that grows past its declared size', () => {
    const bomb = brotliCompressSync(Buffer.alloc(200_000_000), { params: { 1: 1 } });
    expect(bomb.length).toBeLessThan(100_000);
    const cause = expect.objectContaining({ code: 'ERR_BUFFER_TOO_LARGE' }) as Error;
    expect(() => unpack(bomb, 100_000, 1_000_000)).toThrow(
      expect.objectContaining({ code: 'bad-blob', cause }) as Error,
    );
  });

  test('refuses a stream that is shorter than declared, cut, damaged or followed by other bytes', () => {
    const packed = pack(noise(1000));
    expect(() => unpack(packed, 1001, 5000)).toThrow(badBlob);
    expect(() => unpack(packed, 999, 5000)).toThrow(badBlob);
    expect(() => unpack(packed.subarray(0, -1), 1000, 5000)).toThrow(badBlob);
    expect(() => unpack(new Uint8Array(0), 0, 5000)).toThrow(badBlob);
    expect(() => unpack(Buffer.concat([packed, Buffer.from([0])]), 1000, 5000)).toThrow(badBlob);
    expect(() => unpack(noise(1000), 1000, 5000)).toThrow(badBlob);
  });
});

describe('a stream in parts', () => {
  const inParts = async function* (bytes: Uint8Array, partBytes = 48_000) {
    for (let at = 0; at < bytes.length; at += partBytes) yield bytes.subarray(at, at + partBytes);
  };

  test('gives the bytes and their hash, whatever the parts are', async () => {
    const plain = noise(300_000);
    const packed = pack(plain);
    for (const partBytes of [1_000, 48_000, 1_000_000]) {
      const { bytes, sha256 } = await unpackParts(inParts(packed, partBytes), packed.length, plain.length, 1_000_000);
      expect(Buffer.compare(bytes, plain)).toBe(0);
      expect(sha256).toBe(sha256Hex(plain));
    }
    expect((await unpackParts(inParts(pack(new Uint8Array(0))), 1, 0, 0)).bytes).toHaveLength(0);
  });

  test('is refused as one that is at hand is', async () => {
    const plain = noise(300_000);
    const packed = pack(plain);
    const unpacked = (bytes: Uint8Array, size: number, max = 1_000_000) =>
      unpackParts(inParts(bytes), bytes.length, size, max);
    await expect(unpacked(packed, 300_001)).rejects.toThrow(badBlob);
    await expect(unpacked(packed, 299_999)).rejects.toThrow(badBlob);
    await expect(unpacked(packed.subarray(0, -1), 300_000)).rejects.toThrow(badBlob);
    await expect(unpacked(new Uint8Array(0), 0)).rejects.toThrow(badBlob);
    for (const tail of [1, 70_000]) {
      const longer = Buffer.concat([packed, Buffer.alloc(tail)]);
      await expect(unpacked(longer, 300_000)).rejects.toThrow(badBlob);
    }
    await expect(unpacked(noise(1_000), 1_000)).rejects.toThrow(badBlob);
    await expect(unpacked(packed, 2 ** 40)).rejects.toThrow(tooLarge);
    const bomb = brotliCompressSync(Buffer.alloc(64 << 20), { params: { 1: 1 } });
    const before = process.memoryUsage().arrayBuffers;
    await expect(unpacked(bomb, 100_000)).rejects.toThrow(badBlob);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
  });

  test('throws what its source throws: a disk that fails is no bad stream', async () => {
    const packed = pack(noise(300_000));
    const failing = async function* () {
      yield packed.subarray(0, 48_000);
      throw new TypeError('the disk');
    };
    await expect(unpackParts(failing(), packed.length, 300_000, 1_000_000)).rejects.toThrow(new TypeError('the disk'));
  });
});
