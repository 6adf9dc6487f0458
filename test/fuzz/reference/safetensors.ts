import { JsonNumber, JsonObject, fieldOf, readJson, refuse, type Json } from './json.js';

/** The safetensors format as its page has it, and the canonical form of docs/protocol.md, value by value. */

const BYTES: Readonly<Record<string, bigint>> = {
  ...{ BOOL: 1n, U8: 1n, I8: 1n, F8_E4M3: 1n, F8_E5M2: 1n, U16: 2n, I16: 2n, F16: 2n, BF16: 2n },
  ...{ U32: 4n, I32: 4n, F32: 4n, U64: 8n, I64: 8n, F64: 8n },
};

export interface Tensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Buffer;
}

function sizes(json: Json | undefined): bigint[] {
  if (!Array.isArray(json)) return refuse('no list of sizes');
  return json.map((size) => {
    if (!(size instanceof JsonNumber)) return refuse('no size');
    const number = Number(size.text);
    return Number.isSafeInteger(number) && number >= 0 ? BigInt(number) : refuse(`${size.text}: no size`);
  });
}

/** In the order of the data; every byte after the header belongs to exactly one tensor. */
export function readTensors(file: Uint8Array): { readonly header: string; readonly tensors: Tensor[] } {
  const bytes = Buffer.from(file);
  if (bytes.length < 8) return refuse('no length');
  const length = bytes.readBigUInt64LE(0);
  if (BigInt(bytes.length) < 8n + length) return refuse('a header that is cut');
  const start = 8 + Number(length);
  const header = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, start));
  if (!header.startsWith('{')) return refuse('no object at once');
  const json = readJson(header);
  if (!(json instanceof JsonObject)) return refuse('no object');
  const names = [...new Set(json.fields.map(([name]) => name))].filter((name) => name !== '__metadata__');
  const found = names.map((name) => {
    const entry = fieldOf(json, name);
    if (!(entry instanceof JsonObject)) return refuse('no entry');
    const dtype = fieldOf(entry, 'dtype');
    const unit = typeof dtype === 'string' && Object.hasOwn(BYTES, dtype) ? BYTES[dtype]! : refuse('no dtype');
    const shape = sizes(fieldOf(entry, 'shape'));
    const [begin, end, ...more] = sizes(fieldOf(entry, 'data_offsets'));
    if (begin === undefined || end === undefined || more.length > 0) return refuse('no offsets');
    if (end - begin !== shape.reduce((product, size) => product * size, unit)) return refuse('another size');
    return { name, dtype: dtype as string, shape: shape.map(Number), begin, end };
  });
  found.sort((a, b) => Number(a.begin - b.begin) || Number(a.end - b.end));
  let covered = 0n;
  for (const { begin, end } of found) {
    if (begin !== covered) return refuse('a hole, or an overlap');
    covered = end;
  }
  if (covered !== BigInt(bytes.length - start)) return refuse('bytes that belong to no tensor');
  const tensors = found.map(({ name, dtype, shape, begin, end }) => {
    const data = Buffer.from(bytes.subarray(start + Number(begin), start + Number(end)));
    return { name, dtype, shape, data };
  });
  return { header, tensors };
}

/** Sorted keys, no white space but spaces up to a multiple of eight, no metadata, contiguous in that order, finite. */
export function readCanonical(file: Uint8Array): Tensor[] {
  const { header, tensors } = readTensors(file);
  const sorted = [...tensors].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  let at = 0;
  const entries = sorted.map(({ name, dtype, shape, data }) => {
    const [begin, end] = [at, (at += data.length)];
    return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${begin},${end}]}`;
  });
  const json = `{${entries.join(',')}}`;
  if (header !== json.padEnd(Math.ceil(json.length / 8) * 8, ' ')) refuse('another spelling of the header');
  for (const { dtype, data } of sorted) {
    if (!['F32', 'U8', 'I32'].includes(dtype)) refuse(`${dtype} is not canonical`);
    if (dtype !== 'F32') continue;
    for (let i = 0; i < data.length; i += 4) if (!Number.isFinite(data.readFloatLE(i))) refuse('not finite');
  }
  return sorted;
}

/** IDX: two zero bytes, type 8, rank 1 to 4, sizes as big-endian u32, then exactly the values. */
export function readIdx(file: Uint8Array): { readonly shape: number[]; readonly data: Buffer } {
  const bytes = Buffer.from(file);
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== 8) return refuse('no IDX of bytes');
  const rank = bytes[3]!;
  if (rank < 1 || rank > 4 || bytes.length < 4 + 4 * rank) return refuse('rank');
  const shape = Array.from({ length: rank }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const data = bytes.subarray(4 + 4 * rank);
  const volume = shape.map(BigInt).reduce((product, size) => product * size, 1n);
  return volume === BigInt(data.length) ? { shape, data: Buffer.from(data) } : refuse('another length');
}
