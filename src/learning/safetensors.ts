import { NmktError } from '../errors.js';
import { type Bytes } from '../hash.js';
import { badFile, readHeader, sizeOf, writeHeader, type Entry, type Header } from './safetensors-header.js';
import { float32From } from './safetensors-convert.js';
import type { ParamSet } from './types.js';

/** A tensor of one of the three stored types: F32, U8 or I32 by the class of `data`; row-major. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array | Int32Array;
}

export interface SizeLimits {
  /** Of the file; nothing is allocated for a longer one. */
  readonly maxBytes: number;
}

export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
  /** F32 when absent. */
  readonly dtype?: string;
}

/** Printable ASCII without `"` and `\`: one spelling in JSON, and byte order is string order. */
const CANONICAL_NAME = /^[!#-[\]-~]{1,256}$/;
const CANONICAL_DTYPES: ReadonlySet<string> = new Set(['F32', 'U8', 'I32']);

export function dtypeOf(data: StoredTensor['data']): 'F32' | 'U8' | 'I32' {
  return data instanceof Float32Array ? 'F32' : data instanceof Int32Array ? 'I32' : 'U8';
}

function bytesOf(data: StoredTensor['data']): Bytes {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Where, or -1. Exponent bits all set: an infinity or a NaN. Through the bits, as a NaN's payload is not to be touched. */
export function firstNonFinite(data: Float32Array): number {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & 0x7f800000) === 0x7f800000) return i;
  return -1;
}

function checkFinite(name: string, data: StoredTensor['data']): void {
  const at = data instanceof Float32Array ? firstNonFinite(data) : -1;
  if (at >= 0)
    throw badFile(`tensor ${name} holds a number that is not finite`, {
      expected: 'finite float32',
      got: `${data[at]!} at index ${at}`,
    });
}

function layout(tensors: readonly StoredTensor[]): Entry[] {
  let begin = 0;
  return tensors.map(({ name, shape, data }, i) => {
    if (!CANONICAL_NAME.test(name) || name === '__metadata__')
      throw badFile(`tensor name ${JSON.stringify(name.slice(0, 80))} is not allowed`, {
        expected: '1 to 256 printable ASCII characters but " and \\',
      });
    if (i > 0 && tensors[i - 1]!.name === name) throw badFile(`two tensors are named ${name}`);
    if (sizeOf(shape, 1) !== data.length)
      throw badFile(`tensor ${name} does not have the size of its shape`, {
        expected: `shape [${shape.join(', ')}]`,
        got: `${data.length} elements`,
      });
    checkFinite(name, data);
    const end = begin + data.byteLength;
    const entry = { name, dtype: dtypeOf(data), shape, begin, end };
    begin = end;
    return entry;
  });
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/**
 * The canonical file of these tensors, whatever their order: equal tensors give equal bytes on every (little-endian) machine.
 *
 * @throws NmktError `bad-blob` for NaN or infinity, a double or unprintable name, data that do not fill the shape
 */
export function encodeSafetensors(tensors: readonly StoredTensor[]): Bytes {
  const sorted = [...tensors].sort(byName);
  const entries = layout(sorted);
  const header = writeHeader(entries);
  const file = new Uint8Array(header.length + (entries.at(-1)?.end ?? 0));
  file.set(header);
  entries.forEach((entry, i) => file.set(bytesOf(sorted[i]!.data), header.length + entry.begin));
  return file;
}

/** A copy, so that the result is aligned and does not change with the file. */
function readData(file: Bytes, header: Header, { name, dtype, shape, begin, end }: Entry): StoredTensor {
  const { buffer } = new Uint8Array(file.subarray(header.dataStart + begin, header.dataStart + end));
  if (dtype === 'F32') return { name, shape, data: new Float32Array(buffer) };
  if (dtype === 'U8') return { name, shape, data: new Uint8Array(buffer) };
  if (dtype === 'I32') return { name, shape, data: new Int32Array(buffer) };
  return { name, shape, data: float32From(name, dtype, buffer) };
}

function checkSize(file: Bytes, maxBytes: number): void {
  if (file.length > maxBytes)
    throw new NmktError('too-large', 'a safetensors file is above the limit', {
      remedy: 'raise the limit only if you trust its author',
      expected: `at most ${maxBytes} bytes`,
      got: `${file.length}`,
    });
}

/**
 * Reads any valid safetensors file, e.g. one written by PyTorch. F64, F16, BF16 and I64 become float32 (rounded);
 * other dtypes than these, F32, U8 and I32 are refused. NaN passes: the caller decides.
 *
 * @returns in the order of the data
 * @throws  NmktError `bad-blob`, `too-large`
 */
export function decodeSafetensors(file: Bytes, limits: SizeLimits): StoredTensor[] {
  checkSize(file, limits.maxBytes);
  const header = readHeader(file);
  return header.entries.map((entry) => readData(file, header, entry));
}

function readCanonicalHeader(file: Bytes): Header {
  const header = readHeader(file);
  const sorted = [...header.entries].sort(byName);
  const expected = writeHeader(sorted);
  const isSame =
    expected.length === header.dataStart &&
    expected.every((byte, i) => file[i] === byte) &&
    sorted.every((entry) => CANONICAL_DTYPES.has(entry.dtype) && CANONICAL_NAME.test(entry.name));
  if (!isSame)
    throw badFile('the safetensors file is valid but not canonical', {
      expected:
        'names in byte order, data in the same order, F32, U8 or I32, no __metadata__, no spaces but the padding',
    });
  return { entries: sorted, dataStart: header.dataStart };
}

function readCanonicalData(file: Bytes, header: Header): StoredTensor[] {
  return header.entries.map((entry) => {
    const tensor = readData(file, header, entry);
    checkFinite(tensor.name, tensor.data);
    return tensor;
  });
}

/**
 * Reads only what `encodeSafetensors` writes: one byte string per value. The header is written again and compared;
 * the data have no freedom left once they are finite and back to back.
 *
 * @returns sorted by name
 * @throws  NmktError `bad-blob`, `too-large`
 */
export function decodeCanonical(file: Bytes, limits: SizeLimits): StoredTensor[] {
  checkSize(file, limits.maxBytes);
  return readCanonicalData(file, readCanonicalHeader(file));
}

export function encodeParams(params: ParamSet): Bytes {
  return encodeSafetensors(params);
}

function describe(tensor: NamedShape | undefined): string {
  return tensor === undefined
    ? 'no further tensor'
    : `${tensor.dtype ?? 'F32'} ${tensor.name} [${tensor.shape.join(', ')}]`;
}

/** @throws NmktError `shape-mismatch` naming the first tensor, in order of names, that differs */
export function checkShapes(got: readonly NamedShape[], expected: readonly NamedShape[]): void {
  const want = [...expected].sort(byName);
  for (let i = 0; i < Math.max(got.length, want.length); i++) {
    const [left, right] = [describe(got[i]), describe(want[i])];
    if (left === right) continue;
    throw new NmktError(
      'shape-mismatch',
      `tensor ${want[i]?.name ?? got[i]!.name.slice(0, 80)} differs from the model`,
      {
        remedy: 'use the weights of this job and round',
        expected: right,
        got: left.slice(0, 200),
      },
    );
  }
}

/**
 * Canonical bytes to parameters of known names and shapes (float32), checked before any tensor is allocated.
 *
 * @throws NmktError `shape-mismatch`, `bad-blob`, `too-large` when longer than these shapes can be
 */
export function decodeParams(file: Bytes, expectedShapes: readonly NamedShape[]): ParamSet {
  const dataBytes = expectedShapes.reduce((sum, { shape }) => sum + (sizeOf(shape, 4) ?? Infinity), 0);
  const headerBytes = expectedShapes.reduce((sum, { name, shape }) => sum + name.length + 24 * shape.length + 128, 64);
  checkSize(file, dataBytes + headerBytes);
  const header = readCanonicalHeader(file);
  checkShapes(header.entries, expectedShapes);
  return readCanonicalData(file, header) as (StoredTensor & { data: Float32Array })[];
}
