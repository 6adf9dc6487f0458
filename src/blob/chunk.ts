import { createCipheriv, createDecipheriv } from 'node:crypto';
import { NmktError } from '../errors.js';
import { concatBytes, hmacSha256, sha256, u32be, utf8, type Bytes } from '../hash.js';
import type { SealKeys } from './keys.js';

/** Plaintext of a chunk, bytes. */
export const CHUNK_BYTES = 48_000;
/** Of its event as JSON, with times of ten digits: strfry refuses events above 65,536. */
export const CHUNK_EVENT_BYTES = 64_412;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** nonce || ciphertext || tag. */
export const SEAL_OVERHEAD = NONCE_BYTES + TAG_BYTES;
export const SEALED_BYTES = CHUNK_BYTES + SEAL_OVERHEAD;

const VERSION = utf8('nmkt/1/chunk');
const PURPOSES = { data: 0, index: 1, inline: 2 } as const;

/** Where a chunk belongs. All of it is authenticated: no swap, truncation, or replay elsewhere. */
export interface ChunkPlace {
  /** 32 bytes: the dataset's, or the hash of a label. */
  readonly context: Bytes;
  /** Shard number within the context; unsigned 32 bits, as `index` and `count`. */
  readonly part: number;
  readonly index: number;
  readonly count: number;
  readonly purpose: keyof typeof PURPOSES;
}

/**
 * Additional authenticated data, 57 bytes, integers big-endian:
 * "nmkt/1/chunk" || context (32) || u32 part || u32 index || u32 count || u8 purpose (0 data, 1 index, 2 inline).
 */
export function chunkAad(place: ChunkPlace): Bytes {
  const { context, part, index, count } = place;
  if (context.length !== 32) throw new RangeError(`a context has 32 bytes, not ${context.length}`);
  for (const value of [part, index, count]) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new RangeError(`${value} is not a u32`);
  }
  return concatBytes(VERSION, context, u32be(part), u32be(index), u32be(count), Uint8Array.of(PURPOSES[place.purpose]));
}

/**
 * ChaCha20-Poly1305 (RFC 8439) with a nonce made from place and plaintext, in the manner of SIV (RFC 5297): sealing
 * again gives the same bytes, and edited data never meets an old nonce.
 *
 * @param plain  any length; padding is the caller's
 * @returns      nonce (12) || ciphertext || tag (16)
 */
export function sealChunk(plain: Bytes, keys: SealKeys, place: ChunkPlace): Bytes {
  return Buffer.concat(sealParts(plain, keys, place));
}

/** The same in parts, so that 48 KB are not copied to stand side by side. */
export type SealedParts = readonly [nonce: Buffer, body: Buffer, tag: Buffer];

export function sealParts(plain: Bytes, keys: SealKeys, place: ChunkPlace): SealedParts {
  const aad = chunkAad(place);
  const nonce = Buffer.from(hmacSha256(keys.nonce, aad, sha256(plain)).buffer, 0, NONCE_BYTES);
  const cipher = createCipheriv('chacha20-poly1305', keys.enc, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad, { plaintextLength: plain.length });
  const body = cipher.update(plain);
  cipher.final();
  return [nonce, body, cipher.getAuthTag()];
}

/** @throws NmktError `bad-blob` when the key, the place or any byte differs from what was sealed */
export function openChunk(sealed: Bytes, keys: SealKeys, place: ChunkPlace): Bytes {
  const aad = chunkAad(place);
  if (sealed.length < SEAL_OVERHEAD) throw notOpened(place, `${sealed.length} bytes`);
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const body = sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES);
  const decipher = createDecipheriv('chacha20-poly1305', keys.enc, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad, { plaintextLength: body.length });
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(body);
  try {
    decipher.final();
  } catch {
    throw notOpened(place, 'another authentication tag');
  }
  return plain;
}

function notOpened(place: ChunkPlace, got: string): NmktError {
  return new NmktError('bad-blob', `${place.purpose} chunk ${place.index + 1} of ${place.count} does not open`, {
    remedy: 'ask the sender to publish it again: it was changed, or sealed for another place',
    expected: `ChaCha20-Poly1305 for part ${place.part}`,
    got,
  });
}

/** Zeros up to the next multiple of `block`; an exact multiple is returned as it is. */
export function padToMultiple(bytes: Bytes, block: number): Bytes {
  if (bytes.length % block === 0) return bytes;
  const padded = new Uint8Array(Math.ceil(bytes.length / block) * block);
  padded.set(bytes);
  return padded;
}

/**
 * The first `length` bytes.
 *
 * @throws NmktError `bad-blob` when what follows is not all zero: one content has one encoding
 */
export function unpad(padded: Bytes, length: number): Bytes {
  const firstNonZero = padded.subarray(length).findIndex((byte) => byte !== 0);
  if (firstNonZero === -1) return padded.subarray(0, length);
  throw new NmktError('bad-blob', 'the padding of a blob is not zero', {
    remedy: 'ask the sender to publish it again with a correct nmkt',
    expected: `zeros after byte ${length}`,
    got: `a non-zero byte at ${length + firstNonZero}`,
  });
}

export function toBase64(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/**
 * Canonical base64 (RFC 4648, 4) of exactly `length` bytes. The text length is checked before anything is decoded;
 * encoding the result again catches foreign characters, white space, missing padding and stray low bits.
 *
 * @throws NmktError `bad-blob`
 */
export function fromBase64(text: string, length: number): Bytes {
  const expectedChars = Math.ceil(length / 3) * 4;
  if (text.length === expectedChars) {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length === length && bytes.toString('base64') === text) return bytes;
  }
  throw new NmktError('bad-blob', 'sealed bytes are not canonical base64 of the promised length', {
    remedy: 'ask the sender to publish it again with a correct nmkt',
    expected: `${expectedChars} base64 characters for ${length} bytes`,
    got: `${text.length} characters`,
  });
}

/**
 * Timestamps of the `count` events of one blob: distinct seconds T0 - pi(i), pi a keyed permutation of 0..count-1, so
 * that paging by `until` never stalls on equal times and times do not tell a stranger the order of the chunks.
 * pi(i) is the rank of HMAC(timeKey, u32 i) among all of them, compared as bytes.
 *
 * @param baseTimeSec  T0, Unix seconds in the past
 */
export function chunkTimes(baseTimeSec: number, count: number, timeKey: Bytes): readonly number[] {
  // 32 bytes each in one buffer, and 48 bits of them as numbers: of 100,000 chunks that is 4 MB.
  const marks = Buffer.alloc(32 * count);
  const starts = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    marks.set(hmacSha256(timeKey, u32be(index)), 32 * index);
    starts[index] = marks.readUIntBE(32 * index, 6);
  }
  const compare = (a: number, b: number): number =>
    starts[a]! - starts[b]! || marks.compare(marks, 32 * b, 32 * b + 32, 32 * a, 32 * a + 32);
  const times = new Array<number>(count);
  Uint32Array.from({ length: count }, (_, index) => index)
    .sort(compare)
    .forEach((index, rank) => (times[index] = baseTimeSec - rank));
  return times;
}
