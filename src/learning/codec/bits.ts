import type { Bytes } from '../../hash.js';
import { badFile } from '../safetensors-header.js';

/** Numbers of any width one behind the other, the high bit first; the last byte is filled with zeros. */

export interface BitWriter {
  /** The low `width` bits of a number, width 0 to 24. */
  put(value: number, width: number): void;
  /** So many ones, then a zero. */
  unary(count: number): void;
  float32(value: number): void;
  finish(): Bytes;
}

const scratch = new DataView(new ArrayBuffer(4));

/** @param mostBytes  room; the result is as long as what was written */
export function bitWriter(mostBytes: number): BitWriter {
  const bytes = new Uint8Array(mostBytes);
  let bit = 0;
  const put = (value: number, width: number): void => {
    for (let left = width; left > 0;) {
      const room = 8 - (bit & 7);
      const take = Math.min(room, left);
      left -= take;
      bytes[bit >> 3]! |= ((value >>> left) & ((1 << take) - 1)) << (room - take);
      bit += take;
    }
  };
  return {
    put,
    unary(count) {
      for (let left = count; left > 0; left -= 16) put(0xffff, Math.min(16, left));
      put(0, 1);
    },
    float32(value) {
      scratch.setFloat32(0, value);
      put(scratch.getUint16(0), 16);
      put(scratch.getUint16(2), 16);
    },
    finish: () => bytes.slice(0, (bit + 7) >> 3),
  };
}

export interface BitReader {
  get(width: number): number;
  /** @param most  ones; more are refused */
  unary(most: number): number;
  float32(): number;
  /** @throws NmktError `bad-blob` when more than the zeros of the last byte are left */
  finish(): void;
}

/** @throws (each call) NmktError `bad-blob` at the end of the bytes */
export function bitReader(bytes: Bytes): BitReader {
  const end = bytes.length * 8;
  let bit = 0;
  const get = (width: number): number => {
    if (bit + width > end)
      throw badFile('the update ends early', { expected: `${width} more bits`, got: `${end - bit}` });
    let value = 0;
    for (let left = width; left > 0;) {
      const room = 8 - (bit & 7);
      const take = Math.min(room, left);
      value = (value << take) | ((bytes[bit >> 3]! >> (room - take)) & ((1 << take) - 1));
      left -= take;
      bit += take;
    }
    return value;
  };
  return {
    get,
    unary(most) {
      let count = 0;
      while (get(1) === 1)
        if (++count > most) throw badFile('a gap in the update is too wide', { expected: `${most}`, got: 'more' });
      return count;
    },
    float32() {
      scratch.setUint16(0, get(16));
      scratch.setUint16(2, get(16));
      return scratch.getFloat32(0);
    },
    finish() {
      const left = end - bit;
      if (left > 7 || get(left) !== 0)
        throw badFile('the update goes on behind its last value', {
          expected: 'at most 7 zero bits',
          got: `${left} bits`,
        });
    },
  };
}
