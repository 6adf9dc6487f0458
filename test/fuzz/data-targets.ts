import { dirname, join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { encodeSafetensors } from '../../src/learning/safetensors.js';
import type { DataSchema } from '../../src/learning/types.js';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { looksLikeSafetensors } from '../../src/training/dataset-safetensors.js';
import { jsonlTable } from '../../src/training/jsonl.js';
import { parquetTable } from '../../src/training/parquet.js';
import type { Table } from '../../src/training/table.js';
import { fileOf } from './files.js';
import { mutateBytes, mutateJsonText, mutateText, type Random } from './mutate.js';
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

const KIB = 1 << 10;
const pixels = Uint8Array.from({ length: 4 * 64 }, (_, i) => (i * 29) % 256);
const images = [
  ...[0, 2, 6].map((colorType) => {
    const image = new PNG({ width: 8, height: 8 });
    image.data.set(pixels);
    return PNG.sync.write(image, { colorType: colorType as 0 | 2 | 6 });
  }),
  jpeg.encode({ width: 8, height: 8, data: pixels }, 50).data,
].map((file) => new Uint8Array(file));
const imageSchema: DataSchema = {
  ...{ task: 'classification', shape: [4, 4, 3], inputs: 48, dtype: 'U8', scale: 255, outputs: 2, classes: ['a', 'b'] },
};

const tensors = encodeSafetensors([
  { name: 'x', shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  { name: 'y', shape: [3], data: Int32Array.of(0, 1, 1) },
]);

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
  target('PNG and JPEG', ['bad-dataset', 'too-large', 'label-missing'], {
    share: 0.4,
    make: (random) => mutateBytes(random, images),
    run: async (file) => {
      const options = { labelsOptional: true, maxBytes: 64 * KIB };
      const { examples } = await readWithSchema(fileOf('image.png', file), imageSchema, options);
      if (examples.features.length !== 48) throw new TypeError('another size');
    },
  }),
  target('tensors of examples', ['bad-dataset', 'too-large', 'label-missing'], {
    share: 0.3,
    make: (random) => {
      const header = Buffer.from(tensors.subarray(8, 8 + tensors[0]!)).toString();
      const text = Buffer.from(mutateText(random, [header]));
      const whole = Buffer.concat([
        Buffer.of(text.length & 255, text.length >> 8, 0, 0, 0, 0, 0, 0),
        text,
        tensors.subarray(-36),
      ]);
      return random.below(2) === 0 ? mutateBytes(random, [tensors]) : whole;
    },
    run: async (file) => {
      const path = fileOf('xy.safetensors', file);
      if (!looksLikeSafetensors(file)) return;
      const { schema, examples } = await readDataset(path, { maxBytes: MIB });
      const again = await readWithSchema(path, schema, { maxBytes: MIB });
      if (JSON.stringify(again.examples) !== JSON.stringify(examples)) throw new TypeError('other examples');
    },
  }),
  target('folders of images', ['bad-dataset', 'too-large'], {
    share: 0.2,
    make: (random) => mutateBytes(random, images),
    run: async (file) => {
      const folder = dirname(dirname(fileOf(join('images', 'a', '1.png'), file)));
      fileOf(join('images', 'b', '1.png'), images[0]);
      const found = await readDataset(folder, { maxBytes: 64 * KIB, imageSize: { height: 4, width: 4 } });
      if (found.examples.rows !== 2) throw new TypeError('another number of images');
    },
  }),
];
