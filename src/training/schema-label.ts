import { NmktError } from '../errors.js';
import { answerOf, decimal9, stdDev9 } from '../learning/schema.js';
import { MAX_LABELS, type DataSchema, type Task } from '../learning/types.js';
import { byCodeUnit, stdDevOf, type ColumnStats } from './schema-column.js';

/** Integers with no more distinct values than this are read as classes. */
const MAX_INTEGER_CLASSES = 20;
export const MAX_CLASSES = 1_000;

/** Levenshtein distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (a[i] === b[j] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** The column someone who typed `name` most likely meant; undefined when none is near. */
export function closestColumn(name: string, columns: readonly string[]): string | undefined {
  const wanted = name.toLowerCase().slice(0, 64);
  const ranked = columns
    .slice(0, 1_000)
    .map((column) => ({ column, far: distance(wanted, column.toLowerCase().slice(0, 64)) }))
    .sort((a, b) => a.far - b.far);
  const best = ranked[0];
  return best !== undefined && best.far <= Math.max(2, Math.floor(wanted.length / 3)) ? best.column : undefined;
}

function listed(columns: readonly string[]): string {
  return columns.slice(0, 30).join(', ') + (columns.length > 30 ? `, ... (${columns.length} in all)` : '');
}

const USUAL_LABELS = /^(label|labels|class|target|y|species|outcome|category)$/i;

/** @throws NmktError `bad-usage` when a flag names a column that is not there */
export function checkColumn(flag: string, name: string, columns: readonly string[]): void {
  if (columns.includes(name)) return;
  const near = closestColumn(name, columns);
  throw new NmktError('bad-usage', `${flag} names a column that is not there: "${name}"`, {
    remedy: near === undefined ? `name one of the columns after ${flag}` : `${flag} "${near}"`,
    expected: listed(columns),
    got: name,
  });
}

/**
 * The label's column number, from its name or else its 0-based number.
 *
 * @throws NmktError `label-missing` listing the columns, with the closest one as the remedy
 */
export function labelIndex(label: string | undefined, columns: readonly string[]): number {
  const named = label === undefined ? -1 : columns.indexOf(label);
  if (named >= 0) return named;
  if (label !== undefined && /^\d{1,6}$/.test(label) && Number(label) < columns.length) return Number(label);
  const near =
    label === undefined ? columns.find((column) => USUAL_LABELS.test(column)) : closestColumn(label, columns);
  throw new NmktError(
    'label-missing',
    label === undefined ? 'no label column was named' : `there is no column "${label.slice(0, 80)}"`,
    {
      remedy: `--label "${near ?? columns.at(-1) ?? 'COLUMN'}"`,
      expected: `one of ${listed(columns)}`,
      got: label?.slice(0, 80) ?? 'nothing',
    },
  );
}

function missingLabel(stats: ColumnStats, where: string): NmktError {
  return new NmktError('bad-dataset', `${where} has no label in column "${stats.name}"`, {
    remedy: 'remove the rows without a label, or fill them in',
    expected: 'a label in every row',
    got: 'a missing value',
  });
}

/** Numbers by value (`1.0` and `1` are one class), else trimmed text in code-unit order. */
function classNames(stats: ColumnStats, isNumeric: boolean): string[] {
  if (!isNumeric) return [...stats.distinct].sort(byCodeUnit);
  return [...new Set([...stats.distinct].map(Number))].sort((a, b) => a - b).map(String);
}

/**
 * Several columns of 0 and 1: the classes of the schema are their names.
 *
 * @throws NmktError `bad-usage` for fewer than 2 or more than 30 columns, `bad-dataset` for other values or a column of one
 */
export function multilabelSchema(stats: readonly ColumnStats[]): LabelSchema {
  const names = stats.map(({ name }) => name);
  if (names.length < 2 || names.length > MAX_LABELS || new Set(names).size < names.length)
    throw new NmktError('bad-usage', 'these are no several labels', {
      remedy: '--task multilabel --label a,b names the columns; one column of 0 and 1 is a classification',
      expected: `2 to ${MAX_LABELS} different columns after --label`,
      got: names.join(', ').slice(0, 200),
    });
  for (const { name, distinct } of stats) {
    const answers = new Set([...distinct].map(answerOf));
    const isOther = answers.has(undefined);
    if (!isOther && answers.size === 2) continue;
    throw new NmktError('bad-dataset', `the label "${name}" is ${isOther ? 'not 0 and 1' : 'the same in every row'}`, {
      remedy: 'leave the column out of --label, or correct it',
      expected: '0 and 1, or false and true',
      got: [...distinct].slice(0, 5).join(', ').slice(0, 200),
    });
  }
  return { task: 'multilabel', outputs: names.length, classes: names };
}

export type LabelSchema = Pick<DataSchema, 'task' | 'outputs' | 'label' | 'classes' | 'target'>;

/**
 * Classification when the label is text or takes at most 20 distinct integers, else regression; `task` overrides.
 *
 * @throws NmktError `bad-dataset` for a row without a label, fewer than 2 or more than 1,000 classes, text as a target
 */
export function labelSchema(stats: ColumnStats, task?: Task): LabelSchema {
  const { name, firstText, distinct } = stats;
  const isNumeric = firstText === undefined;
  const hole = isNumeric ? stats.firstMissing : stats.firstEmpty;
  if (hole !== undefined) throw missingLabel(stats, hole);
  const inferred =
    !isNumeric || (stats.integers && distinct.size <= MAX_INTEGER_CLASSES) ? 'classification' : 'regression';
  if ((task ?? inferred) === 'regression') {
    if (!isNumeric)
      throw new NmktError('bad-dataset', `${firstText.where}: the target "${name}" is not a number`, {
        remedy: 'use --task classification, or correct the cell',
        expected: 'a number',
        got: JSON.stringify(firstText.cell.slice(0, 80)),
      });
    return {
      task: 'regression',
      outputs: 1,
      label: name,
      target: { name, mean: decimal9(stats.mean), stdDev: stdDev9(stdDevOf(stats)) },
    };
  }
  if (distinct.size > MAX_CLASSES)
    throw new NmktError('bad-dataset', `the label "${name}" has more than ${MAX_CLASSES} distinct values`, {
      remedy: isNumeric ? 'use --task regression, or another --label' : 'name another column with --label',
      expected: `2 to ${MAX_CLASSES} classes`,
      got: `more than ${MAX_CLASSES}`,
    });
  const classes = classNames(stats, isNumeric);
  if (classes.length < 2)
    throw new NmktError('bad-dataset', `the label "${name}" is the same in every row`, {
      remedy: 'name another column with --label',
      expected: 'at least 2 classes',
      got: JSON.stringify(classes[0] ?? ''),
    });
  return { task: 'classification', outputs: classes.length, label: name, classes };
}
