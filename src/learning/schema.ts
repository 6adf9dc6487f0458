import { NmktError } from '../errors.js';
import type { CategoricalColumn, Column, DataSchema, Decimal9, NumericColumn } from './types.js';

/** How a row of text becomes inputs, and a label text a label: the same function when publishing and when predicting. */

const DECIMAL9 = /^-?(0|[1-9]\d{0,15})\.\d{9}$/;
/** Where a double still has nine digits after the point to give away. */
const MAX_DECIMAL = 1e15;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const MISSING: ReadonlySet<string> = new Set(['', 'na', 'n/a', 'nan', 'null', 'none', '?']);

/** @throws NmktError `bad-dataset` for what is not finite or beyond 10^15 */
export function decimal9(value: number): Decimal9 {
  if (!(Math.abs(value) < MAX_DECIMAL))
    throw new NmktError('bad-dataset', `the number ${value} is too large for a schema`, {
      remedy: 'rescale the column or leave it out with --drop',
      expected: 'between -10^15 and 10^15',
      got: `${value}`,
    });
  const text = value.toFixed(9);
  return text === '-0.000000000' ? '0.000000000' : text;
}

/** @throws NmktError `bad-dataset` for any other spelling than that of `decimal9` */
export function parseDecimal9(text: Decimal9): number {
  if (!DECIMAL9.test(text) || text === '-0.000000000')
    throw new NmktError('bad-dataset', 'a number in the schema is not a decimal of nine places', {
      remedy: 'publish the dataset again with this nmkt',
      expected: 'such as -0.125000000',
      got: text.slice(0, 40),
    });
  return Number(text);
}

/** Empty, NA, N/A, NaN, null, none and ? in any case, with spaces around. */
export function isMissing(cell: string): boolean {
  return MISSING.has(cell.trim().toLowerCase());
}

/** A decimal number, spaces around allowed; undefined for anything else, also for hex, Infinity and NaN. */
export function parseNumber(cell: string): number | undefined {
  const text = cell.trim();
  if (!NUMBER.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** The value a categorical cell stands for: trimmed; `''` for every spelling of missing. */
export function categoryOf(cell: string): string {
  return isMissing(cell) ? '' : cell.trim();
}

export function widthOf(column: Column): number {
  return column.kind === 'numeric' ? 1 : column.values.length;
}

/** Standardising by a spread that rounds to 0 would divide by 0: such a column counts as constant. */
export function stdDev9(stdDev: number): Decimal9 {
  const text = decimal9(stdDev);
  return text === '0.000000000' ? '1.000000000' : text;
}

function badCell(column: string, expected: string, cell: string, where: string | undefined): NmktError {
  const start = where === undefined ? '' : `${where}: `;
  return new NmktError('bad-dataset', `${start}column "${column}" holds a value that does not fit`, {
    remedy: 'correct the cell or leave it empty',
    expected,
    got: JSON.stringify(cell.slice(0, 80)),
  });
}

interface Scale {
  readonly mean: number;
  readonly stdDev: number;
}

/** Parsed once per column: a table asks for every cell. */
const scales = new WeakMap<object, Scale>();

function scaleOf(column: { readonly mean: Decimal9; readonly stdDev: Decimal9 }): Scale {
  const known = scales.get(column);
  if (known !== undefined) return known;
  const scale = { mean: parseDecimal9(column.mean), stdDev: parseDecimal9(column.stdDev) };
  scales.set(column, scale);
  return scale;
}

function standardise(value: number, { mean, stdDev }: Scale): number {
  return Math.fround((value - mean) / stdDev);
}

function writeNumeric(
  column: NumericColumn,
  cell: string,
  out: Float32Array,
  at: number,
  where: string | undefined,
): void {
  const value = parseNumber(cell) ?? (isMissing(cell) ? parseDecimal9(column.fill) : undefined);
  if (value === undefined) throw badCell(column.name, 'a number', cell, where);
  const input = standardise(value, scaleOf(column));
  if (!Number.isFinite(input)) throw badCell(column.name, 'a number that fits float32 after scaling', cell, where);
  out[at] = input;
}

function writeCategory(column: CategoricalColumn, cell: string, out: Float32Array, at: number): void {
  const place = column.values.indexOf(categoryOf(cell));
  if (place >= 0) out[at + place] = 1;
}

/**
 * One row of a table to its inputs.
 *
 * @param row   cells in the order of `schema.columns`
 * @param where  for the message: `line 7`
 * @returns     [inputs], float32
 * @throws      NmktError `bad-dataset` naming the column
 */
export function applySchema(schema: DataSchema, row: readonly string[], where?: string): Float32Array {
  const columns = schema.columns ?? [];
  if (columns.length === 0 || row.length !== columns.length)
    throw new NmktError('bad-dataset', 'the row does not have the columns of the schema', {
      remedy: 'give the columns the model was trained on',
      expected: `${columns.length} columns`,
      got: `${row.length}`,
    });
  const out = new Float32Array(schema.inputs);
  let at = 0;
  columns.forEach((column, i) => {
    if (column.kind === 'numeric') writeNumeric(column, row[i]!, out, at, where);
    else writeCategory(column, row[i]!, out, at);
    at += widthOf(column);
  });
  return out;
}

/** Class names are compared as trimmed text, and by value where both are numbers (`1.0` is class `1`). */
function classIndex(classes: readonly string[], cell: string): number {
  const text = cell.trim();
  const exact = classes.indexOf(text);
  if (exact >= 0) return exact;
  const value = parseNumber(text);
  return value === undefined ? -1 : classes.findIndex((name) => parseNumber(name) === value);
}

/** 1 or true, 0 or false; undefined for anything else. */
export function answerOf(cell: string): boolean | undefined {
  const text = cell.trim().toLowerCase();
  const value = text === 'true' ? 1 : text === 'false' ? 0 : parseNumber(text);
  return value === 1 ? true : value === 0 ? false : undefined;
}

/**
 * The cells of all label columns to a set of labels (multilabel), bit i for label i.
 *
 * @throws NmktError `bad-dataset` for what is neither 0 nor 1
 */
export function applyLabels(schema: DataSchema, cells: readonly string[], where?: string): number {
  let set = 0;
  cells.forEach((cell, i) => {
    const answer = answerOf(cell);
    if (answer === undefined) throw badCell(schema.classes?.[i] ?? 'label', '0 or 1', cell, where);
    if (answer) set |= 1 << i;
  });
  return set;
}

/**
 * A label cell to a class index (classification) or a standardised target (regression, float32).
 *
 * @throws NmktError `bad-dataset` for an unknown class or what is no number
 */
export function applyLabel(schema: DataSchema, cell: string, where?: string): number {
  const name = schema.label ?? schema.target?.name ?? 'label';
  if (schema.task === 'classification') {
    const classes = schema.classes ?? [];
    const index = classIndex(classes, cell);
    if (index < 0)
      throw badCell(
        name,
        `one of the ${classes.length} classes ${classes.slice(0, 10).join(', ')}${classes.length > 10 ? ', ...' : ''}`,
        cell,
        where,
      );
    return index;
  }
  const value = parseNumber(cell);
  if (value === undefined || schema.target === undefined) throw badCell(name, 'a number', cell, where);
  const input = standardise(value, scaleOf(schema.target));
  if (!Number.isFinite(input)) throw badCell(name, 'a number that fits float32 after scaling', cell, where);
  return input;
}

/** A prediction in the units of the target column. */
export function targetValue(schema: DataSchema, standardised: number): number {
  if (schema.target === undefined) return standardised;
  const { mean, stdDev } = scaleOf(schema.target);
  return standardised * stdDev + mean;
}
