import type { Bytes } from '../../hash.js';
import { badFile } from '../safetensors-header.js';
import { bodyOf, checkLength, framed, viewOf } from './frame.js';

/**
 * `f16`: each change as IEEE 754 binary16, little-endian, rounded to the nearest, ties to even. Beyond the largest half it is that one;
 * minus zero is written as zero.
 */

const LARGEST = 65504;
const MINUS_ZERO = 0x8000;

export const halfBytes = (count: number): number => 2 * count;

export function encodeHalf(change: Float32Array): Bytes {
  const { bytes, body } = framed('f16', halfBytes(change.length));
  const view = viewOf(body);
  change.forEach((value, i) => view.setUint16(2 * i, halfBits(value), true));
  return bytes;
}

/** @throws NmktError `bad-blob` */
export function halfChange(bytes: Bytes, count: number): Float32Array {
  const body = bodyOf('f16', bytes);
  checkLength(body, halfBytes(count));
  const view = viewOf(body);
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const bits = view.getUint16(2 * i, true);
    if ((bits & 0x7c00) === 0x7c00 || bits === MINUS_ZERO)
      throw badFile('a half in the update is not canonical', {
        expected: 'finite, no minus zero',
        got: `0x${bits.toString(16)} at ${i}`,
      });
    out[i] = halfValue(bits);
  }
  return out;
}

const scratch = new DataView(new ArrayBuffer(4));

function halfBits(value: number): number {
  scratch.setFloat32(0, Math.max(-LARGEST, Math.min(LARGEST, value)));
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude < 0x38800000) {
    // Subnormal: multiples of 2^-24, rounded in float64, where |value| * 2^24 is exact.
    const steps = roundTiesToEven(Math.abs(value) * 16777216);
    return steps === 0 ? 0 : sign | steps;
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | Math.min((rounded >>> 13) - (112 << 10), 0x7bff);
}

function roundTiesToEven(value: number): number {
  const down = Math.floor(value);
  const over = value - down;
  return over > 0.5 || (over === 0.5 && down % 2 === 1) ? down + 1 : down;
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return (sign * mantissa) / 16777216;
  const scale = exponent >= 25 ? 1 << (exponent - 25) : 1 / (1 << (25 - exponent));
  return sign * (1024 + mantissa) * scale;
}
