import fc from 'fast-check';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDataset, readWithSchema, type DatasetOptions } from '../../src/training/dataset.js';
import { jsonlTable } from '../../src/training/jsonl.js';
import { folderOfFile } from '../support/run-nmkt.js';
import { shardsOf } from './shards-of.js';

const folder = folderOfFile();
let files = 0;

async function file(text: string | Uint8Array, extension = 'jsonl'): Promise<string> {
  const path = join(folder, `${files++}.${extension}`);
  await writeFile(path, text);
  return path;
}
const read = async (text: string, options: DatasetOptions = {}) => readDataset(await file(text), options);
async function cells(text: string): Promise<readonly (readonly string[])[]> {
  const table = await jsonlTable(await file(text));
  const rows = [table.columns];
  for await (const row of table.rows()) rows.push(row.cells);
  return rows;
}
const failure = (code: string, detail: Record<string, unknown> = {}) => expect.objectContaining({ code, ...detail });
const message = (pattern: RegExp) => ({ message: expect.stringMatching(pattern) as string });

describe('JSON lines', () => {
  it('are a table: keys are columns, null and absent keys are missing, lists of numbers are columns by place', async () => {
    expect(
      await cells('{"a":1.5,"x":[1,2],"y":"no"}\r\n\n{"y":true,"b":-2e-7,"a":null}\n{"x":[null,4],"y":"yes"}'),
    ).toEqual([
      ['a', 'x.0', 'x.1', 'y', 'b'],
      ['1.5', '1', '2', 'no', ''],
      ['', '', '', 'true', '-2e-7'],
      ['', '', '4', 'yes', ''],
    ]);
  });

  it('give the shards that the same rows give as CSV, whatever numbers and words they hold', async () => {
    const row = fc.record({
      'a size': fc.option(fc.oneof(fc.integer(), fc.double({ noNaN: true, min: -1e9, max: 1e9 })), { nil: null }),
      color: fc.constantFrom('red', 'deep "blue"', 'a, b', 'None', ''),
      kind: fc.constantFrom('cat', 'dog'),
    });
    const fixed = ['cat', 'dog'].map((kind, i) => ({ 'a size': i, color: 'red', kind }));
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 20, maxLength: 40 }), async (rows) => {
        const all = [...fixed, ...rows];
        const quoted = (cell: string | number | null) => `"${`${cell ?? ''}`.replace(/"/g, '""')}"`;
        const csv = [Object.keys(fixed[0]!), ...all.map((one) => Object.values(one))]
          .map((line) => line.map(quoted).join(','))
          .join('\n');
        const jsonl = all.map((one) => JSON.stringify(one)).join('\n');
        const options = { label: 'kind' };
        expect(shardsOf(await read(jsonl, options))).toEqual(
          shardsOf(await readDataset(await file(csv, 'csv'), options)),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('are known by their name or their first brace', async () => {
    const text = '{"a":1,"y":"p"}\n{"a":2,"y":"q"}\n';
    const plain = await read(text, { label: 'y' });
    for (const extension of ['ndjson', 'json', 'data']) {
      expect(await readDataset(await file(text, extension), { label: 'y' })).toEqual(plain);
    }
    expect(await readDataset(await file(`\ufeff  ${text}`, 'data'), { label: 'y' })).toEqual(plain);
  });

  it('are read for a model by the names of its columns, in any order, with or without the label', async () => {
    const { schema } = await read('{"a":1,"b":5,"y":"p"}\n{"a":3,"b":6,"y":"q"}\n', { label: 'y' });
    const found = await readWithSchema(await file('{"b":5,"other":"x","a":3}\n'), schema, { labelsOptional: true });
    expect([found.isLabelled, [...found.examples.features]]).toEqual([false, [1, -1]]);
  });

  it.each([
    ['{"a":1}\n{"a":2\n', /line 2 of .* is no object/, { expected: 'one JSON object per line' }],
    ['{"a":1}\n\n7\n', /line 3 of .* is no object/, { got: 'number' }],
    ['{"a":1}\n[{"a":1}]\n', /line 2 of .* is no object/, { got: 'a list', remedy: expect.stringMatching(/jq -c/) }],
    ['[\n{"a":1}\n]\n', /line 1 of .* is no object/, { got: 'a list' }],
    ['{\n"a":1\n}\n', /line 1 of .* is no object/, { remedy: expect.stringMatching(/jq -c \. FILE/) }],
    ['{"a":{"b":1}}\n', /line 1: "a" holds what is no cell/, { got: 'an object' }],
    ['{"a":1}\n{"a":["x"]}\n', /line 2: "a" holds what is no cell/, { got: 'a list of other things than numbers' }],
    ['{"a":[]}\n', /line 1: "a" holds what is no cell/, { got: 'an empty list' }],
    ['{"a":1e999}\n', /line 1: "a" holds what is no cell/, { got: 'a number beyond 10^308' }],
    [
      '{"a":null}\n{"a":[1,2]}\n{"a":[1,2,3]}\n',
      /line 3: "a" is of another length/,
      { expected: 'a list of 2, as in line 2', got: 'a list of 3' },
    ],
    [
      '{"a":1}\n{"a":[1]}\n',
      /line 2: "a" is of another length/,
      { expected: 'one value, as in line 1', got: 'a list of 1' },
    ],
    ['{"a":[1,2],"a.1":3}\n', /two columns are named "a.1"/, {}],
    ['{}\n{}\n', /is empty/, {}],
    ['', /is empty/, {}],
  ])('%j is refused, naming the line', async (text, pattern, detail) => {
    await expect(jsonlTable(await file(text))).rejects.toEqual(
      failure('bad-dataset', { ...message(pattern), ...detail }),
    );
  });

  it('name the line of a value that does not fit its column', async () => {
    await expect(read('{"a":1,"y":0}\n\n{"a":2,"y":null}\n', { label: 'y' })).rejects.toThrow(/line 3 has no label/);
    await expect(read('{"a":1,"y":0}\n{"a":"z","y":1}\n', { label: 'y', numeric: ['a'] })).rejects.toThrow(
      /line 2: column "a" is to be numeric/,
    );
  });

  it('may have characters over the border of what is read at once, but no bytes that are none', async () => {
    const long = '\u00e9'.repeat(200_000);
    expect((await cells(`{"a":"x"}\n{"a":"${long}"}\n`))[2]).toEqual([long]);
    await expect(jsonlTable(await file(Uint8Array.of(0x7b, 0xff, 0x7d)))).rejects.toEqual(
      failure('bad-dataset', { got: 'bytes that are no UTF-8' }),
    );
  });

  it('above a mebibyte are refused, and so are more than 20,000 columns', async () => {
    await expect(jsonlTable(await file(`{"a":1}\n{"a":"${'x'.repeat(2 ** 20)}"}`))).rejects.toThrow(
      /line 2 of .* is too long/,
    );
    await expect(jsonlTable(await file(`{"a":[${'1,'.repeat(20_000)}1]}`))).rejects.toThrow(/too many columns/);
  });
});

it('a file named .tsv is cut at tabs, whatever else its names hold', async () => {
  const { schema } = await readDataset(await file('a, in cm, or so\ty\n1\tp\n2\tq\n', 'tsv'), { label: 'y' });
  expect(schema.columns?.map(({ name }) => name)).toEqual(['a, in cm, or so']);
});
