import type { Codec } from '../../../src/learning/codec/codec.js';
import { refuse } from './json.js';

/** The section "Codecs" of docs/protocol.md, read slowly: bits as text, one number at a time. Gives the changes. */

const IDS = { f16: '01', int8: '02', int4: '03', topk: '04' } as const;

export function readChanges(codec: Exclude<Codec, { name: 'f32' }>, count: number, file: Uint8Array): number[] {
  const name = codec.name as keyof typeof IDS;
  if (Buffer.from(file.subarray(0, 4)).toString('hex') !== `4e5501${IDS[name]}`) refuse('another frame');
  const body = file.subarray(4);
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  if (codec.name === 'f16') {
    if (body.length !== 2 * count) refuse('another length');
    return Array.from({ length: count }, (_, i) => half(view.getUint16(2 * i, true)));
  }
  if (codec.name === 'topk') return topK(codec, count, body);
  const wide = codec.name === 'int8';
  const out: number[] = [];
  let at = 0;
  while (out.length < count) {
    const length = Math.min(256, count - out.length);
    const bytes = wide ? length : Math.ceil(length / 2);
    if (at + 4 + bytes > body.length) refuse('too short');
    const scale = view.getFloat32(at, true);
    if (!(scale === 0 || scale >= 2 ** -126) || scale === Infinity || Object.is(scale, -0)) refuse('no scale');
    const nibbles = [...body.subarray(at + 4, at + 4 + bytes)].flatMap((byte) =>
      wide ? [byte] : [byte % 16, byte >> 4],
    );
    const half = wide ? 128 : 8;
    const codes = nibbles.map((value) => (value >= half ? value - 2 * half : value));
    if (codes.slice(length).some((code) => code !== 0)) refuse('bits behind the end');
    if (codes.includes(-half)) refuse('the lowest code');
    if (Math.max(...codes.map(Math.abs)) !== (scale === 0 ? 0 : half - 1)) refuse('no largest code');
    out.push(...codes.slice(0, length).map((code) => Math.fround(code * scale)));
    at += 4 + bytes;
  }
  return at === body.length ? out : refuse('too long');
}

function half(bits: number): number {
  const text = bits.toString(2).padStart(16, '0');
  const exponent = Number.parseInt(text.slice(1, 6), 2);
  const fraction = Number.parseInt(text.slice(6), 2) / 1024;
  if (exponent === 31 || bits === 0x8000) refuse('no half');
  return (text[0] === '1' ? -1 : 1) * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

function topK(of: Extract<Codec, { name: 'topk' }>, count: number, body: Uint8Array): number[] {
  const bits = [...body].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let at = 0;
  const take = (width: number): string => {
    if (at + width > bits.length) refuse('too short');
    at += width;
    return bits.slice(at - width, at);
  };
  const float = (): number => Buffer.from([0, 8, 16, 24].map(() => Number.parseInt(take(8), 2))).readFloatBE();
  let k = 0;
  while (2 ** (k + 1) <= (0.69 * of.chunk) / of.keep) k++;
  const out: number[] = [];
  while (out.length < count) {
    const length = Math.min(of.chunk, count - out.length);
    const chunk = new Array<number>(length).fill(0);
    const scales = of.bits === 4 ? [float()] : [float(), float()];
    const [top, low = 0] = scales as [number, number?];
    for (const scale of scales) if (!(scale >= 0 && scale < Infinity) || Object.is(scale, -0)) refuse('no scale');
    if (top === 0 ? low !== 0 : low >= top) refuse('the lower scale is not below');
    const sizes = of.bits === 4 ? [1, 2, 3, 4, 5, 6, 7, 8].map((n) => Math.fround((top * n) / 8)) : [low, top];
    const used: number[] = [];
    if (of.bits === 4 && top > 0 && top < 2 ** -123) refuse('a scale next to nothing');
    const kept = top > 0 ? Number.parseInt(take(of.keep.toString(2).length), 2) : 0;
    if (top > 0 && (kept < 1 || kept > Math.ceil((of.keep * length) / of.chunk))) refuse('another count');
    let next = 0;
    const places: number[] = [];
    for (let left = kept; left > 0; left--) {
      let quotient = 0;
      while (take(1) === '1') quotient++;
      const place = next + quotient * 2 ** k + (k === 0 ? 0 : Number.parseInt(take(k), 2));
      if (place >= length) refuse('behind the end');
      places.push(place);
      next = place + 1;
    }
    for (const place of places) {
      const sign = take(1) === '1' ? -1 : 1;
      const size = Number.parseInt(take(of.bits - 1), 2);
      used.push(size);
      chunk[place] = sign * sizes[size]!;
    }
    if (top > 0 && !used.includes(sizes.length - 1)) refuse('the largest size is unused');
    if (of.bits === 2 && top > 0 && used.includes(0) !== low > 0) refuse('the lower size');
    out.push(...chunk);
  }
  return bits.length - at < 8 && !bits.slice(at).includes('1') ? out : refuse('more than the last byte');
}
