import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sealBlob } from '../../src/blob/blob.js';
import { lazyBlob } from '../../src/blob/lazy-blob.js';
import { pack } from '../../src/blob/pack.js';
import { withReadAhead } from '../../src/blob/read-ahead.js';
import { sha256Hex, type Bytes } from '../../src/hash.js';
import { keptMessage } from '../../src/large-event.js';
import { hasValidSignature } from '../../src/schnorr.js';
import { OPTIONS, noise, noisePackedTo } from './samples.js';

function lazy(plain: Bytes) {
  const packed = pack(plain);
  const reads: number[] = [];
  const read = (position: number, length: number) => {
    reads.push(position / 48_000);
    return packed.subarray(position, position + length);
  };
  const blob = { sha256: sha256Hex(plain), size: plain.length, packed: packed.length, read };
  return { ...lazyBlob(blob, OPTIONS), reads };
}

describe('a blob that is sealed on demand', () => {
  test.each([1, 48_000, 48_001, 96_000, 140_000, 36_000_001])(
    'of %i packed bytes has the events and the pointer of one that is sealed at once',
    async (packed) => {
      const plain = packed === 1 ? new Uint8Array(0) : packed > 1e6 ? noise(packed) : noisePackedTo(packed);
      const { events, pointer } = sealBlob(plain, { ...OPTIONS, inline: 'never' });
      const { source, pointer: pointerOf } = lazy(plain);
      expect(source.count).toBe(events.length);
      const sample = events.length < 20 ? [...events.keys()] : [0, 1, 400, events.length - 2, events.length - 1];
      for (const index of sample) expect(await source.event(index)).toEqual(events[index]);
      expect(await pointerOf()).toEqual(pointer);
    },
  );

  test('does not depend on the order or the number of times of asking', async () => {
    const plain = noise(300_000);
    const { events, pointer } = sealBlob(plain, { ...OPTIONS, inline: 'never' });
    const indices = fc.array(fc.nat(events.length - 1), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(indices, async (asked) => {
        const { source, pointer: pointerOf } = lazy(plain);
        for (const index of asked) expect((await source.event(index)).id).toBe(events[index]!.id);
        expect(await pointerOf()).toEqual(pointer);
      }),
      { numRuns: 15 },
    );
  });

  test('reads what is sealed in order once, in blocks, the next one before it is needed', async () => {
    const { source, pointer, reads } = lazy(noise(41 * 48_000));
    const askedAt: number[] = [];
    for (let index = 0; index < source.count - 1; index++) {
      const before = reads.length;
      await source.event(index);
      if (reads.length > before) askedAt.push(index);
    }
    expect(reads).toEqual([0, 20, 40]);
    expect(askedAt).toEqual([0, 10, 30]);
    await pointer();
    expect(reads).toEqual([0, 20, 40]);
  });

  test('has messages that hold the same event, and the bytes that were hashed', async () => {
    const { source } = lazy(noise(100_000));
    for (let index = 0; index < source.count; index++) {
      const event = await source.event(index);
      expect(hasValidSignature(event)).toBe(true);
      expect(JSON.parse(keptMessage(event)!.toString())).toEqual(['EVENT', event]);
    }
  });
});

describe('reading ahead', () => {
  test('fails whoever needs the block, and tries again when asked again', async () => {
    let works = false;
    const bytes = noise(30 * 48_000);
    const readChunk = withReadAhead(async (position, length) => {
      if (position > 0 && !works) throw new Error('no such file');
      return bytes.subarray(position, position + length);
    }, bytes.length);
    for (let index = 0; index < 20; index++) await readChunk(index * 48_000);
    await expect(readChunk(20 * 48_000)).rejects.toThrow('no such file');
    works = true;
    expect(await readChunk(29 * 48_000)).toEqual(bytes.subarray(29 * 48_000));
  });
});
