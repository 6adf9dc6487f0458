import type { Bytes } from '../hash.js';

/**
 * Byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909) over the bytes of UTF-8, as GPT-2 has it (Radford et al. 2019, 2.2). Tokens
 * 0 to 255 are the bytes; merge i makes token 256 + i of two tokens before it.
 */
export type Merge = readonly [left: number, right: number];

export interface Vocabulary {
  readonly merges: readonly Merge[];
  /** The bytes of each token, by its number. */
  readonly tokens: readonly Bytes[];
}

export const BYTES = 256;
export const MAX_VOCABULARY = 4_096;
export const MAX_TOKEN_BYTES = 64;
/** Two numbers of 16 bits. */
const MERGE_BYTES = 4;
export const MAX_MERGES_TEXT = 4 * Math.ceil(((MAX_VOCABULARY - BYTES) * MERGE_BYTES) / 3);

/**
 * GPT-2 cuts text into words, numbers, signs and spaces, and merges within these alone. Here letters are those of ASCII and everything beyond
 * it, so that no version of Unicode matters, and a piece has at most 33 characters, so that none takes long.
 */
const PIECE =
  /'(?:[sdmt]|ll|ve|re)| ?[A-Za-z\u0080-\u{10ffff}]{1,32}| ?[0-9]{1,3}| ?[^A-Za-z0-9\t-\r \u0080-\u{10ffff}]{1,32}|[\t-\r ]{1,32}(?![^\t-\r ])|[\t-\r ]{1,32}/gu;

/** One after the other, all of the text. Alone, a piece is one piece again. */
export function* pieces(text: string): Generator<string> {
  for (const [piece] of text.matchAll(PIECE)) yield piece;
}

/** Two big-endian 16-bit numbers each, all of them in base64. */
export function writeMerges(merges: readonly Merge[]): string {
  const bytes = Buffer.alloc(merges.length * MERGE_BYTES);
  merges.flat().forEach((token, i) => bytes.writeUInt16BE(token, 2 * i));
  return bytes.toString('base64');
}

/** From the length alone; whoever needs more reads them. */
export function countMerges(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return (text.length * 3) / 4 / MERGE_BYTES - padding / MERGE_BYTES;
}

/** @returns the vocabulary, or what is wrong: no more than 4,096 tokens of 64 bytes are made, whatever the text holds */
export function readMerges(text: string): Vocabulary | string {
  if (text.length > MAX_MERGES_TEXT) return `at most ${MAX_VOCABULARY - BYTES} merges`;
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0 || bytes.length % MERGE_BYTES !== 0 || bytes.toString('base64') !== text)
    return 'canonical base64 of pairs of 16-bit numbers';
  const merges: Merge[] = [];
  const tokens: Bytes[] = Array.from({ length: BYTES }, (_, byte) => Uint8Array.of(byte));
  const known = new Set<string>();
  for (let at = 0; at < bytes.length; at += MERGE_BYTES) {
    const merge: Merge = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)];
    const [left, right] = [tokens[merge[0]], tokens[merge[1]]];
    if (left === undefined || right === undefined) return 'merges of tokens before them';
    if (left.length + right.length > MAX_TOKEN_BYTES) return `tokens of at most ${MAX_TOKEN_BYTES} bytes`;
    const token = Buffer.concat([left, right]);
    const name = token.toString('latin1');
    if (known.has(name)) return 'no token twice';
    known.add(name);
    tokens.push(new Uint8Array(token));
    merges.push(merge);
  }
  return { merges, tokens };
}
