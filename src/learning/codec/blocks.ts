import type { Bytes } from '../../hash.js';
import { prng } from '../prng.js';
import { badFile } from '../safetensors-header.js';
import { checkRange } from './flat.js';
import { bodyOf, checkLength, framed, viewOf } from './frame.js';

/**
 * `int8`, `int4`: blocks of 256 changes share a scale (float32, little-endian): the largest change of the block is `top` times it. Then one
 * code per change, round(change / scale), up or down at random so that the mean over seeds is the change (QSGD, Alistarh et al. 2017,
 * arXiv:1610.02132). Codes in two's complement; of int4 two in a byte, the first in the low half.
 */

const BLOCK = 256;
const SCALE_BYTES = 4;
const TWO_16 = 65536;

interface Width {
  readonly name: 'int8' | 'int4';
  readonly bits: 8 | 4;
  /** The largest code. */
  readonly top: number;
}
export const INT8: Width = { name: 'int8', bits: 8, top: 127 };
export const INT4: Width = { name: 'int4', bits: 4, top: 7 };

const codeBytes = ({ bits }: Width, count: number): number => Math.ceil((count * bits) / 8);

export function blockBytes(width: Width, count: number): number {
  const last = count % BLOCK;
  const whole = (count - last) / BLOCK;
  return whole * (SCALE_BYTES + codeBytes(width, BLOCK)) + (last > 0 ? SCALE_BYTES + codeBytes(width, last) : 0);
}

/** Two 16-bit numbers of each word of the stream `codec/round`, the high half first. */
function draws(seed: Bytes): () => number {
  const stream = prng(seed, 'codec/round');
  let word = 0;
  let isHigh = false;
  return () => {
    isHigh = !isHigh;
    if (!isHigh) return word & 0xffff;
    word = stream.uint32();
    return word >>> 16;
  };
}

export function encodeBlocks(width: Width, change: Float32Array, seed: Bytes): Bytes {
  const { bytes, body } = framed(width.name, blockBytes(width, change.length));
  const view = viewOf(body);
  const draw = draws(seed);
  let at = 0;
  for (let from = 0; from < change.length; from += BLOCK) {
    const block = change.subarray(from, from + BLOCK);
    let largest = 0;
    for (const value of block) largest = Math.max(largest, Math.abs(value));
    const scale = scaleOf(largest, width.top);
    view.setFloat32(at, scale, true);
    at += SCALE_BYTES;
    if (scale > 0)
      block.forEach((value, i) => {
        const code =
          Math.abs(value) === largest ? width.top * Math.sign(value) : rounded(value / scale, draw(), width.top);
        if (width.bits === 8) body[at + i] = code & 0xff;
        else body[at + (i >> 1)]! |= (code & 0xf) << (i % 2 === 0 ? 0 : 4);
      });
    at += codeBytes(width, block.length);
  }
  return bytes;
}

/** Below it scales are no normal numbers: such changes are not sent. */
const LEAST_SCALE = 2 ** -126;

/** @throws NmktError `training-failed` where the largest code would be beyond float32 */
function scaleOf(largest: number, top: number): number {
  const scale = Math.fround(largest / top);
  checkRange(Float32Array.of(scale * top));
  return scale < LEAST_SCALE ? 0 : scale;
}

/** Up with the probability of the part behind the point, in steps of 2^-16. */
function rounded(value: number, draw: number, top: number): number {
  const down = Math.floor(value);
  const code = draw < Math.floor((value - down) * TWO_16) ? down + 1 : down;
  return Math.max(-top, Math.min(top, code));
}

/** @throws NmktError `bad-blob` */
export function blockChange(width: Width, bytes: Bytes, count: number): Float32Array {
  const body = bodyOf(width.name, bytes);
  checkLength(body, blockBytes(width, count));
  const view = viewOf(body);
  const out = new Float32Array(count);
  let at = 0;
  for (let from = 0; from < count; from += BLOCK) {
    const length = Math.min(BLOCK, count - from);
    const scale = view.getFloat32(at, true);
    if (!Number.isFinite(scale) || Object.is(scale, -0) || (scale !== 0 && scale < LEAST_SCALE))
      throw notCanonical(`the scale ${scale}`, 'finite, 0 or at least 2^-126', from);
    at += SCALE_BYTES;
    let largest = 0;
    for (let i = 0; i < length; i++) {
      const code = width.bits === 8 ? view.getInt8(at + i) : (body[at + (i >> 1)]! << (i % 2 === 0 ? 28 : 24)) >> 28;
      if (code < -width.top) throw notCanonical(`the code ${code}`, `-${width.top} to ${width.top}`, from + i);
      largest = Math.max(largest, Math.abs(code));
      out[from + i] = scale * code;
    }
    if (width.bits === 4 && length % 2 === 1 && body[at + (length >> 1)]! >> 4 !== 0)
      throw notCanonical('bits behind the last code', 'zeros', from);
    if (largest !== (scale > 0 ? width.top : 0))
      throw notCanonical(`a largest code of ${largest} at scale ${scale}`, `${scale > 0 ? width.top : 0}`, from);
    at += codeBytes(width, length);
  }
  return out;
}

function notCanonical(got: string, expected: string, at: number): Error {
  return badFile('a block of the update is not canonical', { expected, got: `${got}, at ${at}` });
}
