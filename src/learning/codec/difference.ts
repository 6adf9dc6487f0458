import type { Bytes } from '../../hash.js';
import { badFile } from '../safetensors-header.js';
import { checkShapes } from '../safetensors.js';
import type { ParamSet } from '../types.js';
import { evenOdds, PLAIN_BITS, rangeDecoder, rangeEncoder, type Odds } from './range-coder.js';

/**
 * A model as its difference to another one of the same shapes, to the bit: float32 words in the order of their values, one subtracted from
 * the other. Neighbouring models share signs, exponents and the high bits of most words, so differences are short; how long each one is goes
 * through an adaptive range coder, by the exponent of the word it starts from, and the bits behind its first one go as they are. One byte
 * string for each pair of models.
 */

/** Of the longest difference; the words span less than 2^32. */
const MOST_BITS = 32;
/** Odds of one exponent: one whether there is a difference, then a tree over 32 lengths. */
const PLACES = 32;
const EXPONENTS = 256;
const INFINITE = 0x7f800000;

const exponentOf = (word: number): number => (word >>> 23) & 0xff;
/** Of a word to an integer of -2^31 up to 2^31, rising with the value; minus zero is -1, zero 0. */
const orderOf = (word: number): number => (word >= 2 ** 31 ? 2 ** 31 - 1 - word : word);
const wordOf = (order: number): number => (order < 0 ? 2 ** 31 - 1 - order : order);

/** Bits of a number, 1 to 2^32 - 1. */
const lengthOf = (value: number): number => 32 - Math.clz32(value);

function wordsOf(data: Float32Array): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length);
}

/** @param next  finite, of the shapes of `base`. @throws NmktError `shape-mismatch` */
export function encodeDifference(base: ParamSet, next: ParamSet): Bytes {
  checkShapes(next, base);
  const encoder = rangeEncoder();
  const odds = evenOdds(EXPONENTS * PLACES);
  base.forEach(({ data }, t) => {
    const [from, to] = [wordsOf(data), wordsOf(next[t]!.data)];
    for (let i = 0; i < from.length; i++) {
      const first = exponentOf(from[i]!) * PLACES;
      const change = orderOf(to[i]!) - orderOf(from[i]!);
      encoder.bit(odds, first, change === 0 ? 0 : 1);
      if (change === 0) continue;
      const size = Math.abs(change);
      const bits = lengthOf(size);
      for (let node = 1, left = 4; left >= 0; left--) {
        const bit = ((bits - 1) >> left) & 1;
        encoder.bit(odds, first + node, bit);
        node = 2 * node + bit;
      }
      encoder.plain(change < 0 ? 1 : 0, 1);
      if (bits - 1 > PLAIN_BITS) encoder.plain(size >>> PLAIN_BITS, bits - 1 - PLAIN_BITS);
      encoder.plain(size, Math.min(bits - 1, PLAIN_BITS));
    }
  });
  return encoder.finish();
}

/**
 * Makes nothing larger than `base`, whatever the bytes say.
 *
 * @throws NmktError `bad-blob` for bytes that `encodeDifference` does not write, or that lead beyond the finite numbers
 */
export function decodeDifference(base: ParamSet, bytes: Bytes): ParamSet {
  const decoder = rangeDecoder(bytes);
  const odds = evenOdds(EXPONENTS * PLACES);
  const next = base.map(({ name, shape, data }) => {
    const from = wordsOf(data);
    const to = new Uint32Array(from.length);
    for (let i = 0; i < from.length; i++) {
      const word = from[i]!;
      const change = readChange(decoder, odds, exponentOf(word) * PLACES);
      const order = orderOf(word) + change;
      if (order >= INFINITE || order < -INFINITE)
        throw badFile(`a difference in tensor ${name} leaves the finite numbers`, {
          expected: 'finite float32',
          got: `a change by ${change} at index ${i}`,
        });
      to[i] = wordOf(order);
    }
    return { name, shape, data: new Float32Array(to.buffer) };
  });
  decoder.finish();
  return next;
}

function readChange(decoder: ReturnType<typeof rangeDecoder>, odds: Odds, first: number): number {
  if (decoder.bit(odds, first) === 0) return 0;
  let node = 1;
  while (node < MOST_BITS) node = 2 * node + decoder.bit(odds, first + node);
  const width = node - MOST_BITS;
  const isBelow = decoder.plain(1) === 1;
  const high = width > PLAIN_BITS ? decoder.plain(width - PLAIN_BITS) : 0;
  const low = decoder.plain(Math.min(width, PLAIN_BITS));
  const size = 2 ** width + high * 2 ** PLAIN_BITS + low;
  return isBelow ? -size : size;
}
