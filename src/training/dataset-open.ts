import { stat } from 'node:fs/promises';
import { NmktError } from '../errors.js';
import { sha256Hex } from '../hash.js';
import { encodeExamples, rowBytes, subset, type StoredExamples } from '../learning/examples.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { readDataset, tableOf, type DatasetOptions } from './dataset.js';
import { rowsInMemory, surveyTable } from './dataset-table.js';
import { sortByPart, storedParts, type SortedRows } from './part-store.js';
import type { RowSource } from './row-source.js';
import { storeRows, type RowFacts, type Scratch, type ScratchFile } from './row-store.js';
import { changedTable } from './table.js';

export type { Scratch } from './row-store.js';

/** A dataset that is to be cut: in memory, or on disk where that would take too much of it. Both give the same bytes. */
export interface OpenDataset extends RowFacts {
  readonly schema: DataSchema;
  readonly rows: number;
  /** From the test files of a folder. */
  readonly test?: Examples;
  /** Once. @param parts  numbers of rows, each row in exactly one of them. @throws NmktError `too-large` for a part that no buffer holds */
  cut(parts: readonly Uint32Array[]): readonly (Examples | StoredExamples)[];
  /** Removes what lies on disk: parts can then not be read any more. */
  close(): Promise<void>;
}

export interface OpenOptions extends DatasetOptions {
  /** Where rows wait for their part, if they have to. Absent: nobody will ask for the bytes of a part. */
  readonly scratch?: () => Promise<Scratch>;
  /** Features of all rows are in memory up to here; default 256 MiB. */
  readonly inMemoryBytes?: number;
  readonly onRows?: (rows: number) => void;
}

const IN_MEMORY_BYTES = 268_435_456;
/** Of the features of one part; memory holds one at a time. */
const MAX_PART_BYTES = 2_147_483_648;
/** Features in the order of the data; then part after part. */
const ROWS = 'rows.tmp';
const PARTS = 'parts.tmp';

/**
 * As readDataset; a table is read twice, and so changed between that nothing comes of it.
 *
 * @throws NmktError as readDataset; `disk-full`
 */
export async function openDataset(path: string, options: OpenOptions = {}): Promise<OpenDataset> {
  const before = await versionOf(path);
  const table = await tableOf(path, options);
  if (table === undefined) return held(await readDataset(path, options));
  const source = await surveyTable(table, options);
  const { schema, rows } = source;
  const isSmall = rows * rowBytes(schema) <= (options.inMemoryBytes ?? IN_MEMORY_BYTES);
  const dataset = isSmall ? held({ schema, ...(await rowsInMemory(source)) }) : await stored(source, options);
  const after = await versionOf(path);
  if (after === before) return dataset;
  await dataset.close();
  throw changedTable(path, before, after);
}

/** What tells that a file was written to meanwhile. */
async function versionOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined); // the reader says it better
  return found === undefined ? 'no such file' : `${found.size} bytes of ${found.mtime.toISOString()}`;
}

function held(read: { schema: DataSchema; examples: Examples; test?: Examples; owners?: Int32Array }): OpenDataset {
  const { examples, ...rest } = read;
  const { rows, labels } = examples;
  return {
    ...rest,
    ...{ rows, labels, sha256: sha256Hex(encodeExamples(examples, read.schema)) },
    cut: (parts) => parts.map((part) => subset(examples, part)),
    close: () => Promise.resolve(),
  };
}

async function stored(source: RowSource, options: OpenOptions): Promise<OpenDataset> {
  const { schema, rows } = source;
  const scratch = await options.scratch?.();
  const open = new Map<string, ScratchFile>();
  const make = async (name: string): Promise<ScratchFile | undefined> => {
    const file = await scratch?.edit(name);
    if (file !== undefined) open.set(name, file);
    return file;
  };
  const drop = async (name: string): Promise<void> => {
    await open.get(name)?.close();
    if (open.delete(name)) await scratch!.remove(name);
  };
  const close = async (): Promise<void> => {
    for (const name of [...open.keys()]) await drop(name);
  };
  try {
    const unsorted = await make(ROWS);
    const facts = await storeRows(source, unsorted, options.onRows);
    const sort = async (parts: readonly Uint32Array[]): Promise<SortedRows> => {
      const sorted = await make(PARTS);
      if (unsorted === undefined || sorted === undefined)
        throw new RangeError('bytes are asked of a dataset that was opened without scratch files');
      const all = await sortByPart(unsorted, sorted, parts, rowBytes(schema));
      await drop(ROWS);
      return all;
    };
    return {
      ...{ schema, rows, ...facts, close },
      cut(parts) {
        requireFit(parts, schema);
        return storedParts(() => sort(parts), facts.labels, schema, parts);
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function requireFit(parts: readonly Uint32Array[], schema: DataSchema): void {
  const largest = parts.reduce((most, { length }) => Math.max(most, length), 0) * rowBytes(schema);
  if (largest > MAX_PART_BYTES)
    throw new NmktError('too-large', 'a shard or evaluation set is too large to be packed in one', {
      remedy: 'cut the data into more shards with --shards',
      expected: `at most ${MAX_PART_BYTES} bytes of features each`,
      got: `${largest}`,
    });
}
