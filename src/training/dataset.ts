import { open, stat } from 'node:fs/promises';
import { NmktError } from '../errors.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { csvTable } from './csv.js';
import { imagesInFolder, readIdxDataset, readIdxWithSchema } from './dataset-idx.js';
import { readTable, readTableWithSchema, type TableOptions } from './dataset-table.js';
import { looksLikeText, readTextDataset, readTextWithSchema, type TextOptions } from './dataset-text.js';
import { looksLikeIdx } from './idx.js';
import { jsonlTable } from './jsonl.js';
import { parquetTable } from './parquet.js';
import type { Table } from './table.js';

export { TOKENIZERS, type Tokenizer } from './dataset-text.js';

/** A data file (CSV, TSV, JSON lines, Parquet, IDX, plain text) or a folder of IDX files, as a schema and examples in memory. */

export interface DatasetOptions extends TableOptions, TextOptions {
  /** IDX: the label file, if not the sibling of the usual name. */
  readonly labels?: string;
  /** Of each file, and of what it declares; default 1 GiB. */
  readonly maxBytes?: number;
}

export interface Dataset {
  readonly schema: DataSchema;
  readonly examples: Examples;
  /** From the test files of a folder. */
  readonly test?: Examples;
  /** Whose each example is, where a table has a column that says so. */
  readonly owners?: Int32Array;
}

const MAX_BYTES = 1_073_741_824;

type TableFormat = 'csv' | 'jsonl' | 'parquet';
type Format = 'folder' | 'idx' | 'text' | TableFormat;

function openTable(path: string, format: TableFormat, maxBytes: number, header?: boolean): Promise<Table> {
  if (format === 'parquet') return parquetTable(path, maxBytes);
  return format === 'jsonl' ? jsonlTable(path) : csvTable(path, header);
}

/** Starts of formats that are common and not read here, for a message better than "ragged". */
const OTHER_FORMATS: readonly (readonly [string, string])[] = [
  ['504b0304', 'ZIP or NPZ'],
  ['89504e47', 'PNG'],
  ['ffd8ff', 'JPEG'],
  ['89484446', 'HDF5'],
  ['934e554d5059', 'NPY'],
];

async function firstBytes(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function formatOf(path: string, maxBytes: number, text: boolean): Promise<Format> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new NmktError('bad-dataset', `${path} cannot be read`, {
      remedy: 'check the path',
      expected: 'a data file or a folder of IDX files',
      got: (cause as { code?: string }).code ?? 'an error',
      cause,
    });
  });
  if (found.isDirectory()) return 'folder';
  if (!found.isFile())
    throw new NmktError('bad-dataset', `${path} is no file`, {
      remedy: 'save the data to a file: it is read twice',
      expected: 'a regular file',
      got: 'a pipe or device',
    });
  if (found.size > maxBytes)
    throw new NmktError('too-large', `${path} is above the size limit`, {
      remedy: 'raise --max-bytes',
      expected: `at most ${maxBytes} bytes`,
      got: `${found.size}`,
    });
  const start = await firstBytes(path);
  if (looksLikeIdx(start)) return 'idx';
  const magic = Buffer.from(start).toString('hex');
  if (magic.startsWith('50415231')) return 'parquet';
  const other = OTHER_FORMATS.find(([prefix]) => magic.startsWith(prefix));
  if (other !== undefined || start.includes(0))
    throw new NmktError('bad-dataset', `${path} is of a format that is not read`, {
      remedy: 'convert it to CSV',
      expected: 'CSV, TSV, JSON lines, Parquet, IDX or text',
      got: other?.[1] ?? 'binary data',
    });
  if (text) return 'text';
  return looksLikeJsonl(path, start) ? 'jsonl' : 'csv';
}

/** By its name, or because it begins with an object: no CSV of names does. */
function looksLikeJsonl(path: string, start: Uint8Array): boolean {
  return /\.(jsonl|ndjson|json)$/i.test(path) || /^(\u{feff})?\s*\{\s*"/u.test(new TextDecoder().decode(start));
}

/** Flags that only a table understands, given for something else, would be ignored in silence. */
function refuseTableFlags(options: DatasetOptions, what: 'IDX' | 'text'): void {
  const names = { label: 'label', features: 'features', drop: 'drop', categorical: 'categorical', numeric: 'numeric' };
  const flags = { ...names, owner: 'partition-column' } as const;
  const given = (Object.keys(flags) as (keyof typeof flags)[]).find((name) => (options[name]?.length ?? 0) > 0);
  const flag = given && flags[given];
  if (flag !== undefined)
    throw new NmktError('bad-usage', `--${flag} is for tables, this is ${what}`, {
      remedy: `leave out --${flag}${what === 'IDX' ? '; a label file is named with --labels' : ''}`,
      expected: 'no column flags',
      got: `--${flag}`,
    });
  if (options.task === 'regression')
    throw new NmktError('bad-usage', what === 'IDX' ? 'IDX labels are classes' : 'the tokens of a text are classes', {
      remedy: 'leave out --task',
      expected: '--task classification',
      got: '--task regression',
    });
}

/**
 * Reads the data and infers how they become inputs and labels.
 *
 * Tables: a column is numeric when all its cells are numbers, else one-hot; missing cells count as the mean, or are a
 * category if seen; the label decides the task. IDX: bytes / 255 and the classes that occur.
 *
 * @throws NmktError `bad-dataset` (with the line, in tables), `label-missing`, `too-large`, `bad-usage` for a flag that
 *         names no column
 */
export async function readDataset(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const format = await formatOf(path, maxBytes, looksLikeText(path, options));
  if (format === 'text') {
    refuseLabelFile(path, options.labels, 'text');
    refuseTableFlags(options, 'text');
    return readTextDataset(path, options);
  }
  if (format !== 'idx' && format !== 'folder') {
    refuseLabelFile(path, options.labels, 'table');
    return readTable(await openTable(path, format, maxBytes, options.header), options);
  }
  refuseTextFlags(options);
  refuseTableFlags(options, 'IDX');
  if (format === 'idx') return readIdxDataset(path, options.labels, maxBytes);
  const { train, test } = await imagesInFolder(path);
  const dataset = await readIdxDataset(train, options.labels, maxBytes);
  if (test === undefined) return dataset;
  return { ...dataset, test: (await readIdxWithSchema(test, dataset.schema, { maxBytes })).examples };
}

/** A table has its label in a column, a text in the token that follows; a file of labels beside it would be ignored. */
function refuseLabelFile(path: string, labels: string | undefined, what: 'table' | 'text'): void {
  if (labels === undefined) return;
  throw new NmktError('bad-usage', `${path} is a ${what}, and a ${what} has no file of labels`, {
    expected: 'IDX images beside a file of labels',
    got: `a ${what}, and ${labels}`,
    remedy: 'leave the file of labels out; for a table --label COLUMN names the label',
  });
}

function refuseTextFlags(options: TextOptions): void {
  const name = (['tokenizer', 'vocabulary', 'context'] as const).find((one) => options[one] !== undefined);
  if (name === undefined) return;
  const flag = `--${name}`;
  throw new NmktError('bad-usage', `${flag} is for text, this is IDX`, {
    expected: 'no flags of text',
    got: flag,
    remedy: `leave out ${flag}`,
  });
}

export interface SchemaOptions {
  readonly labels?: string;
  /** For prediction: without labels they are all 0 and `isLabelled` is false. */
  readonly labelsOptional?: boolean;
  readonly maxBytes?: number;
}

/**
 * Reads a file of the same kind as the one a schema came from: a test set, or rows to predict.
 *
 * @throws NmktError `bad-dataset`, `label-missing`, `too-large`
 */
export async function readWithSchema(
  path: string,
  schema: DataSchema,
  options: SchemaOptions = {},
): Promise<{ examples: Examples; isLabelled: boolean }> {
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const format = await formatOf(path, maxBytes, schema.text !== undefined);
  if (format === 'idx') return readIdxWithSchema(path, schema, { ...options, maxBytes });
  if (format === 'folder')
    throw new NmktError('bad-dataset', `${path} is a folder`, {
      remedy: 'name the file itself',
      expected: 'a file',
      got: 'a folder',
    });
  if (format === 'text') {
    refuseLabelFile(path, options.labels, 'text');
    return { examples: await readTextWithSchema(path, schema), isLabelled: true };
  }
  refuseLabelFile(path, options.labels, 'table');
  const read = await readTableWithSchema(await openTable(path, format, maxBytes), schema);
  if (!read.isLabelled && options.labelsOptional !== true)
    throw new NmktError('label-missing', `${path} lacks the label column`, {
      remedy: 'add the column',
      expected: `a column "${schema.label ?? ''}"`,
      got: 'no such column',
    });
  return read;
}
