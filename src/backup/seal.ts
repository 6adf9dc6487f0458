import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Bytes } from '../hash.js';

/**
 * ChaCha20-Poly1305 (RFC 8439) in chunks, after the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár
 * (https://eprint.iacr.org/2015/189): the nonce counts the chunks and marks the last one, so none can be swapped, left
 * out, repeated or cut off. A key seals one stream only.
 */

export const CHUNK_BYTES = 65_536;
export const TAG_BYTES = 16;
const ALGORITHM = 'chacha20-poly1305';

/** 0 or 1 for the last chunk, three zeros, the index as u64 big endian. */
function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce[0] = isLast ? 1 : 0;
  nonce.writeBigUInt64BE(BigInt(index), 4);
  return nonce;
}

/** @returns ciphertext and tag */
export function sealChunk(key: Bytes, aad: Bytes, index: number, isLast: boolean, plain: Bytes): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonceOf(index, isLast), { authTagLength: TAG_BYTES });
  cipher.setAAD(aad, { plaintextLength: plain.length });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @returns undefined when it does not open: another key, header, place or byte */
export function openChunk(key: Bytes, aad: Bytes, index: number, isLast: boolean, sealed: Bytes): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(ALGORITHM, key, nonceOf(index, isLast), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad, { plaintextLength: end });
  decipher.setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]);
  } catch {
    return undefined;
  }
}
