import { badFile } from '../safetensors-header.js';
import { evenOdds, PLAIN_BITS, type Odds, type RangeDecoder, type RangeEncoder } from './range-coder.js';

/** Float32 words through a range coder: as the steps from another word to it, or alone. Odds learn from word to word. */

const INFINITE = 0x7f800000;
/** Of a word to an integer of -2^31 up to 2^31, rising with the value; minus zero is -1, zero 0. */
const orderOf = (word: number): number => (word >= 2 ** 31 ? 2 ** 31 - 1 - word : word);
const wordOf = (order: number): number => (order < 0 ? 2 ** 31 - 1 - order : order);
const exponentOf = (word: number): number => (word >>> 23) & 0xff;
/** Bits of a number, 1 to 2^32 - 1. */
const lengthOf = (value: number): number => 32 - Math.clz32(value);

export function wordsOf(data: Float32Array): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length);
}

/** A number of `width` bits as decisions, the high bit first, each with the odds of those before it: 2^width odds from `first` on. */
function writeTree(encoder: RangeEncoder, odds: Odds, first: number, value: number, width: number): void {
  let node = 1;
  for (let left = width - 1; left >= 0; left--) {
    const bit = (value >> left) & 1;
    encoder.bit(odds, first + node, bit);
    node = 2 * node + bit;
  }
}

function readTree(decoder: RangeDecoder, odds: Odds, first: number, width: number): number {
  let node = 1;
  while (node < 1 << width) node = 2 * node + decoder.bit(odds, first + node);
  return node - (1 << width);
}

function writePlain(encoder: RangeEncoder, value: number, width: number): void {
  if (width > PLAIN_BITS) encoder.plain(value >>> PLAIN_BITS, width - PLAIN_BITS);
  encoder.plain(value, Math.min(width, PLAIN_BITS));
}

function readPlain(decoder: RangeDecoder, width: number): number {
  const high = width > PLAIN_BITS ? decoder.plain(width - PLAIN_BITS) : 0;
  return high * 2 ** PLAIN_BITS + decoder.plain(Math.min(width, PLAIN_BITS));
}

/** Of steps, by the exponent of the word they start from: one odd whether there are any, then a tree over 32 lengths. */
const PLACES = 32;
export const stepOdds = (): Odds => evenOdds(256 * PLACES);

export function writeStep(encoder: RangeEncoder, odds: Odds, from: number, to: number): void {
  const first = exponentOf(from) * PLACES;
  const change = orderOf(to) - orderOf(from);
  encoder.bit(odds, first, change === 0 ? 0 : 1);
  if (change === 0) return;
  const size = Math.abs(change);
  const bits = lengthOf(size);
  writeTree(encoder, odds, first, bits - 1, 5);
  encoder.plain(change < 0 ? 1 : 0, 1);
  writePlain(encoder, size, bits - 1);
}

/** @throws NmktError `bad-blob` where it leads beyond the finite numbers */
export function readStep(decoder: RangeDecoder, odds: Odds, from: number): number {
  const first = exponentOf(from) * PLACES;
  if (decoder.bit(odds, first) === 0) return from;
  const width = readTree(decoder, odds, first, 5);
  const isBelow = decoder.plain(1) === 1;
  const size = 2 ** width + readPlain(decoder, width);
  const order = orderOf(from) + (isBelow ? -size : size);
  if (order >= INFINITE || order < -INFINITE) throw notFinite(`a step of ${isBelow ? -size : size}`);
  return wordOf(order);
}

/** Of words alone: a tree over 512 signs and exponents; whether a word without exponent is zero takes its place 0. */
export const aloneOdds = (): Odds => evenOdds(512);
const MANTISSA_BITS = 23;

export function writeAlone(encoder: RangeEncoder, odds: Odds, word: number): void {
  writeTree(encoder, odds, 0, word >>> MANTISSA_BITS, 9);
  const mantissa = word & 0x7fffff;
  if (exponentOf(word) === 0) {
    encoder.bit(odds, 0, mantissa === 0 ? 0 : 1);
    if (mantissa === 0) return;
  }
  writePlain(encoder, mantissa, MANTISSA_BITS);
}

/** @throws NmktError `bad-blob` */
export function readAlone(decoder: RangeDecoder, odds: Odds): number {
  const high = readTree(decoder, odds, 0, 9);
  const exponent = high & 0xff;
  if (exponent === 0xff) throw notFinite('infinity or NaN');
  if (exponent === 0 && decoder.bit(odds, 0) === 0) return high * 2 ** MANTISSA_BITS;
  const mantissa = readPlain(decoder, MANTISSA_BITS);
  if (exponent === 0 && mantissa === 0)
    throw badFile('a zero is spelled as another number', { expected: 'one spelling' });
  return high * 2 ** MANTISSA_BITS + mantissa;
}

function notFinite(got: string): Error {
  return badFile('a word is coded that is no finite number', { expected: 'finite float32', got });
}
