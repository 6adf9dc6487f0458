import type { Bytes } from '../../hash.js';
import { badFile } from '../safetensors-header.js';

/**
 * A binary adaptive range coder (Martin 1979; carries as in LZMA): decisions cost what their probabilities say, and equal decisions give
 * equal bytes. All in integers below 2^53, so every machine writes and reads the same.
 */

const TOP = 2 ** 24;
const CARRY = 2 ** 32;
/** Probabilities are of 2^15; each decision moves its own by a 32nd of what it was off. */
const PROBABILITY_BITS = 15;
const SPEED = 5;
/** The most plain bits that one step takes: the range has 24 or more. */
export const PLAIN_BITS = 16;

/** How likely each decision is a zero, in parts of 2^15; changed by coding. */
export type Odds = Uint16Array;

export function evenOdds(count: number): Odds {
  return new Uint16Array(count).fill(1 << (PROBABILITY_BITS - 1));
}

function learn(odds: Odds, at: number, bit: number): void {
  const odd = odds[at]!;
  odds[at] = bit === 0 ? odd + (((1 << PROBABILITY_BITS) - odd) >> SPEED) : odd - (odd >> SPEED);
}

export interface RangeEncoder {
  /** A decision, 0 or 1, by the odds at a place; they learn from it. */
  bit(odds: Odds, at: number, bit: number): void;
  /** The low `width` bits of a number, width 0 to 16, at even odds. */
  plain(value: number, width: number): void;
  finish(): Bytes;
}

export function rangeEncoder(): RangeEncoder {
  let bytes = new Uint8Array(1024);
  let length = 0;
  let low = 0;
  let range = CARRY - 1;
  // The last byte is held back with the 0xff behind it, until no carry can reach it.
  let held = 0;
  let heldCount = 1;
  const push = (byte: number): void => {
    if (length === bytes.length) {
      const longer = new Uint8Array(2 * length);
      longer.set(bytes);
      bytes = longer;
    }
    bytes[length++] = byte;
  };
  const shift = (): void => {
    if (low < 0xff000000 || low >= CARRY) {
      const carry = low >= CARRY ? 1 : 0;
      push(held + carry);
      for (; heldCount > 1; heldCount--) push(0xff + carry);
      heldCount = 0;
      held = (low >>> 24) & 0xff;
    }
    heldCount++;
    low = (low & 0xffffff) * 256;
  };
  const normalise = (): void => {
    while (range < TOP) {
      range *= 256;
      shift();
    }
  };
  return {
    bit(odds, at, bit) {
      const bound = (range >>> PROBABILITY_BITS) * odds[at]!;
      if (bit === 0) range = bound;
      else {
        low += bound;
        range -= bound;
      }
      learn(odds, at, bit);
      normalise();
    },
    plain(value, width) {
      range >>>= width;
      low += (value & ((1 << width) - 1)) * range;
      normalise();
    },
    finish() {
      for (let i = 0; i < 5; i++) shift();
      return bytes.slice(0, length);
    },
  };
}

export interface RangeDecoder {
  bit(odds: Odds, at: number): number;
  plain(width: number): number;
  /** @throws NmktError `bad-blob` unless an encoder of the same decisions ends exactly here */
  finish(): void;
}

/** @throws (each call) NmktError `bad-blob` at the end of the bytes, or for what no encoder writes */
export function rangeDecoder(bytes: Bytes): RangeDecoder {
  let at = 0;
  let range = CARRY - 1;
  /** What is left of the number above the low end of the range: always below the range. */
  let code = 0;
  const pull = (): number => {
    if (at >= bytes.length) throw notCoded(`more than ${bytes.length} bytes`, 'their end');
    return bytes[at++]!;
  };
  if (pull() !== 0) throw notCoded('a first byte of 0', `${bytes[0]!}`);
  for (let i = 0; i < 4; i++) code = code * 256 + pull();
  if (code >= range) throw notCoded('a number within the range', 'one above it');
  const normalise = (): void => {
    while (range < TOP) {
      range *= 256;
      code = code * 256 + pull();
    }
  };
  return {
    bit(odds, place) {
      const bound = (range >>> PROBABILITY_BITS) * odds[place]!;
      const bit = code < bound ? 0 : 1;
      if (bit === 0) range = bound;
      else {
        code -= bound;
        range -= bound;
      }
      learn(odds, place, bit);
      normalise();
      return bit;
    },
    plain(width) {
      range >>>= width;
      const value = Math.floor(code / range);
      if (value >= 1 << width) throw notCoded('a number within the range', 'one above it');
      code -= value * range;
      normalise();
      return value;
    },
    finish() {
      if (at !== bytes.length) throw notCoded(`${at} bytes`, `${bytes.length}`);
      if (code !== 0) throw notCoded('an end at the low end of the range', 'another one');
    },
  };
}

function notCoded(expected: string, got: string): Error {
  return badFile('the bytes are not those of a range coder', { expected, got });
}
