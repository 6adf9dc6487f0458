import { describe, expect, test } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { indexChunks } from '../../src/blob/pointer.js';
import { parseBlobPointer } from '../../src/blob/blob.js';

const id = (name: string | number) => sha256Hex(String(name));
const chunked = {
  sha256: id('content'),
  size: 200_000,
  packed: 100_000,
  chunks: 3,
  root: id('root'),
  commit: id('commit'),
  ids: [id('index')],
};
const inline = { ...chunked, size: 5, packed: 9, chunks: 0, ids: [] };

describe('a blob pointer', () => {
  test('of each form parses to itself', () => {
    expect(parseBlobPointer(chunked)).toEqual(chunked);
    expect(parseBlobPointer(inline)).toEqual(inline);
    expect(parseBlobPointer({ ...inline, chunks: 1, ids: [id(1)] }).chunks).toBe(1);
    expect(parseBlobPointer({ ...inline, size: 0, packed: 1 }).size).toBe(0);
    const chunks = 751; // 48,064 bytes of records: two index chunks
    const large = { ...chunked, size: 2 ** 40, packed: chunks * 48_000, chunks, ids: [id(1), id(2)] };
    expect(parseBlobPointer(large)).toEqual(large);
  });

  test('drops unknown fields, and does not let JSON set a prototype', () => {
    const hostile = JSON.parse(`{"__proto__": ${JSON.stringify(chunked)}, "extra": 1}`);
    expect(() => parseBlobPointer(hostile)).toThrow();
    expect(parseBlobPointer({ ...chunked, extra: 1 })).toEqual(chunked);
    expect(() => parseBlobPointer(Object.create(chunked))).toThrow();
  });

  test.each([
    ['no object', null],
    ['text', 'pointer'],
    ['negative size', { ...chunked, size: -1 }],
    ['fractional size', { ...chunked, size: 1.5 }],
    ['text for a number', { ...chunked, size: '200000' }],
    ['size above 2^40', { ...chunked, size: 2 ** 40 + 1 }],
    ['unsafe size', { ...chunked, size: 2 ** 60 }],
    ['nothing packed', { ...inline, packed: 0 }],
    ['packed far above size', { ...chunked, size: 10 }],
    ['packed above the chunks', { ...chunked, packed: 144_001 }],
    ['more chunks than packed needs', { ...chunked, chunks: 4 }],
    ['inline above 24,000 packed bytes', { ...inline, size: 30_000, packed: 24_001 }],
    ['inline with ids', { ...inline, ids: [id(1)] }],
    ['no ids', { ...chunked, ids: [] }],
    ['too many ids', { ...chunked, ids: [id(1), id(2)] }],
    ['ids that are none', { ...chunked, ids: 'abc' }],
    ['a short id', { ...chunked, ids: ['ab'] }],
    ['one id twice', { ...chunked, packed: 36_048_000, size: 36_048_000, chunks: 751, ids: [id(1), id(1)] }],
    ['upper case hash', { ...chunked, sha256: chunked.sha256.toUpperCase() }],
    ['a hash with a line feed', { ...chunked, root: `${chunked.root}\n` }],
    ['no commitment', { ...chunked, commit: undefined }],
  ])('is refused: %s', (_, value) => {
    expect(() => parseBlobPointer(value)).toThrow(expect.objectContaining({ code: 'bad-blob' }) as Error);
  });

  test('counts index chunks: 750 records fit one', () => {
    expect([0, 1, 2, 750, 751, 1500, 1501].map(indexChunks)).toEqual([0, 0, 1, 1, 2, 2, 3]);
  });
});
