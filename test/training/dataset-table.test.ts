import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDataset, readWithSchema, type DatasetOptions } from '../../src/training/dataset.js';
import { folderOfFile } from '../support/run-nmkt.js';

const folder = folderOfFile();
let files = 0;

async function file(text: string | Uint8Array, extension = 'csv'): Promise<string> {
  const path = join(folder, `${files++}.${extension}`);
  await writeFile(path, text);
  return path;
}
const read = async (text: string, options: DatasetOptions = {}) => readDataset(await file(text), options);
const failure = (code: string, detail: Record<string, unknown> = {}) => expect.objectContaining({ code, ...detail });

describe('a table', () => {
  it('becomes standardised numbers and one-hot categories: 1 and 3 have mean 2 and stdDev 1', async () => {
    const { schema, examples } = await read('size,color,kind\n1,red,cat\n3,blue,dog\n', { label: 'kind' });
    expect(schema).toEqual({
      ...{ task: 'classification', shape: [3], inputs: 3, dtype: 'F32', scale: 1 },
      ...{ outputs: 2, label: 'kind', classes: ['cat', 'dog'] },
      columns: [
        { name: 'size', kind: 'numeric', mean: '2.000000000', stdDev: '1.000000000', fill: '2.000000000' },
        { name: 'color', kind: 'categorical', values: ['blue', 'red'] },
      ],
    });
    expect([...examples.features]).toEqual([-1, 0, 1, 1, 1, 0]);
    expect([...examples.labels]).toEqual([0, 1]);
  });

  it('reads quotes, a byte order mark, CRLF, blank lines, semicolons and tabs alike', async () => {
    const plain = await read('a,b\n1,"x, ""y"""\n2,z\n', { label: 'b' });
    expect(plain.schema.classes).toEqual(['x, "y"', 'z']);
    for (const [text, extension] of [
      ['\ufeffa,b\r\n1,"x, ""y"""\r\n\r\n2,z\r\n', 'csv'],
      ['a;b\n1;"x, ""y"""\n2;z\n', 'csv'],
      ['a\tb\n1\t"x, ""y"""\n2\tz', 'tsv'],
    ]) {
      expect(await readDataset(await file(text!, extension), { label: 'b' })).toEqual(plain);
    }
  });

  it('fills missing numbers with the mean, and makes missing a category only where it was seen', async () => {
    const { schema, examples } = await read('a,b,y\n1,x,0\nNA,,1\n3,x,0\n', { label: 'y' });
    expect(schema.columns).toEqual([
      { name: 'a', kind: 'numeric', mean: '2.000000000', stdDev: '1.000000000', fill: '2.000000000' },
      { name: 'b', kind: 'categorical', values: ['', 'x'] },
    ]);
    expect([...examples.features]).toEqual([-1, 0, 1, 0, 1, 0, 1, 0, 1]);
  });

  it('names the line of a ragged row, with expected and got columns', async () => {
    await expect(read('a,b,c\n1,2,3\n4,5\n', { label: 'c' })).rejects.toEqual(
      failure('bad-dataset', { message: expect.stringContaining('line 3'), expected: '3 columns', got: '2' }),
    );
    await expect(read('a,b\n1,"2\n3,4\n', { label: 'b' })).rejects.toThrow(/line \d+ is no table row/);
  });

  it('refuses an empty file, a header alone, double names, an empty column, binary data and what is not there', async () => {
    await expect(read('')).rejects.toEqual(failure('bad-dataset', { got: '0 rows' }));
    await expect(read('a,b\n', { label: 'b' })).rejects.toThrow(/no rows/);
    await expect(read('a,a\n1,2\n', { label: '0' })).rejects.toThrow(/two columns are named "a"/);
    await expect(read('a,b,y\n1,,0\n2,,1\n', { label: 'y' })).rejects.toThrow(/column "b" is empty/);
    await expect(readDataset(await file('PK\u0003\u0004....', 'npz'), {})).rejects.toEqual(
      failure('bad-dataset', { got: 'ZIP or NPZ' }),
    );
    await expect(readDataset(await file(Uint8Array.of(1, 0, 9)), {})).rejects.toEqual(
      failure('bad-dataset', { got: 'binary data' }),
    );
    await expect(readDataset(join(folder, 'none.csv'))).rejects.toEqual(failure('bad-dataset', { got: 'ENOENT' }));
    await expect(read('a,b\n1,2\n', { label: 'b', maxBytes: 4 })).rejects.toEqual(failure('too-large'));
  });
});

describe('the label column', () => {
  const text = 'length,width,species\n1,2,a\n2,3,b\n';

  it('is found by name or 0-based number', async () => {
    const byName = await read(text, { label: 'species' });
    expect(await read(text, { label: '2' })).toEqual(byName);
  });

  it('lists the columns when it is not there, and suggests the closest', async () => {
    await expect(read(text, { label: 'spiecs' })).rejects.toEqual(
      failure('label-missing', {
        remedy: '--label "species"',
        expected: 'one of length, width, species',
        got: 'spiecs',
      }),
    );
    await expect(read(text)).rejects.toEqual(failure('label-missing', { remedy: '--label "species"', got: 'nothing' }));
    await expect(read(text, { label: '3' })).rejects.toEqual(failure('label-missing'));
  });

  it('means classification for text and for at most 20 distinct integers, else regression', async () => {
    const column = (values: readonly (string | number)[]) => `x,y\n${values.map((y, i) => `${i},${y}`).join('\n')}\n`;
    const integers = (n: number) => Array.from({ length: 2 * n }, (_, i) => i % n);
    expect((await read(column(integers(20)), { label: 'y' })).schema).toMatchObject({
      task: 'classification',
      outputs: 20,
    });
    expect((await read(column(integers(21)), { label: 'y' })).schema).toMatchObject({ task: 'regression', outputs: 1 });
    expect((await read(column([0.5, 1.5]), { label: 'y' })).schema.task).toBe('regression');
    expect((await read(column(integers(21)), { label: 'y', task: 'classification' })).schema.outputs).toBe(21);
    expect((await read(column([0, 1]), { label: 'y', task: 'regression' })).schema.task).toBe('regression');
    await expect(read(column(['a', 'b']), { label: 'y', task: 'regression' })).rejects.toThrow(
      /line 2: the target "y"/,
    );
  });

  it('orders classes by value where all are numbers, and takes 1 and 1.0 for one class', async () => {
    const { schema, examples } = await read('x,y\n1,10\n2,9\n3,1.0\n4,1\n', { label: 'y' });
    expect(schema.classes).toEqual(['1', '9', '10']);
    expect([...examples.labels]).toEqual([2, 1, 0, 0]);
  });

  it('standardises a target: 10 and 30 have mean 20 and stdDev 10', async () => {
    const { schema, examples } = await read('x,y\n1,10.0\n2,30.0\n', { label: 'y', task: 'regression' });
    expect(schema.target).toEqual({ name: 'y', mean: '20.000000000', stdDev: '10.000000000' });
    expect(examples.labels).toEqual(Float32Array.of(-1, 1));
  });

  it('refuses a row without a label, and a label that never changes', async () => {
    await expect(read('x,y\n1,a\n2,\n', { label: 'y' })).rejects.toThrow(/line 3 has no label/);
    await expect(read('x,y\n1,5\n2,NA\n', { label: 'y' })).rejects.toThrow(/line 3 has no label/);
    await expect(read('x,y\n1,a\n2,a\n', { label: 'y' })).rejects.toThrow(/the same in every row/);
    expect((await read('x,y\n1,None\n2,some\n', { label: 'y' })).schema.classes).toEqual(['None', 'some']);
  });
});

describe('column flags', () => {
  const wide = `id,x,y\n${Array.from({ length: 65 }, (_, i) => `n${i},${i % 7},${i % 2}`).join('\n')}\n`;

  it('refuses more than 64 categories with a remedy, and the remedy works', async () => {
    await expect(read(wide, { label: 'y' })).rejects.toEqual(
      failure('bad-dataset', {
        message: expect.stringContaining('column "id"'),
        remedy: expect.stringContaining('--drop "id"'),
      }),
    );
    expect((await read(wide, { label: 'y', drop: ['id'] })).schema.inputs).toBe(1);
    expect((await read(wide, { label: 'y', features: ['x'] })).schema.inputs).toBe(1);
  });

  it('reads numbers as categories and refuses text as numbers, naming the line', async () => {
    const { schema } = await read(wide, { label: 'y', drop: ['id'], categorical: ['x'] });
    expect(schema.columns).toEqual([{ name: 'x', kind: 'categorical', values: ['0', '1', '2', '3', '4', '5', '6'] }]);
    await expect(read(wide, { label: 'y', numeric: ['id'] })).rejects.toThrow(/line 2: column "id" is to be numeric/);
  });

  it('refuses a column that is not there, with a suggestion', async () => {
    await expect(read(wide, { label: 'y', drop: ['idd'] })).rejects.toEqual(
      failure('bad-usage', { remedy: '--drop "id"' }),
    );
    await expect(read(wide, { label: 'y', drop: ['id', 'x'] })).rejects.toThrow(/no feature column is left/);
  });
});

describe('a table without a header', () => {
  it('is noticed by its numbers, and its columns are named by number', async () => {
    const { schema, examples } = await read('5.1,3.5,setosa\n4.9,3.0,other\n', { label: '2' });
    expect(schema.columns?.map(({ name }) => name)).toEqual(['0', '1']);
    expect(examples.rows).toBe(2);
    const counted = await read('0,1,kind\n5.1,3.5,setosa\n4.9,3.0,other\n', { label: 'kind' });
    expect(counted.examples.rows).toBe(2);
  });
});

describe('readWithSchema', () => {
  const train = 'a,b,y\n1,red,cat\n3,blue,dog\n';

  it('applies the schema of the training data, whatever the order of columns', async () => {
    const { schema } = await read(train, { label: 'y' });
    const test = await readWithSchema(await file('extra,y,b,a\n0,dog,red,5\n0,cat,green,\n'), schema);
    expect(test.isLabelled).toBe(true);
    expect([...test.examples.features]).toEqual([3, 0, 1, 0, 0, 0]);
    expect([...test.examples.labels]).toEqual([1, 0]);
  });

  it('does without labels only where they are optional', async () => {
    const { schema } = await read(train, { label: 'y' });
    const path = await file('a,b\n1,red\n');
    await expect(readWithSchema(path, schema)).rejects.toEqual(failure('label-missing'));
    const { examples, isLabelled } = await readWithSchema(path, schema, { labelsOptional: true });
    expect([isLabelled, examples.rows, ...examples.features]).toEqual([false, 1, -1, 0, 1]);
  });

  it('names missing columns and unknown classes', async () => {
    const { schema } = await read(train, { label: 'y' });
    await expect(readWithSchema(await file('a,y\n1,cat\n'), schema)).rejects.toEqual(
      failure('bad-dataset', { expected: 'b' }),
    );
    await expect(readWithSchema(await file('a,b,y\n1,red,cow\n'), schema)).rejects.toThrow(/line 2: column "y"/);
  });

  it('takes a table without header and label by position', async () => {
    const { schema } = await read('setosa,5.1,3.5\nother,4.9,3.0\n', { label: '0' });
    const { examples } = await readWithSchema(await file('5.1,3.5\n'), schema, { labelsOptional: true });
    expect([...examples.features].map(Math.round)).toEqual([1, 1]);
  });
});

describe('the column that says whose a row is', () => {
  const text = 'a,who,y\n1,ann,0\n2,bob,1\n3, ann ,0\n4,,1\n5,bob,0\n6,NA,1\n';

  it('numbers its values as they come, missing ones alike, whether it is an input or not', async () => {
    const dropped = await read(text, { label: 'y', owner: 'who', drop: ['who'] });
    expect([...dropped.owners!]).toEqual([0, 1, 0, 2, 1, 2]);
    expect(dropped.schema.inputs).toBe(1);
    expect([...(await read(text, { label: 'y', owner: 'who' })).owners!]).toEqual([0, 1, 0, 2, 1, 2]);
    expect((await read(text, { label: 'y' })).owners).toBeUndefined();
  });

  it('is a column of a table', async () => {
    await expect(read(text, { label: 'y', owner: 'whom' })).rejects.toEqual(
      failure('bad-usage', { remedy: '--partition-column "who"' }),
    );
    await expect(readDataset(await file('some text here, and more of it', 'txt'), { owner: 'a' })).rejects.toEqual(
      failure('bad-usage', { message: '--partition-column is for tables, this is text' }),
    );
  });
});
