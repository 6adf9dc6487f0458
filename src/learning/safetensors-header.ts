import { concatBytes, utf8, type Bytes } from '../hash.js';
import { NmktError } from '../errors.js';

/** The head of a safetensors file (https://huggingface.co/docs/safetensors): u64le length, then JSON padded with spaces. */

/** Bytes per element of every dtype the format names that holds whole bytes. */
export const DTYPE_BYTES: Readonly<Record<string, number>> = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1 },
  ...{ U16: 2, I16: 2, F16: 2, BF16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8 },
};

/** One tensor's place: offsets in bytes from the end of the header. */
export interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  /** In the order of their data. */
  readonly entries: readonly Entry[];
  /** Where the data start in the file. */
  readonly dataStart: number;
}

/** Far above any model here (about 10,000 tensors); the reference implementation allows 100 MB. */
const MAX_HEADER_BYTES = 1_048_576;
const MAX_RANK = 8;
const MAX_NAME_LENGTH = 256;

export function badFile(message: string, detail: { expected?: string; got?: string; cause?: unknown } = {}): NmktError {
  return new NmktError('bad-blob', message, {
    remedy: 'fetch the file again, or write it with a current safetensors library',
    ...detail,
  });
}

/** The only header bytes for these entries: names in byte order, data back to back, no spaces but the padding to 8 bytes. */
export function writeHeader(entries: readonly Entry[]): Bytes {
  const fields = entries.map(
    ({ name, dtype, shape, begin, end }) =>
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${begin},${end}]}`,
  );
  const json = utf8(`{${fields.join(',')}}`);
  const padding = (8 - (json.length % 8)) % 8;
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length + padding), true);
  return concatBytes(length, json, new Uint8Array(padding).fill(0x20));
}

/** Product of the dimensions times `unit`; undefined past 2^53. */
export function sizeOf(shape: readonly number[], unit: number): number | undefined {
  let size = unit;
  for (const dimension of shape) size *= dimension;
  return Number.isSafeInteger(size) ? size : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function readEntry(name: string, value: unknown): Entry {
  const shown = JSON.stringify(name.slice(0, 80));
  if (name.length === 0 || name.length > MAX_NAME_LENGTH)
    throw badFile(`tensor name ${shown} has ${name.length} characters`, { expected: `1 to ${MAX_NAME_LENGTH}` });
  if (!isRecord(value)) throw badFile(`header entry ${shown} is no object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const unit = typeof dtype === 'string' && Object.hasOwn(DTYPE_BYTES, dtype) ? DTYPE_BYTES[dtype] : undefined;
  if (typeof dtype !== 'string' || unit === undefined)
    throw badFile(`tensor ${shown} has an unknown dtype`, {
      expected: Object.keys(DTYPE_BYTES).join(', '),
      // Never the JSON of what is nested: deep enough, it ends the stack.
      got: typeof dtype === 'string' ? JSON.stringify(dtype.slice(0, 80)) : typeof dtype,
    });
  if (!isSizes(shape) || shape.length > MAX_RANK)
    throw badFile(`tensor ${shown} has no usable shape`, { expected: `at most ${MAX_RANK} integers >= 0` });
  if (!isSizes(offsets) || offsets.length !== 2)
    throw badFile(`tensor ${shown} has no usable data_offsets`, { expected: '[begin, end]' });
  const [begin, end] = offsets as [number, number];
  const size = sizeOf(shape, unit);
  if (size === undefined || end - begin !== size)
    throw badFile(`tensor ${shown} does not fill its data_offsets`, {
      expected: `${size ?? 'more than 2^53'} bytes for shape [${shape.join(', ')}]`,
      got: `${end - begin}`,
    });
  return { name, dtype, shape, begin, end };
}

function parseJson(bytes: Bytes): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw badFile('the safetensors header is not JSON in UTF-8', { cause });
  }
  if (bytes[0] !== 0x7b || !isRecord(value)) throw badFile('the safetensors header is no JSON object');
  return value;
}

/**
 * Any valid header; `__metadata__` is skipped. The data must be covered exactly once (the format forbids holes), so the
 * tensors are never larger together than the file.
 *
 * @throws NmktError `bad-blob`, `too-large` for a header above 1 MiB
 */
export function readHeader(file: Bytes): Header {
  if (file.length < 8)
    throw badFile('the file is too short for safetensors', { expected: 'at least 8 bytes', got: `${file.length}` });
  const length = new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES)
    throw new NmktError('too-large', 'the file declares a large safetensors header', {
      remedy: 'check that it is a safetensors file',
      expected: `at most ${MAX_HEADER_BYTES} bytes`,
      got: `${length}`,
    });
  const dataStart = 8 + Number(length);
  if (dataStart > file.length)
    throw badFile('the safetensors header runs past the end of the file', {
      expected: `${dataStart} bytes or more`,
      got: `${file.length}`,
    });
  const fields = Object.entries(parseJson(file.subarray(8, dataStart))).filter(([name]) => name !== '__metadata__');
  const entries = fields
    .map(([name, value]) => readEntry(name, value))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== covered)
      throw badFile(`tensor ${JSON.stringify(name.slice(0, 80))} leaves a hole or overlaps another`, {
        expected: `begin ${covered}`,
        got: `${begin}`,
      });
    covered = end;
  }
  if (dataStart + covered !== file.length)
    throw badFile('the tensors do not fill the file', {
      expected: `${dataStart + covered} bytes`,
      got: `${file.length}`,
    });
  return { entries, dataStart };
}
