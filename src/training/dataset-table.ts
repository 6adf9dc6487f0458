import { NmktError } from '../errors.js';
import { applyLabel, applyLabels, applySchema, categoryOf, widthOf } from '../learning/schema.js';
import type { Column, DataSchema, Examples, Task } from '../learning/types.js';
import { addCell, columnFrom, columnStats, MAX_CATEGORIES, trimmed } from './schema-column.js';
import { checkColumn, labelIndex, labelSchema, MAX_CLASSES, multilabelSchema } from './schema-label.js';
import type { EncodedRow, RowSource } from './row-source.js';
import { changedTable, type Table } from './table.js';

export interface TableOptions {
  /** Name or 0-based number of the label column; of the task multilabel several, with commas. */
  readonly label?: string;
  readonly task?: Task;
  /** Use only these columns. */
  readonly features?: readonly string[];
  readonly drop?: readonly string[];
  readonly categorical?: readonly string[];
  readonly numeric?: readonly string[];
  /** Whose each row is: a column to keep rows together by. */
  readonly owner?: string;
  /** CSV: is the first row a header? Guessed when absent. */
  readonly header?: boolean;
}

/** Inputs in memory; one-hot columns can be far wider than the file. */
const MAX_FEATURE_BYTES = 2_147_483_648;

function chosenColumns(columns: readonly string[], labels: readonly number[], options: TableOptions): number[] {
  for (const flag of ['features', 'drop', 'categorical', 'numeric'] as const) {
    for (const name of options[flag] ?? []) checkColumn(`--${flag}`, name, columns);
  }
  const chosen = columns.flatMap((name, i) => {
    const isWanted = options.features?.includes(name) ?? true;
    return !labels.includes(i) && isWanted && options.drop?.includes(name) !== true ? [i] : [];
  });
  if (chosen.length === 0)
    throw new NmktError('bad-dataset', 'no feature column is left', {
      remedy: 'drop fewer columns',
      expected: 'at least one column beside the label',
      got: columns.join(', ').slice(0, 200),
    });
  return chosen;
}

function kindFor(name: string, options: TableOptions): Column['kind'] | undefined {
  if (options.numeric?.includes(name) === true) return 'numeric';
  return options.categorical?.includes(name) === true ? 'categorical' : undefined;
}

/** First pass: statistics of every column, then the schema. */
async function inferSchema(table: Table, options: TableOptions): Promise<{ schema: DataSchema; rows: number }> {
  const isMany = options.task === 'multilabel';
  const named = isMany ? (options.label ?? '').split(',').filter((name) => name !== '') : [options.label];
  const labels = named.map((name) => labelIndex(name, table.columns));
  const chosen = chosenColumns(table.columns, labels, options);
  const labelStats = labels.map((label) => columnStats(table.columns[label]!, MAX_CLASSES, trimmed));
  const stats = chosen.map((i) => columnStats(table.columns[i]!, MAX_CATEGORIES));
  let rows = 0;
  for await (const { where, cells } of table.rows([...labels, ...chosen])) {
    labelStats.forEach((label, i) => addCell(label, cells[labels[i]!]!, where));
    stats.forEach((column, i) => addCell(column, cells[chosen[i]!]!, where));
    rows += 1;
  }
  if (rows === 0)
    throw new NmktError('bad-dataset', `${table.path} has a header and no rows`, {
      remedy: 'give a table with data',
      expected: 'at least one row',
      got: '0 rows',
    });
  const columns = stats.map((column) => columnFrom(column, kindFor(column.name, options)));
  const inputs = columns.reduce((sum, column) => sum + widthOf(column), 0);
  const label = isMany ? multilabelSchema(labelStats) : labelSchema(labelStats[0]!, options.task);
  return {
    schema: { shape: [inputs], inputs, dtype: 'F32', scale: 1, columns, ...label },
    rows,
  };
}

/** Where the columns of the schema and the labels (undefined: not all there) are in this table. */
interface Places {
  readonly columns: readonly number[];
  readonly labels: readonly number[] | undefined;
  readonly owner?: number;
}

export interface TableExamples {
  readonly examples: Examples;
  /** Per row the number of its value in the owner's column, in the order in which they first occur. */
  readonly owners?: Int32Array;
}

function placesOf(schema: DataSchema, table: Table): Places {
  const wanted = schema.columns ?? [];
  const found = wanted.map(({ name }) => table.columns.indexOf(name));
  const missing = wanted.filter((_, i) => found[i] === -1).map(({ name }) => name);
  if (missing.length === 0) {
    const names = schema.task === 'multilabel' ? (schema.classes ?? []) : [schema.label ?? ''];
    const labels = names.map((name) => table.columns.indexOf(name));
    return { columns: found, labels: labels.includes(-1) ? undefined : labels };
  }
  // a table without names and without the label column: the features, in order
  if (!table.hasNames && table.columns.length === wanted.length)
    return { columns: wanted.map((_, i) => i), labels: undefined };
  throw new NmktError('bad-dataset', `the table lacks ${missing.length} of the model's columns`, {
    remedy: 'give the columns the model was trained on, under the same names',
    expected: missing.slice(0, 20).join(', '),
    got: table.columns.slice(0, 20).join(', '),
  });
}

async function countRows(table: Table): Promise<number> {
  let rows = 0;
  for await (const _ of table.rows([])) rows += 1;
  return rows;
}

/** Second pass: every row through the schema. Without a label column the labels are 0. @throws NmktError `bad-dataset` for another number of rows */
async function* encodedRows(
  table: Table,
  schema: DataSchema,
  places: Places,
  rows: number,
): AsyncGenerator<EncodedRow> {
  const known = new Map<string, number>();
  let row = 0;
  const used = [...places.columns, ...(places.labels ?? []), places.owner].filter((place) => place !== undefined);
  for await (const { where, cells } of table.rows(used)) {
    if (row === rows) throw changedTable(table.path, `${rows} rows`, 'more');
    const own = places.columns.map((i) => cells[i]!);
    yield {
      features: applySchema(schema, own, where),
      label: places.labels === undefined ? 0 : labelOf(schema, places.labels, cells, where),
      ...(places.owner !== undefined && { owner: numberOf(known, categoryOf(cells[places.owner]!)) }),
    };
    row += 1;
  }
  if (row !== rows) throw changedTable(table.path, `${rows} rows`, `${row}`);
}

/** @throws NmktError `too-large`, and what reading throws */
export async function rowsInMemory({ schema, rows, hasOwners, encoded }: RowSource): Promise<TableExamples> {
  const bytes = rows * schema.inputs * 4;
  if (bytes > MAX_FEATURE_BYTES)
    throw new NmktError('too-large', `${rows} rows of ${schema.inputs} inputs do not fit in memory`, {
      remedy: 'drop columns with many categories, or give fewer rows',
      expected: `at most ${MAX_FEATURE_BYTES} bytes`,
      got: `${bytes}`,
    });
  const features = new Float32Array(rows * schema.inputs);
  const labels = schema.task === 'regression' ? new Float32Array(rows) : new Int32Array(rows);
  const owners = hasOwners ? new Int32Array(rows) : undefined;
  let row = 0;
  for await (const { features: inputs, label, owner } of encoded()) {
    features.set(inputs, row * schema.inputs);
    labels[row] = label;
    if (owners !== undefined) owners[row] = owner!;
    row += 1;
  }
  const examples = { rows, inputs: schema.inputs, features, scale: schema.scale, labels };
  return owners === undefined ? { examples } : { examples, owners };
}

function labelOf(schema: DataSchema, places: readonly number[], cells: readonly string[], where: string): number {
  if (schema.task !== 'multilabel') return applyLabel(schema, cells[places[0]!]!, where);
  return applyLabels(
    schema,
    places.map((place) => cells[place]!),
    where,
  );
}

function numberOf(known: Map<string, number>, value: string): number {
  const found = known.get(value) ?? known.size;
  known.set(value, found);
  return found;
}

/** First pass: what the table becomes. Its rows are read again when they are wanted. */
export async function surveyTable(table: Table, options: TableOptions): Promise<RowSource> {
  if (options.owner !== undefined) checkColumn('--partition-column', options.owner, table.columns);
  const { schema, rows } = await inferSchema(table, options);
  const places = placesOf(schema, table);
  const owner = options.owner === undefined ? {} : { owner: table.columns.indexOf(options.owner) };
  return {
    ...{ schema, rows, hasOwners: options.owner !== undefined },
    encoded: () => encodedRows(table, schema, { ...places, ...owner }, rows),
  };
}

export async function readTable(table: Table, options: TableOptions): Promise<{ schema: DataSchema } & TableExamples> {
  const source = await surveyTable(table, options);
  return { schema: source.schema, ...(await rowsInMemory(source)) };
}

/** `isLabelled` is false when the label column is not there; the labels are 0 then. */
export async function readTableWithSchema(
  table: Table,
  schema: DataSchema,
): Promise<{ examples: Examples; isLabelled: boolean }> {
  const { path } = table;
  if (schema.columns === undefined)
    throw new NmktError('bad-dataset', `${path} is a table, the model takes other data`, {
      remedy: 'give an IDX file',
      expected: `${schema.dtype} [${schema.shape.join(', ')}]`,
      got: 'a table',
    });
  const places = placesOf(schema, table);
  const rows = await countRows(table);
  if (rows === 0)
    throw new NmktError('bad-dataset', `${path} has no rows`, {
      remedy: 'give a table with data',
      expected: 'at least one row',
      got: '0 rows',
    });
  const encoded = () => encodedRows(table, schema, places, rows);
  const { examples } = await rowsInMemory({ schema, rows, hasOwners: false, encoded });
  return { examples, isLabelled: places.labels !== undefined };
}
