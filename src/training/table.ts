import { NmktError } from '../errors.js';

/** A table as rows of text, whatever the file: what one reads from CSV, JSON lines or Parquet becomes examples in one way. */
export interface Table {
  readonly path: string;
  readonly columns: readonly string[];
  /** Without names, columns are called by their number. */
  readonly hasNames: boolean;
  /**
   * From the start at each call, in the order of the file: a table is read more than once and never held in memory.
   *
   * @param used  places of the columns that are needed; others may be left empty. Default all
   */
  rows(used?: readonly number[]): AsyncIterable<TableRow>;
}

export interface TableRow {
  /** For messages: `line 7`, as an editor counts, or `row 7`, the first one 1. */
  readonly where: string;
  /** As many as the table has columns; empty where a value is missing. */
  readonly cells: readonly string[];
}

const MAX_COLUMNS = 20_000;

export function badTable(message: string, remedy: string, expected: string, got: string, cause?: unknown): NmktError {
  return new NmktError('bad-dataset', message, { remedy, expected, got, cause });
}

/** @throws NmktError `bad-dataset` */
export function checkWidth(path: string, columns: number, remedy: string): void {
  if (columns > MAX_COLUMNS)
    throw badTable(`${path} has too many columns`, remedy, `at most ${MAX_COLUMNS}`, `${columns}`);
}

/** @throws NmktError `bad-dataset` for too many columns or two of one name */
export function checkColumns(path: string, names: readonly string[], remedy: string): readonly string[] {
  checkWidth(path, names.length, remedy);
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined)
    throw badTable(`two columns are named "${twice}"`, 'rename one of them', 'distinct column names', twice);
  return names;
}

/** What a reader says when the second reading gives something else than the first. */
export function changedTable(path: string, expected: string, got: string): NmktError {
  return badTable(`${path} changed while it was read`, 'run the command again', expected, got);
}
