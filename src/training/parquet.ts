import { open, type FileHandle } from 'node:fs/promises';
import { parquetMetadata, type ColumnMetaData, type SchemaElement } from 'hyparquet';
import { z } from 'zod';
import { NmktError } from '../errors.js';
import { cellOf } from './parquet-cell.js';
import { chunkCells } from './parquet-page.js';
import { structEnd } from './parquet-thrift.js';
import { badTable, changedTable, checkColumns, type Table, type TableRow } from './table.js';

/** Parquet as a table: flat columns of numbers, text and booleans; null is a missing value. One row group at a time, its columns page by page. */

const MAX_FOOTER_BYTES = 16_777_216;
const MAGIC = 'PAR1';

const count = z
  .bigint()
  .min(0n)
  .max(2n ** 50n);
const small = z
  .int()
  .min(0)
  .max(2 ** 31)
  .optional();
/** hyparquet gives what the bytes say, of whatever type: what is used is looked at here. */
const footer = z.object({
  schema: z
    .array(
      z.custom<SchemaElement>(
        (element) =>
          z.object({ name: z.string(), num_children: small, type_length: small, scale: small }).safeParse(element)
            .success,
      ),
    )
    .min(1),
  row_groups: z.array(
    z.object({
      num_rows: count,
      columns: z.array(
        z.object({
          meta_data: z.object({
            type: z.custom<ColumnMetaData['type']>((type) => typeof type === 'string'),
            codec: z.custom<ColumnMetaData['codec']>((codec) => typeof codec === 'string'),
            path_in_schema: z.array(z.string()),
            total_uncompressed_size: count,
            total_compressed_size: count,
            data_page_offset: count,
            dictionary_page_offset: count.optional(),
          }),
        }),
      ),
    }),
  ),
});
type Footer = z.output<typeof footer>;
type ChunkMeta = Footer['row_groups'][number]['columns'][number]['meta_data'];

interface ParquetColumn {
  readonly name: string;
  readonly element: SchemaElement;
  /** Among the leaves, which is how row groups count them. */
  readonly leaf: number;
}

function damaged(path: string, why: string, cause?: unknown): NmktError {
  return badTable(
    `${path} is no Parquet file that can be read`,
    'write it again, with Snappy or gzip and the usual encodings, or convert it to CSV',
    'a Parquet file as its footer describes it',
    why,
    cause,
  );
}

async function readMetadata(path: string, file: FileHandle): Promise<Footer> {
  const { size } = await file.stat();
  const tail = await bytesAt(path, file, Math.max(0, size - 8), Math.min(8, size));
  if (tail.length < 8 || Buffer.from(tail.subarray(4)).toString('latin1') !== MAGIC)
    throw damaged(path, `no ${MAGIC} at its end`);
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  if (length > Math.min(MAX_FOOTER_BYTES, size - 12))
    throw damaged(path, `a footer of ${length} bytes, above ${Math.min(MAX_FOOTER_BYTES, size - 12)}`);
  const bytes = await bytesAt(path, file, size - 8 - length, length + 8);
  try {
    structEnd(bytes.subarray(0, length), 0);
    return footer.parse(parquetMetadata(bytes, { geoparquet: false }));
  } catch (cause) {
    throw damaged(path, (cause as Error).message.slice(0, 200), cause);
  }
}

async function bytesAt(path: string, file: FileHandle, from: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const { bytesRead } = await file.read(bytes, 0, length, from);
  if (bytesRead !== length) throw changedTable(path, `${length} bytes`, `${bytesRead}`);
  return bytes;
}

/** Groups are columns too, which nobody may ask for; their leaves are counted. */
function columnsOf(path: string, schema: readonly SchemaElement[]): ParquetColumn[] {
  const columns: ParquetColumn[] = [];
  let leaf = 0;
  for (let at = 1; at < schema.length;) {
    const element = schema[at]!;
    columns.push({ name: element.name, element, leaf });
    for (let open = 1; open > 0; open--, at++) {
      const children = schema[at]?.num_children ?? 0;
      if (schema[at] === undefined) throw damaged(path, 'a schema that is cut off');
      open += children;
      if (children === 0) leaf += 1;
    }
  }
  return columns;
}

/** What unpacking could come to, before any of it. */
function checkSizes(path: string, { row_groups: groups }: Footer, columns: number, maxBytes: number): void {
  const rows = groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
  const bytes = groups.reduce(
    (sum, group) => group.columns.reduce((all, { meta_data: meta }) => all + Number(meta.total_uncompressed_size), sum),
    0,
  );
  for (const [what, got] of [
    ['bytes', bytes],
    ['cells', rows * columns],
  ] as const)
    if (got > maxBytes)
      throw new NmktError('too-large', `${path} declares a size above the limit`, {
        remedy: 'raise --max-bytes if you trust the file',
        expected: `at most ${maxBytes} ${what}`,
        got: `${got}`,
      });
}

/**
 * Reads the footer.
 *
 * @param maxBytes  of all columns unpacked, and of all cells
 * @throws NmktError `bad-dataset`, `too-large`
 */
export async function parquetTable(path: string, maxBytes: number): Promise<Table> {
  const file = await open(path, 'r');
  try {
    const metadata = await readMetadata(path, file);
    const columns = columnsOf(path, metadata.schema);
    if (columns.length === 0)
      throw badTable(`${path} is empty`, 'give a table with rows', 'at least one column', 'none');
    checkSizes(path, metadata, columns.length, maxBytes);
    const names = checkColumns(
      path,
      columns.map(({ name }) => name),
      'write fewer columns',
    );
    return {
      path,
      columns: names,
      hasNames: true,
      rows: (used = names.map((_, i) => i)) => rows(path, metadata, columns, used, maxBytes),
    };
  } finally {
    await file.close();
  }
}

async function* rows(
  path: string,
  { row_groups: groups }: Footer,
  columns: readonly ParquetColumn[],
  used: readonly number[],
  maxBytes: number,
): AsyncGenerator<TableRow> {
  const wanted = [...new Set(used)].map((place) => ({
    place,
    ...columns[place]!,
    cellOf: cellOf(columns[place]!.element),
  }));
  const file = await open(path, 'r');
  try {
    let number = 0;
    for (const group of groups) {
      const count = Number(group.num_rows);
      const readers = [];
      for (const { place, name, element, leaf, cellOf: of } of wanted) {
        const meta = group.columns[leaf]?.meta_data;
        if (meta?.path_in_schema.join('.') !== name || meta.type !== element.type)
          throw damaged(path, `another column where "${name}" should be`);
        const bytes = await chunkBytes(path, file, meta);
        const [length, isNullable] = [element.type_length ?? 0, element.repetition_type !== 'REQUIRED'];
        const chunk = { bytes, meta, length, isNullable, rows: count, cellOf: of, maxBytes };
        readers.push({ place, name, cells: chunkCells(chunk) });
      }
      for (let row = 0; row < count; row++) {
        number += 1;
        const cells = new Array<string>(columns.length).fill('');
        for (const { place, name, cells: reader } of readers) cells[place] = nextCell(path, name, number, reader);
        yield { where: `row ${number}`, cells };
      }
    }
  } finally {
    await file.close();
  }
}

function nextCell(path: string, name: string, row: number, reader: Generator<string>): string {
  try {
    return reader.next().value as string;
  } catch (cause) {
    throw damaged(path, `row ${row}: column "${name}" ${(cause as Error).message.slice(0, 200)}`, cause);
  }
}

async function chunkBytes(path: string, file: FileHandle, meta: ChunkMeta): Promise<Uint8Array> {
  const { dictionary_page_offset: dictionary, data_page_offset: data, total_compressed_size: length } = meta;
  const from = dictionary !== undefined && dictionary > 0n && dictionary < data ? dictionary : data;
  const { size } = await file.stat();
  if (from < 4n || from + length > BigInt(size)) throw damaged(path, 'a column outside of the file');
  return bytesAt(path, file, Number(from), Number(length));
}
