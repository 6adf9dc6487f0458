import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import * as zlib from 'node:zlib';
import { snappyUncompress, type ColumnMetaData, type Encoding, type PageHeader, type ParquetType } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { structEnd, varint } from './parquet-thrift.js';

/**
 * The pages of one column of one row group, as text; nothing of a page is in memory before it is its turn. hyparquet reads the headers and
 * Snappy. Runs and values are read here, because it writes a run as long as the file says, whatever the page holds.
 * https://github.com/apache/parquet-format/blob/master/README.md, Encodings.md
 */

/** How a value becomes a cell; undefined for what none can hold. */
export type CellOf = (value: unknown) => string | undefined;

export interface Chunk {
  readonly bytes: Uint8Array;
  readonly meta: Pick<ColumnMetaData, 'type' | 'codec'>;
  /** Of FIXED_LEN_BYTE_ARRAY. */
  readonly length: number;
  readonly isNullable: boolean;
  readonly rows: number;
  readonly cellOf: CellOf;
  /** Of all pages together, unpacked. */
  readonly maxBytes: number;
}

const MAX_PAGE_VALUES = 2 ** 24;
/** Three bytes of Snappy copy 64: more is a lie, found before memory is taken. */
const SNAPPY_RATIO = 22;

/**
 * @returns rows cells, '' where a value is missing
 * @throws RangeError for what no page may hold, in words that follow a column's name
 */
export function* chunkCells(chunk: Chunk): Generator<string> {
  const { bytes, rows, maxBytes } = chunk;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let dictionary: readonly string[] | undefined;
  let given = 0;
  let unpacked = 0;
  for (let at = 0; given < rows;) {
    if (at >= bytes.length) throw new RangeError(`ends after ${given} of ${rows} values`);
    const from = structEnd(bytes, at);
    const header = parquetHeader({ view, offset: at });
    const body = bytes.subarray(from, from + size(header.compressed_page_size));
    if (body.length !== header.compressed_page_size) throw new RangeError('has a page that goes on after the end');
    unpacked += size(header.uncompressed_page_size);
    if (unpacked > maxBytes) throw new RangeError(`declares more than ${maxBytes} bytes`);
    at = from + body.length;
    if (header.type === 'DICTIONARY_PAGE') {
      if (dictionary !== undefined) throw new RangeError('has two dictionaries');
      dictionary = readDictionary(chunk, header, body);
    } else {
      const { levels, count, cells } = readPage(chunk, header, body, dictionary);
      given += count;
      if (given > rows) throw new RangeError(`has more than ${rows} values`);
      if (levels === undefined) yield* cells;
      else for (const level of levels) yield level === 0 ? '' : (cells.next().value as string);
    }
  }
}

function size(declared: unknown): number {
  if (typeof declared === 'number' && Number.isSafeInteger(declared) && declared >= 0) return declared;
  throw new RangeError(`has a size that is none: ${String(declared)}`);
}

function valueCount(declared: unknown): number {
  const count = size(declared);
  if (count > MAX_PAGE_VALUES) throw new RangeError(`has a page of ${count} values, above ${MAX_PAGE_VALUES}`);
  return count;
}

function readDictionary(chunk: Chunk, header: PageHeader, body: Uint8Array): string[] {
  const page = unpack(chunk.meta.codec, body, header.uncompressed_page_size);
  return [...plainCells(chunk, page, valueCount(header.dictionary_page_header?.num_values))];
}

interface Page {
  /** Values, the missing ones too. */
  readonly count: number;
  /** 0 where a value is missing; undefined: none is. */
  readonly levels: Uint32Array | undefined;
  /** Of those that are there. */
  readonly cells: Iterator<string> & Iterable<string>;
}

function readPage(chunk: Chunk, header: PageHeader, body: Uint8Array, dictionary: readonly string[] | undefined): Page {
  const { codec } = chunk.meta;
  const first = header.data_page_header;
  const second = header.data_page_header_v2;
  const head = header.type === 'DATA_PAGE' ? first : header.type === 'DATA_PAGE_V2' ? second : undefined;
  if (head === undefined) throw new RangeError(`has a page of type ${String(header.type)}`);
  const count = valueCount(head.num_values);
  let levels: Uint32Array | undefined;
  let values: Uint8Array;
  if (header.type === 'DATA_PAGE_V2') {
    const definition = size(second!.definition_levels_byte_length);
    const before = definition + size(second!.repetition_levels_byte_length);
    const length = size(header.uncompressed_page_size - before);
    if (before > body.length || before !== definition) throw new RangeError('has levels of another length');
    if (chunk.isNullable) levels = runs(body.subarray(0, definition), 1, count);
    const rest = body.subarray(before);
    values = second!.is_compressed === false ? unpack('UNCOMPRESSED', rest, length) : unpack(codec, rest, length);
  } else {
    const page = unpack(codec, body, header.uncompressed_page_size);
    const before = chunk.isNullable ? prefixed(page) : 0;
    if (chunk.isNullable && first!.definition_level_encoding !== 'RLE') throw unknown('levels', first!.encoding);
    if (chunk.isNullable) levels = runs(page.subarray(4, before), 1, count);
    values = page.subarray(before);
  }
  const present = levels === undefined ? count : levels.reduce((sum, level) => sum + level, 0);
  return { count, levels, cells: valueCells(chunk, head.encoding, values, present, dictionary) };
}

function unknown(what: string, encoding: Encoding | undefined): RangeError {
  return new RangeError(`has ${what} in an encoding that is not read: ${String(encoding)}`);
}

/** Where a part ends whose length stands in its first four bytes. */
function prefixed(page: Uint8Array): number {
  if (page.length < 4) throw new RangeError('has a page without levels');
  const end = 4 + new DataView(page.buffer, page.byteOffset).getUint32(0, true);
  if (end > page.length) throw new RangeError('has levels that go on after their page');
  return end;
}

function* valueCells(
  chunk: Chunk,
  encoding: Encoding,
  page: Uint8Array,
  count: number,
  dictionary: readonly string[] | undefined,
): Generator<string> {
  if (encoding === 'PLAIN') {
    yield* plainCells(chunk, page, count);
    return;
  }
  if (encoding === 'RLE' && chunk.meta.type === 'BOOLEAN') {
    for (const bit of runs(page.subarray(4, prefixed(page)), 1, count)) yield cell(chunk, bit === 1);
    return;
  }
  if (encoding !== 'RLE_DICTIONARY' && encoding !== 'PLAIN_DICTIONARY') throw unknown('values', encoding);
  if (dictionary === undefined) throw new RangeError('lacks its dictionary');
  for (const place of runs(page.subarray(1), page[0] ?? 0, count)) {
    const found = dictionary[place];
    if (found === undefined) throw new RangeError(`names value ${place} of a dictionary of ${dictionary.length}`);
    yield found;
  }
}

function cell({ cellOf }: Chunk, value: unknown): string {
  const text = cellOf(value);
  if (text === undefined) throw new RangeError(`holds a value that no cell can: ${String(value).slice(0, 40)}`);
  return text;
}

/** Runs of one value, or of values packed by their bits, in turn. @returns count numbers of `width` bits */
export function runs(bytes: Uint8Array, width: number, count: number): Uint32Array {
  if (width > 32) throw new RangeError(`has numbers of ${width} bits`);
  const out = new Uint32Array(count);
  const walk = { bytes, at: 0 };
  for (let done = 0; done < count;) {
    if (width === 0) break;
    const head = varint(walk);
    const length = Math.floor(head / 2);
    if (head % 2 === 0) {
      let value = 0;
      for (let scale = 1, i = 0; i < width; i += 8, scale *= 256) value += (bytes[walk.at++] ?? NaN) * scale;
      if (Number.isNaN(value) || value >= 2 ** width) throw new RangeError('has a run that is cut off');
      out.fill(value, done, Math.min(count, done + length));
      done += length;
      continue;
    }
    const values = Math.min(8 * length, count - done);
    if (values * width > 8 * (bytes.length - walk.at)) throw new RangeError('has packed numbers that are cut off');
    for (let i = 0; i < values; i++) out[done + i] = bitsAt(bytes, 8 * walk.at + i * width, width);
    walk.at += length * width;
    done += values;
  }
  return out;
}

function bitsAt(bytes: Uint8Array, bit: number, width: number): number {
  let value = 0;
  for (let done = 0; done < width;) {
    const from = (bit + done) % 8;
    const take = Math.min(8 - from, width - done);
    value += ((bytes[(bit + done) >> 3]! >> from) % (1 << take)) * 2 ** done;
    done += take;
  }
  return value;
}

const WIDTHS = { INT32: 4, INT64: 8, FLOAT: 4, DOUBLE: 8, BOOLEAN: 0.125, BYTE_ARRAY: 4, INT96: 12 } as const;

function* plainCells(chunk: Chunk, page: Uint8Array, count: number): Generator<string> {
  const { type } = chunk.meta;
  const width = type === 'FIXED_LEN_BYTE_ARRAY' ? chunk.length : WIDTHS[type];
  if (count * width > page.length) throw new RangeError(`has ${count} values in ${page.length} bytes`);
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (type === 'BYTE_ARRAY') {
      const end = at + 4 > page.length ? Infinity : at + 4 + view.getUint32(at, true);
      if (end > page.length) throw new RangeError('has a text that goes on after its page');
      yield cell(chunk, page.subarray(at + 4, end));
      at = end;
    } else if (type === 'FIXED_LEN_BYTE_ARRAY') yield cell(chunk, page.subarray(i * width, (i + 1) * width));
    else yield cell(chunk, fixedValue(view, type, i));
  }
}

function fixedValue(view: DataView, type: ParquetType, i: number): unknown {
  switch (type) {
    case 'BOOLEAN':
      return ((view.getUint8(i >> 3) >> (i & 7)) & 1) === 1;
    case 'INT32':
      return view.getInt32(4 * i, true);
    case 'INT64':
      return view.getBigInt64(8 * i, true);
    case 'FLOAT':
      return view.getFloat32(4 * i, true);
    case 'DOUBLE':
      return view.getFloat64(8 * i, true);
    default:
      return undefined;
  }
}

const zstd = (zlib as { zstdDecompressSync?: typeof gunzipSync }).zstdDecompressSync;

function unpack(codec: ColumnMetaData['codec'], body: Uint8Array, declared: number): Uint8Array {
  const length = size(declared);
  const page = unpacked(codec, body, length);
  if (page.length !== length) throw new RangeError(`has a page of ${page.length} bytes that declares ${length}`);
  return page;
}

function unpacked(codec: ColumnMetaData['codec'], body: Uint8Array, length: number): Uint8Array {
  if (codec === 'UNCOMPRESSED') return body;
  if (length === 0) return new Uint8Array();
  try {
    if (codec === 'GZIP') return gunzipSync(body, { maxOutputLength: length });
    if (codec === 'BROTLI') return brotliDecompressSync(body, { maxOutputLength: length });
    if (codec === 'ZSTD' && zstd !== undefined) return zstd(body, { maxOutputLength: length });
    if (codec === 'SNAPPY' && length <= SNAPPY_RATIO * body.length) {
      const page = new Uint8Array(length);
      snappyUncompress(body, page);
      return page;
    }
  } catch (cause) {
    throw new RangeError(`is damaged: ${(cause as Error).message}`, { cause });
  }
  if (codec === 'SNAPPY') throw new RangeError('is damaged: more bytes than Snappy can hold');
  throw new RangeError(`is packed with ${codec}, which is not read`);
}
