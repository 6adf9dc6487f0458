import { hmacSha256, sha256Latin1, type Bytes } from '../hash.js';

/**
 * A stream of numbers that follows from (seed, label) alone, equal on every machine.
 *
 * key = HMAC-SHA256(seed, label); block i = SHA-256(key || u64be(i)), i = 0, 1, ...; the blocks are read as big-endian
 * 32-bit words, in order, none skipped except by `below`. Labels separate domains: give every use its own.
 */
export interface Prng {
  /** Integer in [0, 2^32). */
  uint32(): number;
  /** Multiple of 2^-53 in [0, 1); takes two words, the high 27 bits of the first and the high 26 of the second. */
  float(): number;
  /**
   * About normal, mean 0, stdDev 1: the sum of 12 floats minus 6 (Irwin-Hall), so within [-6, 6] with thinner tails than
   * a true normal. Box-Muller needs log and cos, whose bits differ between engines. No use for differential privacy.
   */
  normal(): number;
  /** Integer in [0, n), each equally likely (words at or above the last multiple of n are skipped); n an integer in [1, 2^32]. */
  below(n: number): number;
  /** The integers 0 to n - 1 in random order (Fisher-Yates from the end, Knuth TAOCP 2, Algorithm P). */
  shuffle(n: number): Uint32Array;
}

const TWO_16 = 65536;
const TWO_32 = 4294967296;
const TWO_26 = 67108864;
const TWO_53 = 9007199254740992;
const KEY_BYTES = 32;
const BLOCK_BYTES = 32;

export function prng(seed: Bytes, label: string): Prng {
  const input = new Uint8Array(KEY_BYTES + 8);
  input.set(hmacSha256(seed, label));
  const counter = new DataView(input.buffer, KEY_BYTES);
  let blocks = 0n;
  let block = '';
  let at = BLOCK_BYTES;

  function uint32(): number {
    if (at === BLOCK_BYTES) {
      counter.setBigUint64(0, blocks);
      block = sha256Latin1(input);
      blocks += 1n;
      at = 0;
    }
    const high = (block.charCodeAt(at) << 8) | block.charCodeAt(at + 1);
    const low = (block.charCodeAt(at + 2) << 8) | block.charCodeAt(at + 3);
    at += 4;
    return high * TWO_16 + low;
  }

  function float(): number {
    const high = uint32() >>> 5;
    const low = uint32() >>> 6;
    return (high * TWO_26 + low) / TWO_53;
  }

  function normal(): number {
    let sum = 0;
    for (let i = 0; i < 12; i++) sum += float();
    return sum - 6;
  }

  function below(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_32)
      throw new RangeError(`below(n) takes an integer in [1, 2^32], got ${n}`);
    const end = TWO_32 - (TWO_32 % n);
    for (;;) {
      const value = uint32();
      if (value < end) return value % n;
    }
  }

  function shuffle(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = below(i + 1);
      const kept = order[i]!;
      order[i] = order[j]!;
      order[j] = kept;
    }
    return order;
  }

  return { uint32, float, normal, below, shuffle };
}
