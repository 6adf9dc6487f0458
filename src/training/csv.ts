import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { CsvError, parse } from 'csv-parse';
import { parseNumber } from '../learning/schema.js';
import { badTable, checkColumns, type Table, type TableRow } from './table.js';

/** Tables of text: CSV (comma or semicolon) and TSV, RFC 4180 quoting, one record at a time. */

export interface TableFormat {
  readonly delimiter: ',' | ';' | '\t';
  readonly columns: readonly string[];
  /** Without one, columns are named by their number. */
  readonly hasHeader: boolean;
}

const SNIFF_BYTES = 65_536;
/** A longer record is a quote that was never closed. */
const MAX_RECORD_CHARS = 1_048_576;

async function firstLine(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    const text = new TextDecoder().decode(buffer.subarray(0, bytesRead));
    return text.split(/\r\n|\n|\r/).find((line) => line.trim() !== '') ?? '';
  } finally {
    await file.close();
  }
}

/** The candidate that occurs most outside quotes in the first line; a tie goes to the first. */
function sniffDelimiter(line: string): TableFormat['delimiter'] {
  const bare = line.replace(/"[^"]*"/g, '');
  const candidates = [',', '\t', ';'] as const;
  const counts = candidates.map((candidate) => bare.split(candidate).length);
  return candidates[counts.indexOf(Math.max(...counts))]!;
}

async function* records(path: string, delimiter: string): AsyncGenerator<TableRow> {
  const parser = parse({
    ...{ delimiter, bom: true, info: true, relax_column_count: true, skip_empty_lines: true },
    max_record_size: MAX_RECORD_CHARS,
  });
  const source = createReadStream(path, { highWaterMark: 262_144 });
  source.on('error', (cause) => parser.destroy(cause));
  source.pipe(parser);
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      yield { where: `line ${info.lines}`, cells: record };
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    const line = (cause as unknown as { lines?: number }).lines;
    throw badTable(
      `line ${line ?? 'unknown'} is no table row: ${cause.message.slice(0, 200)}`,
      'correct the quotes in that line',
      'cells in quotes closed before the next delimiter',
      cause.code,
      cause,
    );
  } finally {
    source.destroy();
    parser.destroy();
  }
}

/** Numbers in the first row mean that it is data, unless they count the columns (a table without names, as pandas writes it). */
function looksLikeHeader(cells: readonly string[]): boolean {
  return cells.every((cell, i) => {
    const value = parseNumber(cell);
    return value === undefined || value === i;
  });
}

function columnNames(path: string, cells: readonly string[]): readonly string[] {
  const names = cells.map((cell, i) => (cell.trim() === '' ? `column_${i}` : cell.trim()));
  return checkColumns(path, names, 'check the delimiter');
}

/**
 * Looks at the first row: delimiter (a tab in files named .tsv, if there is one), column names, header or none.
 *
 * @param header  overrides the guess
 * @throws NmktError `bad-dataset` for an empty file or two columns of one name
 */
export async function tableFormat(path: string, header?: boolean): Promise<TableFormat> {
  const line = await firstLine(path);
  const delimiter = /\.(tsv|tab)$/i.test(path) && line.includes('\t') ? '\t' : sniffDelimiter(line);
  for await (const { cells } of records(path, delimiter)) {
    const hasHeader = header ?? looksLikeHeader(cells);
    const columns = hasHeader
      ? columnNames(path, cells)
      : checkColumns(
          path,
          cells.map((_, i) => `${i}`),
          'check the delimiter',
        );
    return { delimiter, hasHeader, columns };
  }
  throw badTable(`${path} is empty`, 'give a table with a header line and rows', 'at least one row', '0 rows');
}

/**
 * The rows below the header, one at a time.
 *
 * @throws NmktError `bad-dataset` naming the line, for a row with more or fewer cells than columns and for open quotes
 */
export async function* tableRows(path: string, format: TableFormat): AsyncGenerator<TableRow> {
  let isHeader = format.hasHeader;
  for await (const row of records(path, format.delimiter)) {
    if (row.cells.length !== format.columns.length) {
      throw badTable(
        `${row.where} of ${path} is ragged`,
        'quote cells that hold the delimiter, or remove the line',
        `${format.columns.length} columns`,
        `${row.cells.length}`,
      );
    }
    if (!isHeader) yield row;
    isHeader = false;
  }
}

/** @throws NmktError `bad-dataset` */
export async function csvTable(path: string, header?: boolean): Promise<Table> {
  const format = await tableFormat(path, header);
  return { path, columns: format.columns, hasNames: format.hasHeader, rows: () => tableRows(path, format) };
}
