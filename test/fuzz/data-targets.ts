import { parquetWriteBuffer } from 'hyparquet-writer';
import { jsonlTable } from '../../src/training/jsonl.js';
import { parquetTable } from '../../src/training/parquet.js';
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

const isText = (cell: unknown): boolean => typeof cell === 'string';

function brokenLines(random: Random): Uint8Array {
  const lines = objects.map((one) => (random.below(3) === 0 ? mutateJsonText(random, one) : JSON.stringify(one)));
  const text = Buffer.from(lines.join(random.pick(['\n', '\r\n', '\n\n'])));
  return random.below(3) === 0 ? mutateBytes(random, [text]) : text;
}

const MIB = 1 << 20;
const column = { a: [1, null, 2.5, -3], b: [true, false, null, true], c: ['x', 'yy', 'x', null], d: [1, 1, 1, 2] };
const columnData = Object.entries(column).map(([name, data]) => ({ name, data }));
/** Packed bytes hide what is broken inside them: most files are not. */
const parquet = [
  parquetWriteBuffer({ columnData, codec: 'UNCOMPRESSED' }),
  parquetWriteBuffer({ columnData, codec: 'UNCOMPRESSED', rowGroupSize: 2, statistics: false }),
  parquetWriteBuffer({ columnData, codec: 'SNAPPY' }),
].map((file) => new Uint8Array(file));

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
  target('Parquet', ['bad-dataset', 'too-large'], {
    share: 0.8,
    make: (random) => mutateBytes(random, parquet),
    run: async (file) => {
      const table = await parquetTable(fileOf('rows.parquet', file), MIB);
      const isWide = (row: readonly string[]): boolean => row.length === table.columns.length && row.every(isText);
      for (const row of (await cellsOf(table)) as string[][]) if (!isWide(row)) throw new TypeError('no row');
    },
  }),
];
