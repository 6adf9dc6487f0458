import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { cellOf } from '../../src/training/parquet-cell.js';
import { runs } from '../../src/training/parquet-page.js';
import { structEnd } from '../../src/training/parquet-thrift.js';
import { parquetTable } from '../../src/training/parquet.js';
import { folderOfFile } from '../support/run-nmkt.js';
import { shardsOf } from './shards-of.js';

const folder = folderOfFile();
let files = 0;
async function file(content: string | Uint8Array | ArrayBuffer, extension = 'parquet'): Promise<string> {
  const path = join(folder, `${files++}.${extension}`);
  await writeFile(path, typeof content === 'string' ? content : new Uint8Array(content));
  return path;
}
type Options = Parameters<typeof parquetWriteBuffer>[0];
const write = (options: Options) => file(parquetWriteBuffer(options));
async function cells(path: string, used?: readonly number[]): Promise<unknown> {
  const table = await parquetTable(path, 1e9);
  const rows = [table.columns];
  for await (const row of table.rows(used)) rows.push(row.cells);
  return rows;
}
const failure = (code: string, detail: Record<string, unknown> = {}) => expect.objectContaining({ code, ...detail });

/** 150 rows with holes; the words repeat, so they become a dictionary. */
const rows = Array.from({ length: 150 }, (_, i) => ({
  size: i % 7 === 3 ? null : i / 8,
  count: BigInt(i) * 3n - 50n,
  color: i % 11 === 5 ? null : ['red', 'deep "blue"', 'gr\u00fcn'][i % 3]!,
  alive: i % 2 === 0,
  kind: i % 5 < 2 ? 'cat' : 'dog',
}));
const columnData: Options['columnData'] = [
  { name: 'size', data: rows.map(({ size }) => size), type: 'DOUBLE' },
  { name: 'count', data: rows.map(({ count }) => count), type: 'INT64', nullable: false },
  { name: 'color', data: rows.map(({ color }) => color), type: 'STRING' },
  { name: 'alive', data: rows.map(({ alive }) => alive), type: 'BOOLEAN' },
  { name: 'kind', data: rows.map(({ kind }) => kind), type: 'STRING' },
];
const csv = [
  'size,count,color,alive,kind',
  ...rows.map(({ size, count, color, alive, kind }) =>
    [size ?? '', count, color === null ? '' : `"${color.replace(/"/g, '""')}"`, alive, kind].join(','),
  ),
].join('\n');

describe('Parquet', () => {
  it.each([
    ['Snappy', { codec: 'SNAPPY' }],
    ['nothing', { codec: 'UNCOMPRESSED' }],
    ['gzip', { codec: 'GZIP', compressors: { GZIP: (bytes: Uint8Array) => gzipSync(bytes) } }],
    ['Brotli', { codec: 'BROTLI', compressors: { BROTLI: (bytes: Uint8Array) => brotliCompressSync(bytes) } }],
    ['Snappy, in groups of 40 rows and pages of 64 bytes', { codec: 'SNAPPY', rowGroupSize: 40, pageSize: 64 }],
  ] as const)('packed with %s gives the shards that the same rows give as CSV', async (_, options) => {
    const packed = await readDataset(await write({ columnData, ...options }), { label: 'kind' });
    expect(shardsOf(packed)).toEqual(shardsOf(await readDataset(await file(csv, 'csv'), { label: 'kind' })));
  });

  it('is read as hyparquet reads it', async () => {
    const buffer = parquetWriteBuffer({ columnData, rowGroupSize: 64 });
    const expected = await parquetReadObjects({ file: buffer });
    const names = columnData.map(({ name }) => name);
    const words = expected.map((row) => names.map((name) => String(row[name] ?? '')));
    expect(await cells(await file(buffer))).toEqual([names, ...words]);
  });

  it('becomes text exactly: decimals digit by digit, unsigned numbers, 64 bits, halves; NaN is missing', async () => {
    const path = await write({
      columnData: [
        { name: 'price', data: [-0.05, 12.34] },
        { name: 'u', data: [4294967295, 1] },
        { name: 'big', data: [2n ** 63n - 1n, -1n] },
        { name: 'f', data: [NaN, 0.1] },
        { name: 'half', data: [0.5, -2] },
      ],
      schema: [
        { name: 'root', num_children: 5 },
        { name: 'price', type: 'INT32', converted_type: 'DECIMAL', scale: 2, precision: 9 },
        { name: 'u', type: 'INT32', converted_type: 'UINT_32' },
        { name: 'big', type: 'INT64' },
        { name: 'f', type: 'FLOAT' },
        { name: 'half', type: 'FIXED_LEN_BYTE_ARRAY', type_length: 2, logical_type: { type: 'FLOAT16' } },
      ],
    });
    expect(await cells(path)).toEqual([
      ['price', 'u', 'big', 'f', 'half'],
      ['-0.05', '4294967295', '9223372036854775807', '', '0.5'],
      ['12.34', '1', '-1', String(Math.fround(0.1)), '-2'],
    ]);
  });

  it('reads decimals of bytes: 0xffff85 of scale 1 is -12.3', () => {
    const element = { name: 'wide', type: 'FIXED_LEN_BYTE_ARRAY', type_length: 3, scale: 1 } as const;
    const cell = cellOf({ ...element, converted_type: 'DECIMAL' });
    expect([Uint8Array.of(0xff, 0xff, 0x85), Uint8Array.of(0, 0, 7), Uint8Array.of(0, 0, 0)].map(cell)).toEqual([
      '-12.3',
      '0.7',
      '0.0',
    ]);
  });

  it('refuses types that are no cells by the name of the column, and only if it is used', async () => {
    const path = await write({
      columnData: [
        { name: 'a', data: [1, 2, 3, 4] },
        { name: 'when', data: [0, 1, 2, 3].map((day) => new Date(day * 86_400_000)) },
        { name: 'list', data: [[1], [2], [3], [4]] },
        { name: 'y', data: ['p', 'q', 'p', 'q'] },
      ],
      schema: [
        { name: 'root', num_children: 4 },
        { name: 'a', type: 'INT32', repetition_type: 'REQUIRED' },
        { name: 'when', type: 'INT64', converted_type: 'TIMESTAMP_MILLIS', repetition_type: 'REQUIRED' },
        { name: 'list', converted_type: 'LIST', repetition_type: 'OPTIONAL', num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', type: 'INT32', repetition_type: 'OPTIONAL' },
        { name: 'y', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      ],
    });
    await expect(readDataset(path, { label: 'y', drop: ['list'] })).rejects.toEqual(
      failure('bad-dataset', {
        message: 'column "when" is of a type that is not read',
        got: 'INT64 as TIMESTAMP_MILLIS',
      }),
    );
    await expect(readDataset(path, { label: 'y', drop: ['when'] })).rejects.toEqual(
      failure('bad-dataset', { message: 'column "list" is of a type that is not read', got: 'a list of values' }),
    );
    const { schema } = await readDataset(path, { label: 'y', features: ['a'] });
    expect(schema.columns?.map(({ name }) => name)).toEqual(['a']);
  });

  it('refuses encodings and packings that are not read, and values that no cell holds, naming column and row', async () => {
    const one = (name: string, data: unknown[], more: object) =>
      write({ columnData: [{ name, data: data as number[], ...more }] });
    await expect(cells(await one('d', [1, 2, 3], { type: 'INT32', encoding: 'DELTA_BINARY_PACKED' }))).rejects.toEqual(
      failure('bad-dataset', { got: expect.stringMatching(/^row 1: column "d" has values in an encoding/) }),
    );
    await expect(cells(await one('f', [1, 2, Infinity], { type: 'DOUBLE' }))).rejects.toEqual(
      failure('bad-dataset', { got: 'row 3: column "f" holds a value that no cell can: Infinity' }),
    );
    const lz4 = await write({
      columnData: [{ name: 'l', data: [1, 2, 3], type: 'INT32' }],
      ...{ codec: 'LZ4', compressors: { LZ4: (bytes: Uint8Array) => bytes } },
    });
    await expect(cells(lz4)).rejects.toEqual(
      failure('bad-dataset', { got: 'row 1: column "l" is packed with LZ4, which is not read' }),
    );
  });

  it('is read for a model, with or without the label', async () => {
    const { schema } = await readDataset(await write({ columnData }), { label: 'kind' });
    const found = await readWithSchema(await write({ columnData: columnData.slice(0, 4) }), schema, {
      labelsOptional: true,
    });
    expect([found.isLabelled, found.examples.rows]).toEqual([false, 150]);
  });

  it('is refused above the limit before it is unpacked: bytes that it declares, and cells', async () => {
    const path = await write({ columnData });
    await expect(readDataset(path, { label: 'kind', maxBytes: 600 })).rejects.toEqual(failure('too-large'));
    const flat = await write({ columnData: [{ name: 'a', data: new Int32Array(100_000), type: 'INT32' }] });
    await expect(parquetTable(flat, 50_000)).rejects.toEqual(
      failure('too-large', { expected: expect.stringMatching(/50000 (bytes|cells)/) }),
    );
  });

  it('is refused when it is cut off or ends otherwise', async () => {
    const whole = new Uint8Array(parquetWriteBuffer({ columnData }));
    for (const bytes of [
      whole.slice(0, -9),
      Buffer.from('PAR1PAR1'),
      Buffer.from('PAR1\xff\xff\xff\x7fPAR1', 'latin1'),
    ])
      await expect(readDataset(await file(bytes), { label: 'kind' })).rejects.toEqual(failure('bad-dataset'));
  });
});

describe('runs', () => {
  it('are numbers of a width, repeated or packed: 3 bits of 0 to 7 are 88 c6 fa', () => {
    expect([...runs(Uint8Array.of(3, 0x88, 0xc6, 0xfa), 3, 8)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...runs(Uint8Array.of(8, 5, 3, 0b1010), 1 + 2, 4)]).toEqual([5, 5, 5, 5]);
    expect([...runs(Uint8Array.of(4, 0x34, 0x12, 6, 1, 0), 16, 5)]).toEqual([0x1234, 0x1234, 1, 1, 1]);
    expect([...runs(new Uint8Array(), 0, 3)]).toEqual([0, 0, 0]);
  });

  it('are no longer than what is asked for, whatever they claim', () => {
    const claimed = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x7f, 1);
    expect([...runs(claimed, 1, 3)]).toEqual([1, 1, 1]);
    for (const cut of [Uint8Array.of(), Uint8Array.of(2), Uint8Array.of(3), Uint8Array.of(2, 2)])
      expect(() => runs(cut, 1, 8)).toThrow(RangeError);
  });
});

describe('structEnd', () => {
  it('finds the end of a struct, and no end where a length lies', () => {
    // field 1: i32 5; field 2: text "ab"; field 3: a list of two i32; stop
    const good = Uint8Array.of(0x15, 10, 0x18, 2, 97, 98, 0x19, 0x25, 2, 4, 0, 99);
    expect(structEnd(good, 0)).toBe(11);
    expect(() => structEnd(good.subarray(0, 9), 0)).toThrow(RangeError);
    for (const bytes of [
      [0x18, 0xff, 0xff, 0xff, 0x7f],
      [0x19, 0xf5, 0xff, 0xff, 0xff, 0x7f],
      new Array<number>(100).fill(0x1c),
      new Array<number>(100).fill(0x19),
      [0x1b, 0],
    ])
      expect(() => structEnd(Uint8Array.from(bytes), 0)).toThrow(RangeError);
  });
});
