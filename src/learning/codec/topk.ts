import type { Bytes } from '../../hash.js';
import { badFile } from '../safetensors-header.js';
import { bitReader, bitWriter, type BitReader, type BitWriter } from './bits.js';
import { bodyOf, FRAME_BYTES, framed } from './frame.js';

/**
 * `topk`: of each chunk of changes the `keep` largest in size, as positions and codes of a few bits; what is left out or rounded away
 * waits in the residual for the next round (error feedback; SparseLoCo, Sarfi et al. 2025, arXiv:2508.15706, whose chunks and 2-bit codes
 * these are). Chunks run over the borders of tensors. Of equal sizes the lower position is kept. Positions are written as Golomb-Rice codes of
 * their gaps: 7.6 bits each where 64 of 4,096 are kept, where a plain position takes 12.
 *
 * With 4 bits a code is a sign and one of 8 sizes, 1/8 to 8/8 of the largest; with 2 bits a sign and one of two sizes, the means of the
 * changes below and above the mean size. What is nearer to zero than to the least size is not sent, so a chunk may keep fewer.
 */
export interface TopK {
  /** Changes that share scales, 2 to 65,536. */
  readonly chunk: number;
  /** Of each chunk, 1 to `chunk`; of a shorter last one its share, rounded up. */
  readonly keep: number;
  readonly bits: 2 | 4;
}

/** How many of the last chunk are kept, too. */
function keptOf({ chunk, keep }: TopK, length: number): number {
  return Math.ceil((keep * length) / chunk);
}

/** Bits behind the unary part of a gap: the largest k with 2^k at most 0.69 of the mean gap. */
function riceBits({ chunk, keep }: TopK): number {
  let k = 0;
  while (2 * (1 << k) * 100 * keep <= 69 * chunk) k++;
  return k;
}

/** Bits of the number of kept ones. */
function countBits({ keep }: TopK): number {
  let bits = 1;
  while (1 << bits <= keep) bits++;
  return bits;
}

/** Below it an eighth would not be a normal number. */
const LEAST_SCALE = 2 ** -123;

/** The most bytes of an encoded update; the unary parts of a chunk's gaps add up to at most chunk / 2^k. */
export function mostTopKBytes(of: TopK, count: number): number {
  const k = riceBits(of);
  const perChunk = 64 + countBits(of) + of.keep * (of.bits + k + 1) + (of.chunk >> k);
  return FRAME_BYTES + Math.ceil((Math.ceil(count / of.chunk) * perChunk) / 8);
}

/** @returns the bytes and what they stand for */
export function encodeTopK(of: TopK, change: Float32Array): { readonly bytes: Bytes; readonly sent: Float32Array } {
  const writer = bitWriter(mostTopKBytes(of, change.length));
  const sent = new Float32Array(change.length);
  for (let from = 0; from < change.length; from += of.chunk) {
    const chunk = change.subarray(from, from + of.chunk);
    const most = largest(chunk, keptOf(of, chunk.length)).filter((i) => chunk[i] !== 0);
    const scales = of.bits === 4 ? largestSize(chunk, most) : twoMeans(chunk, most);
    scales.forEach((scale) => writer.float32(scale));
    if (scales[0] === 0) continue;
    const kept = of.bits === 4 ? most.filter((i) => eighthsOf(Math.abs(chunk[i]!), scales[0]!) > 0) : most;
    writer.put(kept.length, countBits(of));
    writePositions(writer, kept, riceBits(of));
    for (const i of kept) {
      const size =
        of.bits === 4 ? eighthsOf(Math.abs(chunk[i]!), scales[0]!) - 1 : levelOf(Math.abs(chunk[i]!), scales);
      const isBelow = chunk[i]! < 0;
      writer.put(isBelow ? 1 : 0, 1);
      writer.put(size, of.bits - 1);
      sent[from + i] = (isBelow ? -1 : 1) * sizeOf(of, size, scales);
    }
  }
  const body = writer.finish();
  const { bytes, body: place } = framed('topk', body.length);
  place.set(body);
  return { bytes, sent };
}

/** @throws NmktError `bad-blob` for bytes that `encodeTopK` does not write */
export function topKChange(of: TopK, bytes: Bytes, count: number): Float32Array {
  const reader = bitReader(bodyOf('topk', bytes));
  const out = new Float32Array(count);
  for (let from = 0; from < count; from += of.chunk)
    readChunk(of, reader, out.subarray(from, Math.min(count, from + of.chunk)), from);
  reader.finish();
  return out;
}

function readChunk(of: TopK, reader: BitReader, out: Float32Array, from: number): void {
  const scales = Array.from({ length: of.bits === 4 ? 1 : 2 }, () => reader.float32());
  const [top, low] = [scales[0]!, scales[1] ?? 0];
  const isScale = (value: number) => Number.isFinite(value) && value >= 0 && !Object.is(value, -0);
  if (!isScale(top) || !isScale(low) || (low >= top && top > 0) || (top === 0 && low > 0))
    throw notCanonical(from, 'scales that are finite, not below zero, the larger first', scales.join(', '));
  if (top === 0) return;
  if (of.bits === 4 && top < LEAST_SCALE) throw notCanonical(from, 'a scale of at least 2^-123, or 0', `${top}`);
  const count = reader.get(countBits(of));
  if (count < 1 || count > keptOf(of, out.length))
    throw notCanonical(from, `1 to ${keptOf(of, out.length)} values`, `${count}`);
  const used = new Set<number>();
  for (const i of readPositions(reader, count, riceBits(of), out.length, from)) {
    const isBelow = reader.get(1) === 1;
    const size = reader.get(of.bits - 1);
    used.add(size);
    out[i] = (isBelow ? -1 : 1) * sizeOf(of, size, scales);
  }
  const isTopUsed = used.has(of.bits === 4 ? 7 : 1);
  const isLowRight = of.bits === 4 || used.has(0) === low > 0;
  if (!isTopUsed || !isLowRight) throw notCanonical(from, 'scales that are used', scales.join(', '));
}

/** Ascending positions of the `count` largest sizes. */
function largest(chunk: Float32Array, count: number): readonly number[] {
  const sizes = Float32Array.from(chunk, Math.abs);
  const bound = Float32Array.from(sizes).sort()[sizes.length - count]!;
  let ties = count - sizes.reduce((sum, size) => sum + (size > bound ? 1 : 0), 0);
  const kept: number[] = [];
  for (let i = 0; i < sizes.length; i++) if (sizes[i]! > bound || (sizes[i] === bound && ties-- > 0)) kept.push(i);
  return kept;
}

/** 0 where nothing is to be sent. */
function largestSize(chunk: Float32Array, kept: readonly number[]): readonly number[] {
  const top = kept.reduce((max, i) => Math.max(max, Math.abs(chunk[i]!)), 0);
  return [top < LEAST_SCALE ? 0 : top];
}

/** 0 to 8. */
function eighthsOf(size: number, top: number): number {
  return Math.round((size / top) * 8);
}

function twoMeans(chunk: Float32Array, kept: readonly number[]): readonly number[] {
  const mean = meanSize(chunk, kept);
  const above = kept.filter((i) => Math.abs(chunk[i]!) >= mean);
  const below = kept.filter((i) => Math.abs(chunk[i]!) < mean);
  const [high, low] = [Math.fround(meanSize(chunk, above)), Math.fround(meanSize(chunk, below))];
  // One size for all where two cannot be told apart.
  return low > 0 && low < high ? [high, low] : [Math.fround(mean), 0];
}

function meanSize(chunk: Float32Array, kept: readonly number[]): number {
  return kept.length === 0 ? 0 : kept.reduce((sum, i) => sum + Math.abs(chunk[i]!), 0) / kept.length;
}

/** Nearest of the two sizes, the larger when halfway. */
function levelOf(size: number, [high, low]: readonly number[]): number {
  return low === 0 || size * 2 >= high! + low! ? 1 : 0;
}

function sizeOf(of: TopK, size: number, [high, low]: readonly number[]): number {
  if (of.bits === 4) return Math.fround((high! * (size + 1)) / 8);
  return size === 1 ? high! : low!;
}

function writePositions(writer: BitWriter, kept: readonly number[], k: number): void {
  let next = 0;
  for (const i of kept) {
    const gap = i - next;
    writer.unary(gap >> k);
    writer.put(gap, k);
    next = i + 1;
  }
}

function readPositions(reader: BitReader, count: number, k: number, length: number, from: number): number[] {
  let next = 0;
  return Array.from({ length: count }, () => {
    const quotient = reader.unary(length >> k);
    const at = next + (quotient << k) + reader.get(k);
    if (at >= length) throw notCanonical(from, `positions below ${length}`, `${at}`);
    next = at + 1;
    return at;
  });
}

function notCanonical(from: number, expected: string, got: string): Error {
  return badFile('a chunk of the update is not canonical', { expected, got: `${got}, in the chunk at ${from}` });
}
