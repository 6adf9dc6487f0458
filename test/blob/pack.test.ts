import { brotliCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hex } from '../../src/hash.js';
import { pack, unpack } from '../../src/blob/pack.js';
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
