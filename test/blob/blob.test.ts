import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hex, sha256, sha256Hex, type Bytes } from '../../src/hash.js';
import { hasValidSignature, publicKey } from '../../src/schnorr.js';
import { openInline, parseBlobPointer, sealBlob, type SealedBlob } from '../../src/blob/blob.js';
import { fromBase64, padToMultiple, sealChunk, toBase64, type ChunkPlace } from '../../src/blob/chunk.js';
import { blobKeys } from '../../src/blob/keys.js';
import { leafHash } from '../../src/merkle.js';
import { pack } from '../../src/blob/pack.js';
import { CONTEXT, KEY, OPTIONS, flip, noise, noisePackedTo } from './samples.js';

const LIMIT = 100_000;
const open = ({ pointer, inline }: SealedBlob, change: { key?: Bytes; context?: Bytes; part?: number } = {}) =>
  openInline(pointer, inline!, change.key ?? KEY, change.context ?? CONTEXT, change.part ?? OPTIONS.part, LIMIT);
const withCode = (code: string) => expect.objectContaining({ code }) as Error;

describe('sealing a blob', () => {
  test('gives the same pointer, events and signatures when repeated', () => {
    const bytes = noise(150_000);
    expect(JSON.stringify(sealBlob(bytes, OPTIONS))).toBe(JSON.stringify(sealBlob(bytes, OPTIONS)));
    expect(sealBlob(noise(100), OPTIONS)).toEqual(sealBlob(noise(100), OPTIONS));
  });

  test.each([
    [0, 0, 0],
    [24_000, 0, 0],
    [24_001, 1, 1],
    [48_000, 1, 1],
    [48_001, 2, 3],
    [96_000, 2, 3],
    [96_001, 3, 4],
  ])('of %i packed bytes makes %i chunks, %i events', (packed, chunks, events) => {
    const sealed = sealBlob(packed === 0 ? new Uint8Array(0) : noisePackedTo(packed), OPTIONS);
    expect(sealed.pointer.chunks).toBe(chunks);
    expect(sealed.events.length).toBe(events);
    expect(sealed.inline === undefined).toBe(chunks > 0);
    expect(parseBlobPointer(JSON.parse(JSON.stringify(sealed.pointer)))).toEqual(sealed.pointer);
  });

  test('signs equal-sized chunks with the upload key, one expiration tag and distinct past seconds', () => {
    const { events, pointer } = sealBlob(noise(300_000), OPTIONS);
    expect(events.length).toBe(8); // seven of data, one index
    expect(pointer.ids).toEqual([events[7]!.id]);
    for (const event of events) {
      expect(hasValidSignature(event)).toBe(true);
      expect(event.pubkey).toBe(publicKey(OPTIONS.uploadSecret));
      expect([event.kind, event.content.length]).toEqual([4621, 64_040]);
      expect(event.tags).toEqual([['expiration', '1760000000']]);
    }
    const times = events.map(({ created_at }) => created_at).sort((a, b) => b - a);
    expect(times).toEqual(Array.from({ length: 8 }, (_, at) => OPTIONS.baseTimeSec - at));
  });

  test('never goes inline for a dataset shard, however small', () => {
    const { pointer, events, inline } = sealBlob(Uint8Array.of(1), { ...OPTIONS, inline: 'never' });
    expect([pointer.chunks, events.length, inline]).toEqual([1, 1, undefined]);
    expect(pointer.root).toBe(hex(leafHash(fromBase64(events[0]!.content, 48_028))));
  });

  test('puts neither content nor key into what is published', () => {
    const text = 'the quick brown fox jumps over the lazy dog';
    const published = JSON.stringify(sealBlob(Buffer.from(text), OPTIONS));
    expect(published).not.toContain(Buffer.from('quick brown').toString('base64').slice(0, 12));
    for (const secret of [KEY, OPTIONS.uploadSecret]) expect(published).not.toContain(hex(secret));
  });

  test('refuses chunks that would expire before they are made', () => {
    expect(() => sealBlob(noise(1), { ...OPTIONS, expirationSec: OPTIONS.baseTimeSec })).toThrow(RangeError);
    expect(() => sealBlob(noise(1), { ...OPTIONS, baseTimeSec: 1.5 })).toThrow(RangeError);
  });
});

describe('an inline blob', () => {
  test('round trips any bytes, padded to a multiple of 1,024', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6000 }), (bytes) => {
        const sealed = sealBlob(bytes, OPTIONS);
        expect(hex(open(sealed))).toBe(hex(bytes));
        expect((Buffer.from(sealed.inline!, 'base64').length - 28) % 1024).toBe(0);
      }),
      { numRuns: 50 },
    );
    for (const packed of [1024, 1025, 23_999, 24_000]) {
      const bytes = noisePackedTo(packed);
      expect(Buffer.compare(open(sealBlob(bytes, OPTIONS)), bytes)).toBe(0);
    }
  });

  test('is refused with any bit flipped, of the sealed bytes or the pointer', () => {
    const sealed = sealBlob(noise(500), OPTIONS);
    const bytes = fromBase64(sealed.inline!, 1024 + 28);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        expect(() => open({ ...sealed, inline: toBase64(flip(bytes, at, bit)) })).toThrow(withCode('hash-mismatch'));
      }),
    );
    const wrong = sha256Hex('wrong');
    const alter = (change: object) => open({ ...sealed, pointer: { ...sealed.pointer, ...change } });
    expect(() => alter({ root: wrong })).toThrow(withCode('hash-mismatch'));
    expect(() => alter({ sha256: wrong })).toThrow(withCode('hash-mismatch'));
    expect(() => alter({ commit: wrong })).toThrow(withCode('wrong-key'));
    expect(() => alter({ size: 499 })).toThrow(withCode('bad-blob'));
    expect(() => alter({ size: 501 })).toThrow(withCode('bad-blob'));
    expect(() => alter({ packed: sealed.pointer.packed - 1 })).toThrow(withCode('bad-blob'));
    expect(() => alter({ packed: sealed.pointer.packed + 1 })).toThrow(withCode('bad-blob'));
    expect(() => open({ ...sealed, inline: sealed.inline!.slice(0, -4) })).toThrow(withCode('bad-blob'));
    expect(() => open({ ...sealed, inline: '' })).toThrow(withCode('bad-blob'));
  });

  test('does not open as another part, in another context or with another key', () => {
    const sealed = sealBlob(noise(500), OPTIONS);
    expect(() => open(sealed, { part: 8 })).toThrow(withCode('bad-blob'));
    expect(() => open(sealed, { context: sha256('other') })).toThrow(withCode('bad-blob'));
    expect(() => open(sealed, { key: sha256('other') })).toThrow(withCode('wrong-key'));
  });

  test('shows one content only: a second key for the same ciphertext is refused by the commitment', () => {
    const sealed = sealBlob(noise(500), OPTIONS);
    const second = sha256('second trainer');
    const forSecond = { ...sealed, pointer: { ...sealed.pointer, commit: blobKeys(second).commit } };
    expect(() => open(sealed, { key: second })).toThrow(withCode('wrong-key'));
    expect(() => open(forSecond)).toThrow(withCode('wrong-key'));
    expect(() => open(forSecond, { key: second })).toThrow(withCode('bad-blob'));
  });

  test('is refused when it was sealed as a chunk', () => {
    const sealed = sealBlob(noise(500), OPTIONS);
    const place: ChunkPlace = { context: CONTEXT, part: OPTIONS.part, index: 0, count: 1, purpose: 'data' };
    const asChunk = sealChunk(padToMultiple(pack(noise(500)), 1024), blobKeys(KEY).data, place);
    const root = sha256Hex(Uint8Array.of(0), asChunk);
    const replayed = { ...sealed, pointer: { ...sealed.pointer, root }, inline: toBase64(asChunk) };
    expect(() => open(replayed)).toThrow(withCode('bad-blob'));
  });

  test('is refused above the limit before anything is decoded', () => {
    const sealed = sealBlob(new Uint8Array(LIMIT + 1), OPTIONS);
    expect(sealed.inline).toBeDefined();
    expect(() => open({ ...sealed, inline: 'never looked at' })).toThrow(withCode('too-large'));
  });

  test('does not go with a pointer to chunks', () => {
    const { pointer } = sealBlob(noise(50_000), OPTIONS);
    expect(() => open({ pointer, events: [], inline: 'AAAA' })).toThrow(withCode('bad-blob'));
  });
});
