import { NmktError } from '../errors.js';
import { categoryOf, decimal9, isMissing, parseNumber, stdDev9 } from '../learning/schema.js';
import type { Column } from '../learning/types.js';

/** What one pass over a column finds out; memory is bounded by the limit on distinct values. */
export interface ColumnStats {
  readonly name: string;
  count: number;
  missing: number;
  numbers: number;
  /** All numbers so far are integers. */
  integers: boolean;
  mean: number;
  /** Sum of squared distances from the mean (Welford 1962). */
  m2: number;
  /** Distinct values as `valueOf` gives them; no more than `maxDistinct` + 1 of them. */
  readonly distinct: Set<string>;
  readonly valueOf: (cell: string) => string;
  readonly maxDistinct: number;
  /** First cell that is neither a number nor missing, for messages. */
  firstText?: { readonly where: string; readonly cell: string };
  /** First place with each of: an empty cell, any spelling of missing. */
  firstEmpty?: string;
  firstMissing?: string;
}

/** One-hot inputs for more values than this are rarely meant: names, ids, free text. */
export const MAX_CATEGORIES = 64;

/** A label's text is its class, `None` too: it gives `trimmed` for `valueOf`. */
export function columnStats(name: string, maxDistinct: number, valueOf = categoryOf): ColumnStats {
  const counts = { count: 0, missing: 0, numbers: 0, integers: true, mean: 0, m2: 0 };
  return { name, ...counts, distinct: new Set(), valueOf, maxDistinct };
}

export function trimmed(cell: string): string {
  return cell.trim();
}

/** Adds one cell (changes `stats`: it is an accumulator). */
export function addCell(stats: ColumnStats, cell: string, where: string): void {
  stats.count += 1;
  if (stats.distinct.size <= stats.maxDistinct) stats.distinct.add(stats.valueOf(cell));
  const value = parseNumber(cell);
  if (value !== undefined) {
    stats.numbers += 1;
    stats.integers &&= Number.isSafeInteger(value);
    const delta = value - stats.mean;
    stats.mean += delta / stats.numbers;
    stats.m2 += delta * (value - stats.mean);
    return;
  }
  if (cell.trim() === '') stats.firstEmpty ??= where;
  if (isMissing(cell)) {
    stats.missing += 1;
    stats.firstMissing ??= where;
  } else {
    stats.firstText ??= { where, cell };
  }
}

/** Of the population, >= 0. */
export function stdDevOf(stats: ColumnStats): number {
  return stats.numbers === 0 ? 0 : Math.sqrt(stats.m2 / stats.numbers);
}

export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function numericColumn(stats: ColumnStats): Column {
  const { name, firstText } = stats;
  if (firstText !== undefined) {
    throw new NmktError('bad-dataset', `${firstText.where}: column "${name}" is to be numeric but holds text`, {
      remedy: `empty the cell, or use --categorical "${name}" or --drop "${name}"`,
      expected: 'a number or an empty cell',
      got: JSON.stringify(firstText.cell.slice(0, 80)),
    });
  }
  const mean = decimal9(stats.mean);
  return { name, kind: 'numeric', mean, stdDev: stdDev9(stdDevOf(stats)), fill: mean };
}

function categoricalColumn(stats: ColumnStats): Column {
  const { name, distinct } = stats;
  if (distinct.size > MAX_CATEGORIES) {
    throw new NmktError('bad-dataset', `column "${name}" has more than ${MAX_CATEGORIES} distinct values`, {
      remedy: `leave it out with --drop "${name}"${stats.firstText === undefined ? `, or read it as a number with --numeric "${name}"` : `, or empty the cells that are no numbers and use --numeric "${name}"`}`,
      expected: `at most ${MAX_CATEGORIES} categories`,
      got:
        [...distinct]
          .slice(0, 5)
          .map((value) => JSON.stringify(value.slice(0, 40)))
          .join(', ') + ', ...',
    });
  }
  return { name, kind: 'categorical', values: [...distinct].sort(byCodeUnit) };
}

/**
 * Numeric when every cell that is there is a number, else categorical; `kind` overrides.
 *
 * @throws NmktError `bad-dataset` for an empty column, too many categories, or text where `numeric` was asked for
 */
export function columnFrom(stats: ColumnStats, kind?: Column['kind']): Column {
  if (stats.missing === stats.count) {
    throw new NmktError('bad-dataset', `column "${stats.name}" is empty`, {
      remedy: `leave it out with --drop "${stats.name}"`,
      expected: 'at least one value',
      got: `${stats.count} missing cells`,
    });
  }
  const isNumeric = kind === undefined ? stats.firstText === undefined : kind === 'numeric';
  return isNumeric ? numericColumn(stats) : categoricalColumn(stats);
}
