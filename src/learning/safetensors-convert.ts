import { badFile } from './safetensors-header.js';

/** Other dtypes as float32, for files from outside. Exact for F16 and BF16, rounded to nearest for F64 and I64. */
export function float32From(name: string, dtype: string, buffer: ArrayBuffer): Float32Array {
  switch (dtype) {
    case 'F64':
      return Float32Array.from(new Float64Array(buffer));
    case 'I64':
      return Float32Array.from(new BigInt64Array(buffer), Number);
    case 'F16':
      return Float32Array.from(new Uint16Array(buffer), float16);
    case 'BF16':
      return bfloat16(new Uint16Array(buffer));
    default:
      throw badFile(`tensor ${name.slice(0, 80)} has dtype ${dtype}`, {
        expected: 'F32, U8, I32, F64, F16, BF16 or I64',
        got: dtype,
      });
  }
}

/** A bfloat16 is the upper half of a float32. */
function bfloat16(halves: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 of fraction. Every value is a float32. */
function float16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return (sign * fraction) / 16777216; // 2^24
  // (1 + fraction / 1024) * 2^(exponent - 15), the power taken apart so that it stays an integer
  return (sign * (1024 + fraction) * (1 << exponent)) / 33554432; // 2^25
}
