import { appendFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { cutDataset } from '../../src/commands/cut-dataset.js';
import { openHome } from '../../src/config/home.js';
import { sha256Hex } from '../../src/hash.js';
import { decodeExamples, encodeExamples, fileOf } from '../../src/learning/examples.js';
import type { DataSchema } from '../../src/learning/types.js';
import { publishDataset } from '../../src/roles/publish.js';
import { readDataset } from '../../src/training/dataset.js';
import { sortByPart, storedParts } from '../../src/training/part-store.js';
import { openDataset, type OpenDataset, type OpenOptions } from '../../src/training/dataset-open.js';
import type { PartitionChoice } from '../../src/training/split.js';
import { world } from '../roles/publish-world.js';
import { memoryFile } from '../support/memory-file.js';
import { folderOfFile } from '../support/run-nmkt.js';

const SCHEMA: DataSchema = {
  ...{ task: 'classification', shape: [1], inputs: 1, dtype: 'U8', scale: 255 },
  ...{ outputs: 2, classes: ['0', '1'] },
};
const folder = folderOfFile();
let files = 0;
async function file(text: string, extension = 'csv'): Promise<string> {
  const path = join(folder, `${files++}.${extension}`);
  await writeFile(path, text);
  return path;
}

function scratch() {
  const stored = new Map<string, Uint8Array>();
  const files = {
    edit: async (name: string) => memoryFile(stored, name),
    remove: async (name: string) => void stored.delete(name),
  };
  return { stored, onDisk: { inMemoryBytes: 0, scratch: async () => files } };
}

const cell = fc.oneof(
  fc.integer({ min: -50, max: 50 }).map(String),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value.toFixed(3)),
  fc.constant(''),
);
const row = fc.tuple(cell, fc.constantFrom('red', 'blue', '', 'green'), fc.constantFrom('x', 'y', 'z'), cell);
/** The first rows give every column a value and the label every class. */
const table = fc.array(row, { minLength: 12, maxLength: 200 }).map((rows) => {
  const first = ['x', 'y', 'z', 'x', 'y', 'z', 'x', 'y', 'z'].map((label, i) => [`${i}`, 'red', label, `${-i}.5`]);
  return [['a', 'color', 'kind', 'b'], ...first, ...rows].map((cells) => cells.join(',')).join('\n');
});
const partitions: readonly PartitionChoice[] = [
  { name: 'iid' },
  { name: 'stratified' },
  { name: 'label-k', labelsPerShard: 3 },
  { name: 'size-skew', alpha: 5 },
  { name: 'by-column', column: 'color' },
];
const choices = { name: 'table', shards: 2, evalFraction: 0.2, copies: undefined };

async function filesOf(dataset: OpenDataset, partition: PartitionChoice): Promise<unknown> {
  const { request, split } = cutDataset(dataset, { ...choices, partition });
  const parts = [split.a, split.b, ...split.shards];
  const bytes = [];
  for (const part of parts) bytes.push(sha256Hex(await fileOf(part, dataset.schema)));
  return { request, bytes, rows: parts.map(({ rows }) => rows), labels: parts.map(({ labels }) => labels) };
}

describe('a table on disk', () => {
  it('has the hash, the labels and to the byte the shards and sets that it has in memory', async () => {
    await fc.assert(
      fc.asyncProperty(table, fc.constantFrom(...partitions), async (text, partition) => {
        const path = await file(text);
        const owner = partition.name === 'by-column' ? { owner: 'color' } : {};
        const { onDisk, stored } = scratch();
        const inMemory = await openDataset(path, { label: 'kind', ...owner });
        const large = await openDataset(path, { label: 'kind', ...owner, ...onDisk });
        expect(large).toEqual({ ...inMemory, cut: expect.any(Function), close: expect.any(Function) });
        expect([...stored.keys()]).toEqual(['rows.tmp']);
        expect(await filesOf(large, partition)).toEqual(await filesOf(inMemory, partition));
        expect([...stored.keys()]).toEqual(['parts.tmp']);
        await large.close();
        expect(stored.size).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  it('is the same from JSON lines and from Parquet, whose row groups are read one by one', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => ({
      a: i % 9,
      b: i % 4 ? `v${i % 3}` : null,
      y: i % 2 ? 'odd' : 'even',
    }));
    const lines = await file(rows.map((row) => JSON.stringify(row)).join('\n'), 'jsonl');
    const parquet = join(folder, 'table.parquet');
    const columnData = [
      { name: 'a', data: rows.map(({ a }) => a), type: 'INT32' as const },
      { name: 'b', data: rows.map(({ b }) => b), type: 'STRING' as const },
      { name: 'y', data: rows.map(({ y }) => y), type: 'STRING' as const },
    ];
    await writeFile(parquet, new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 20 })));
    const inMemory = await filesOf(await openDataset(lines, { label: 'y' }), { name: 'stratified' });
    for (const path of [lines, parquet]) {
      const large = await openDataset(path, { label: 'y', ...scratch().onDisk });
      expect(await filesOf(large, { name: 'stratified' })).toEqual(inMemory);
    }
  });

  it('becomes the events that it becomes from memory, and a second run finds them', async () => {
    const lines = Array.from({ length: 3_000 }, (_, i) => `${Math.sin(i)},${i % 7},${i % 3}`);
    const path = await file(`a,b,y\n${lines.join('\n')}\n`);
    const publish = async (options: OpenOptions, { ports } = world()) => {
      const dataset = await openDataset(path, { label: 'y', ...options });
      const { request, split } = cutDataset(dataset, { ...choices, partition: { name: 'stratified' } });
      const { schema } = dataset;
      const input = { name: 'table', schema, ...split, request, expirationSec: 1_800_000_000 };
      const { record } = await publishDataset(input, ports);
      await dataset.close();
      return record;
    };
    const here = world();
    const record = await publish({}, here);
    expect(record.chunks).toBeGreaterThan(3);
    expect(await publish(scratch().onDisk)).toEqual(record);
    expect(await publish(scratch().onDisk, here)).toEqual(record);
  });

  it('is read as any other: the same schema, and the same words for a bad row', async () => {
    const path = await file('a,y\n1,2.5\n,3\n5,-1\n', 'csv');
    const large = await openDataset(path, { label: 'y', task: 'regression', ...scratch().onDisk });
    const { schema, examples } = await readDataset(path, { label: 'y', task: 'regression' });
    expect(large.schema).toEqual(schema);
    expect(large.sha256).toBe(sha256Hex(encodeExamples(examples, schema)));
    const both = { label: 'y,z', task: 'multilabel' as const };
    const many = await file('a,y,z\n1,0,1\n2,1,1\n3,1,0\n', 'csv');
    const { sha256 } = await openDataset(many, both);
    expect((await openDataset(many, { ...both, ...scratch().onDisk })).sha256).toBe(sha256);
    for (const text of ['a,y\n1,0\n2\n', 'a,y\n1,0\n2,\n', 'a,y\n1,0\n"2,1\n']) {
      const bad = await file(text);
      const inMemory = await openDataset(bad, { label: 'y' }).catch((error: unknown) => error);
      await expect(openDataset(bad, { label: 'y', ...scratch().onDisk })).rejects.toEqual(inMemory);
      expect(inMemory).toMatchObject({ code: expect.stringMatching('bad-dataset') });
    }
  });

  it.each(['grows', 'shrinks', 'is touched'] as const)(
    'that %s while it is read is refused, and leaves nothing',
    async (what) => {
      const rows = 'a,y\n1,0\n2,1\n3,0\n';
      const path = await file(rows);
      const { onDisk, stored } = scratch();
      const change = async () => {
        if (what === 'grows') await appendFile(path, '4,1\n');
        if (what === 'shrinks') await writeFile(path, rows.slice(0, -4));
        if (what === 'is touched') await utimes(path, 1, 1);
        return onDisk.scratch();
      };
      await expect(openDataset(path, { label: 'y', ...onDisk, scratch: change })).rejects.toThrow(
        expect.objectContaining({ code: 'bad-dataset', message: `${path} changed while it was read` }),
      );
      expect(stored.size).toBe(0);
    },
  );

  it('without a place for its rows can be described and cut, not published', async () => {
    const path = await file(`a,y\n${'1,0\n2,1\n'.repeat(20)}`);
    const dataset = await openDataset(path, { label: 'y', inMemoryBytes: 0 });
    const [part] = dataset.cut([
      Uint32Array.of(3, 1),
      Uint32Array.from({ length: 38 }, (_, i) => (i < 2 ? i * 2 : i + 2)),
    ]);
    expect([part!.rows, part!.labels]).toEqual([2, Int32Array.of(1, 1)]);
    await expect(fileOf(part!, dataset.schema)).rejects.toThrow(RangeError);
  });

  it.each([
    ['are written at once where no memory is left for any to wait', 1_000_000, 36],
    ['wait for others of their part', 100_000, 100],
  ])('whose rows are large: they %s', async (_, inputs, parts) => {
    const rows = 3 * parts;
    const schema = { ...SCHEMA, shape: [inputs], inputs };
    const home = openHome(join(folder, `home-${parts}`));
    const [unsorted, sorted] = [await home.scratch.edit('rows.tmp'), await home.scratch.edit('parts.tmp')];
    for (let row = 0; row < rows; row++) await unsorted.write(new Uint8Array(inputs).fill(row + 1), row * inputs);
    // The last rows first, every `parts`-th one.
    const own = (part: number) => Uint32Array.of(part + 2 * parts, part + parts, part);
    const labels = Int32Array.from({ length: rows }, (_, row) => row % 2);
    const cut = Array.from({ length: parts }, (_, part) => own(part));
    const stored = storedParts(() => sortByPart(unsorted, sorted, cut, inputs), labels, schema, cut);
    const examples = decodeExamples(await stored[7]!.file(), schema, { maxBytes: 2 ** 24 });
    expect([0, 1, 2].map((row) => examples.features[row * inputs])).toEqual([...own(7)].map((row) => (row + 1) % 256));
    expect(examples.features[3 * inputs - 1]).toBe(8);
    expect([...examples.labels]).toEqual([...own(7)].map((row) => row % 2));
    await unsorted.close();
    await sorted.close();
  });
});
