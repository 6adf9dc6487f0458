import { createReadStream } from 'node:fs';
import { badTable, changedTable, checkColumns, checkWidth, type Table, type TableRow } from './table.js';

/**
 * JSON lines (https://jsonlines.org): one object per line, its keys the columns in the order in which they first occur. A list of numbers
 * becomes one column per place, `name.0`, `name.1`, ...; a key that a line lacks, and null, is a missing value.
 */

/** A longer line is no row. */
const MAX_LINE_BYTES = 1_048_576;

interface Line {
  /** 1-based, as an editor counts. */
  readonly number: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Of one key: a value per line, or a list of so many numbers. Undefined as long as it was null in every line. */
interface Field {
  readonly length: 'one' | number | undefined;
  /** The line that says so. */
  readonly line: number;
}

async function* textLines(path: string): AsyncGenerator<{ readonly number: number; readonly bytes: Uint8Array }> {
  const source = createReadStream(path, { highWaterMark: 262_144 }) as AsyncIterable<Buffer>;
  let number = 1;
  let kept: Buffer[] = [];
  let length = 0;
  const keep = (part: Buffer): void => {
    length += part.length;
    if (length > MAX_LINE_BYTES)
      throw badTable(
        `line ${number} of ${path} is too long`,
        'write one object per line',
        `at most ${MAX_LINE_BYTES} bytes`,
        'more',
      );
    kept.push(part);
  };
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      keep(chunk.subarray(from, end));
      yield { number, bytes: kept.length === 1 ? kept[0]! : Buffer.concat(kept) };
      [kept, length, from] = [[], 0, end + 1];
      number += 1;
    }
    keep(chunk.subarray(from));
  }
  if (length > 0) yield { number, bytes: Buffer.concat(kept) };
}

async function* objects(path: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const refuse = (number: number, got: string, cause?: unknown) =>
    badTable(
      `line ${number} of ${path} is no object`,
      got === 'a list'
        ? `jq -c '.[]' FILE writes a list as lines`
        : 'correct or remove the line; jq -c . FILE writes each object on a line of its own',
      'one JSON object per line',
      got,
      cause,
    );
  for await (const { number, bytes } of textLines(path)) {
    let value: unknown;
    try {
      const text = decoder.decode(bytes);
      if (text.trim() === '') continue;
      if (text.startsWith('[')) throw refuse(number, 'a list');
      value = JSON.parse(text);
    } catch (cause) {
      if (cause instanceof SyntaxError) throw refuse(number, cause.message.slice(0, 200), cause);
      if (cause instanceof TypeError) throw refuse(number, 'bytes that are no UTF-8', cause);
      throw cause;
    }
    if (typeof value !== 'object' || value === null) throw refuse(number, value === null ? 'null' : typeof value);
    if (Array.isArray(value)) throw refuse(number, 'a list');
    yield { number, fields: value as Record<string, unknown> };
  }
}

/** A number, text, true or false as the cell that CSV would have; undefined for what is none. */
function cellOf(value: unknown): string | undefined {
  if (value === null) return '';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
}

function badField(number: number, key: string, expected: string, value: unknown, remedy: string): Error {
  const list = Array.isArray(value) && (value.length === 0 ? 'an empty list' : 'a list of other things than numbers');
  const got = list || (typeof value === 'number' ? 'a number beyond 10^308' : 'an object');
  return badTable(`line ${number}: "${key.slice(0, 80)}" holds what is no cell`, remedy, expected, got);
}

const ONE_VALUE = 'a number, text, true, false or null, or a list of numbers';

/** @throws NmktError `bad-dataset` for an object, a list of anything but numbers, or a number that no float64 is */
function lengthOf({ number, fields }: Line, key: string): Field['length'] {
  const value = fields[key];
  if (value === null) return undefined;
  if (!Array.isArray(value)) {
    if (cellOf(value) !== undefined) return 'one';
    throw badField(number, key, ONE_VALUE, value, 'flatten it: one key per value');
  }
  const isNumeric = value.every((item) => item === null || (typeof item === 'number' && Number.isFinite(item)));
  if (isNumeric && value.length > 0) return value.length;
  throw badField(number, key, ONE_VALUE, value, 'flatten it: one key per value');
}

function merged(known: Field | undefined, length: Field['length'], { number }: Line, key: string): Field {
  if (known?.length === undefined) return { length, line: number };
  if (length === undefined || length === known.length) return known;
  const say = (one: 'one' | number) => (one === 'one' ? 'one value' : `a list of ${one}`);
  throw badTable(
    `line ${number}: "${key.slice(0, 80)}" is of another length than before`,
    'give each key as many values in every line',
    `${say(known.length)}, as in line ${known.line}`,
    say(length),
  );
}

function widthOf({ length }: Field): number {
  return typeof length === 'number' ? length : 1;
}

/**
 * Reads the whole file once, for its columns.
 *
 * @throws NmktError `bad-dataset` naming the line, for what is no object, a nested value, a list whose length changes, a line above 1 MiB
 */
export async function jsonlTable(path: string): Promise<Table> {
  const fields = new Map<string, Field>();
  let width = 0;
  for await (const line of objects(path)) {
    for (const key of Object.keys(line.fields)) {
      const known = fields.get(key);
      const field = merged(known, lengthOf(line, key), line, key);
      width += widthOf(field) - (known === undefined ? 0 : widthOf(known));
      fields.set(key, field);
    }
    checkWidth(path, width, 'leave keys out');
  }
  if (fields.size === 0)
    throw badTable(`${path} is empty`, 'give lines like {"a": 1, "label": "x"}', 'at least one object', 'none');
  const columns = [...fields].flatMap(([key, { length }]) =>
    typeof length === 'number' ? Array.from({ length }, (_, i) => `${key}.${i}`) : [key],
  );
  checkColumns(path, columns, 'leave keys out');
  return { path, columns, hasNames: true, rows: () => rows(path, fields) };
}

async function* rows(path: string, fields: ReadonlyMap<string, Field>): AsyncGenerator<TableRow> {
  for await (const line of objects(path)) {
    const other = Object.keys(line.fields).find((key) => !fields.has(key));
    if (other !== undefined) throw changedTable(path, 'the keys of before', other.slice(0, 80));
    const cells = [...fields].flatMap(([key, field]) => {
      const value = Object.hasOwn(line.fields, key) ? line.fields[key] : null;
      if (value !== null) merged(field, lengthOf(line, key), line, key);
      if (typeof field.length !== 'number') return [cellOf(value)!];
      return Array.isArray(value) ? value.map((item) => cellOf(item)!) : new Array<string>(field.length).fill('');
    });
    yield { where: `line ${line.number}`, cells };
  }
}
