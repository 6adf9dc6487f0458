import { jsonlTable } from '../../src/training/jsonl.js';
import type { Table } from '../../src/training/table.js';
import { fileOf } from './files.js';
import { mutateBytes, mutateJsonText, type Random } from './mutate.js';
import { readLines } from './reference/data.js';
import { target, type Target } from './target.js';

/** Files of data in other formats than CSV, IDX and text. */

const objects = [
  { a: 1.5, x: [1, 2], y: 'no' },
  { y: true, 'b c': -2e-7, a: null },
  { x: [null, 4], y: 'yes', 7: 0 },
];

function brokenLines(random: Random): Uint8Array {
  const lines = objects.map((one) => (random.below(3) === 0 ? mutateJsonText(random, one) : JSON.stringify(one)));
  const text = Buffer.from(lines.join(random.pick(['\n', '\r\n', '\n\n'])));
  return random.below(3) === 0 ? mutateBytes(random, [text]) : text;
}

async function cellsOf(table: Table): Promise<unknown> {
  const rows: (readonly string[])[] = [table.columns];
  for await (const { cells } of table.rows()) rows.push(cells);
  return rows;
}

export const dataTargets: readonly Target[] = [
  target('JSON lines', ['bad-dataset'], {
    share: 0.6,
    make: brokenLines,
    run: async (file) => cellsOf(await jsonlTable(fileOf('rows.jsonl', file))),
    reference: readLines,
  }),
];
