import { NmktError } from '../errors.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { formatOf, type Format, type TableFormat } from './data-format.js';
import { imagesInFolder, readIdxDataset, readIdxWithSchema } from './dataset-idx.js';
import type { ImageOptions } from './dataset-images.js';
import { readSafetensorsDataset, readSafetensorsWithSchema } from './dataset-safetensors.js';
import { readTable, readTableWithSchema, type TableOptions } from './dataset-table.js';
import { looksLikeText, readTextDataset, readTextWithSchema, textsInFolder, type TextOptions } from './dataset-text.js';
import { refuseLabelFile, refuseOtherFlags, type DataKind } from './other-flags.js';
import type { Table } from './table.js';

export { TOKENIZERS, type Tokenizer } from './dataset-text.js';

/** A file or folder of data, of whatever format, as a schema and examples in memory. */

export interface DatasetOptions extends TableOptions, TextOptions, ImageOptions {
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

const KINDS: Readonly<Record<Format, DataKind>> = {
  ...{ csv: 'table', jsonl: 'table', parquet: 'table' },
  ...{ text: 'text', texts: 'text' },
  ...{ idx: 'IDX', 'idx-folder': 'IDX' },
  ...{ image: 'images', images: 'images', safetensors: 'safetensors' },
};

/** Readers of a format come with packages of their own: loaded where there is such a file. */
async function openTable(path: string, format: TableFormat, maxBytes: number, header?: boolean): Promise<Table> {
  switch (format) {
    case 'parquet':
      return (await import('./parquet.js')).parquetTable(path, maxBytes);
    case 'jsonl':
      return (await import('./jsonl.js')).jsonlTable(path);
    case 'csv':
      return (await import('./csv.js')).csvTable(path, header);
  }
}

/** @returns undefined for what is no table. @throws NmktError as readDataset */
export async function tableOf(path: string, options: DatasetOptions): Promise<Table | undefined> {
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const format = await formatOf(path, maxBytes, looksLikeText(path, options));
  refuseOtherFlags(path, options, KINDS[format]);
  const isTable = format === 'csv' || format === 'jsonl' || format === 'parquet';
  return isTable ? openTable(path, format, maxBytes, options.header) : undefined;
}

/**
 * Reads the data and infers how they become inputs and labels.
 *
 * Tables: a column is numeric when all its cells are numbers, else one-hot; missing cells count as the mean, or are a
 * category if seen; the label decides the task. IDX and images: bytes / scale and the classes that occur.
 *
 * @throws NmktError `bad-dataset` (with the line or the file), `label-missing`, `too-large`, `bad-usage` for a flag that
 *         names no column or belongs to data of another kind
 */
export async function readDataset(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const format = await formatOf(path, maxBytes, looksLikeText(path, options));
  refuseOtherFlags(path, options, KINDS[format]);
  switch (format) {
    case 'csv':
    case 'jsonl':
    case 'parquet':
      return readTable(await openTable(path, format, maxBytes, options.header), options);
    case 'text':
      return readTextDataset([path], options);
    case 'texts':
      return readTextDataset(await textsInFolder(path, maxBytes), options);
    case 'idx':
      return readIdxDataset(path, options.labels, maxBytes);
    case 'idx-folder':
      return readIdxFolder(path, options.labels, maxBytes);
    case 'images':
      return (await import('./dataset-images.js')).readImageFolder(path, options, maxBytes);
    case 'safetensors':
      return readSafetensorsDataset(path, options.task, maxBytes);
    case 'image':
      throw new NmktError('bad-dataset', `${path} is one image`, {
        remedy: 'name the folder that holds a folder of images for each class',
        expected: 'FOLDER/class/image.png',
        got: 'a PNG or JPEG file',
      });
  }
}

async function readIdxFolder(path: string, labels: string | undefined, maxBytes: number): Promise<Dataset> {
  const { train, test } = await imagesInFolder(path);
  const dataset = await readIdxDataset(train, labels, maxBytes);
  if (test === undefined) return dataset;
  return { ...dataset, test: (await readIdxWithSchema(test, dataset.schema, { maxBytes })).examples };
}

type Detail = { readonly remedy: string; readonly expected: string; readonly got: string };
/** Where each kind of data has its labels. */
const LABELS: Readonly<Record<DataKind, (schema: DataSchema) => Detail>> = {
  table: ({ label, classes }) => ({
    remedy: 'add the column',
    expected: label === undefined ? `columns ${(classes ?? []).join(', ')}` : `a column "${label}"`,
    got: 'no such column',
  }),
  images: () => ({
    remedy: 'put the images of each class into a folder of its name',
    expected: 'a folder per class',
    got: 'no such folder',
  }),
  safetensors: () => ({ remedy: 'add a tensor y [rows]', expected: 'tensors x and y', got: 'x alone' }),
  IDX: () => ({ remedy: '--test-labels FILE', expected: 'an IDX file of labels', got: 'none' }),
  text: () => ({ remedy: 'give more text', expected: 'the token that follows', got: 'none' }),
};

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
  refuseLabelFile(path, options.labels, KINDS[format]);
  const read = await readFormat(path, format, schema, { ...options, maxBytes });
  if (!read.isLabelled && options.labelsOptional !== true)
    throw new NmktError('label-missing', `${path} lacks the labels`, LABELS[KINDS[format]](schema));
  return read;
}

async function readFormat(
  path: string,
  format: Format,
  schema: DataSchema,
  options: SchemaOptions & { readonly maxBytes: number },
): Promise<{ examples: Examples; isLabelled: boolean }> {
  const { maxBytes } = options;
  switch (format) {
    case 'idx':
      return readIdxWithSchema(path, schema, options);
    case 'idx-folder':
      throw new NmktError('bad-dataset', `${path} is a folder`, {
        remedy: 'name the file itself',
        expected: 'a file',
        got: 'a folder',
      });
    case 'image':
    case 'images':
      return (await import('./dataset-images.js')).readImagesWithSchema(path, schema, format === 'images', maxBytes);
    case 'safetensors':
      return readSafetensorsWithSchema(path, schema, maxBytes);
    case 'text':
      return { examples: await readTextWithSchema([path], schema), isLabelled: true };
    case 'texts':
      return { examples: await readTextWithSchema(await textsInFolder(path, maxBytes), schema), isLabelled: true };
    default:
      return readTableWithSchema(await openTable(path, format, maxBytes), schema);
  }
}
