import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { readIdx } from '../../src/training/idx.js';
import { temporaryFolder } from '../support/run-nmkt.js';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

function idx(shape: readonly number[], data: readonly number[], type = 8): Uint8Array {
  const bytes = Buffer.alloc(4 + 4 * shape.length + data.length);
  bytes.set([0, 0, type, shape.length]);
  shape.forEach((size, i) => bytes.writeUInt32BE(size, 4 + 4 * i));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}
async function put(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}
const two = idx([2, 2, 2], [0, 1, 2, 3, 4, 5, 6, 255]);
const failure = (code: string, detail: Record<string, unknown> = {}) => expect.objectContaining({ code, ...detail });

describe('readIdx', () => {
  it('reads plain and gzip alike', async () => {
    const plain = await readIdx(await put('a', two), 1e6);
    expect(plain).toEqual({ shape: [2, 2, 2], data: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 255) });
    expect(await readIdx(await put('a.gz', gzipSync(two)), 1e6)).toEqual(plain);
  });

  it('refuses a declared size of 10 GB, plain or gzip, before allocating', async () => {
    const huge = idx([100_000, 100, 1000], [1, 2, 3]);
    for (const path of [await put('a', huge), await put('a.gz', gzipSync(huge))]) {
      await expect(readIdx(path, 1e9)).rejects.toEqual(failure('too-large', { got: '10000000016' }));
    }
  });

  it('refuses a length other than the declared one', async () => {
    for (const bytes of [idx([3], [1, 2]), idx([1], [1, 2])]) {
      await expect(readIdx(await put('a', bytes), 1e6)).rejects.toEqual(failure('bad-dataset'));
      await expect(readIdx(await put('a.gz', gzipSync(bytes)), 1e6)).rejects.toEqual(failure('bad-dataset'));
    }
  });

  it('stops inflating at the declared size', async () => {
    const bomb = gzipSync(Buffer.concat([idx([4], []), Buffer.alloc(50_000_000)]));
    await expect(readIdx(await put('a.gz', bomb), 1e6)).rejects.toThrow(/longer than its header declares/);
  });

  it('refuses a wrong magic, type or rank, a cut header, damaged gzip and files above the limit', async () => {
    const cases = [
      Uint8Array.of(1, 2, 3, 4),
      idx([1], [0, 0, 0, 0], 0x0d),
      idx([], [1]),
      two.slice(0, 9),
      new Uint8Array(2),
    ];
    for (const bytes of cases)
      await expect(readIdx(await put('a', bytes), 1e6)).rejects.toEqual(failure('bad-dataset'));
    const cut = gzipSync(
      Buffer.concat([idx([60_000], []), Buffer.from(Array.from({ length: 60_000 }, (_, i) => (i * i * 7) & 255))]),
    );
    await expect(readIdx(await put('a.gz', cut.subarray(0, -20)), 1e6)).rejects.toThrow(/damaged/);
    await expect(readIdx(await put('a.gz', Uint8Array.of(0x1f, 0x8b, 1, 1)), 1e6)).rejects.toThrow(/gzip/);
    await expect(readIdx(await put('a', two), 10)).rejects.toEqual(failure('too-large'));
  });
});

describe('an IDX dataset', () => {
  it('finds its labels beside it, in either spelling', async () => {
    for (const [images, labels] of [
      ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'],
      ['x-images.idx3-ubyte', 'x-labels.idx1-ubyte'],
    ]) {
      await put(labels!, idx([2], [7, 3]));
      const { schema, examples } = await readDataset(await put(images!, two));
      expect(schema).toEqual({
        ...{ task: 'classification', shape: [2, 2], inputs: 4, dtype: 'U8', scale: 83 },
        ...{ outputs: 2, classes: ['3', '7'] },
      });
      expect([...examples.labels]).toEqual([1, 0]);
      expect(examples.features[7]).toBe(255);
    }
  });

  it('finds gzip labels beside plain images', async () => {
    await put('a-labels-idx1-ubyte.gz', gzipSync(idx([2], [0, 1])));
    expect((await readDataset(await put('a-images-idx3-ubyte', two))).examples.rows).toBe(2);
  });

  it('says which label file is missing, and takes --labels', async () => {
    const path = await put('a-images-idx3-ubyte', two);
    await expect(readDataset(path)).rejects.toEqual(
      failure('label-missing', { expected: join(folder, 'a-labels-idx1-ubyte'), remedy: '--labels FILE' }),
    );
    const labels = await put('mine', idx([2], [0, 1]));
    expect((await readDataset(path, { labels })).examples.rows).toBe(2);
  });

  it('refuses labels of another number, flags for tables, and regression', async () => {
    const path = await put('a-images-idx3-ubyte', two);
    await put('a-labels-idx1-ubyte', idx([3], [0, 1, 1]));
    await expect(readDataset(path)).rejects.toEqual(failure('bad-dataset', { expected: '2 labels', got: '3' }));
    await expect(readDataset(path, { label: 'y' })).rejects.toEqual(failure('bad-usage'));
    await expect(readDataset(path, { task: 'regression' })).rejects.toEqual(failure('bad-usage'));
  });

  it('is found in a folder with its test set, whose classes are those of the training set', async () => {
    await put('train-images-idx3-ubyte', two);
    await put('train-labels-idx1-ubyte', idx([2], [3, 7]));
    await put('t10k-images-idx3-ubyte', idx([1, 2, 2], [9, 9, 9, 9]));
    await put('t10k-labels-idx1-ubyte', idx([1], [7]));
    const { examples, test } = await readDataset(folder);
    expect([examples.rows, test?.rows, test?.labels[0]]).toEqual([2, 1, 1]);
    await put('t10k-labels-idx1-ubyte', idx([1], [5]));
    await expect(readDataset(folder)).rejects.toEqual(failure('bad-dataset', { expected: '3, 7', got: '5' }));
  });

  it('refuses a folder without the usual names, listing what is there', async () => {
    await put('notes.pdf', two);
    await expect(readDataset(folder)).rejects.toEqual(failure('bad-dataset', { got: 'notes.pdf' }));
  });

  it('predicts without labels, and refuses another shape', async () => {
    await put('train-labels-idx1-ubyte', idx([2], [3, 7]));
    const { schema } = await readDataset(await put('train-images-idx3-ubyte', two));
    const path = await put('new-images-idx3-ubyte', idx([1, 2, 2], [1, 2, 3, 4]));
    expect(await readWithSchema(path, schema, { labelsOptional: true })).toMatchObject({ isLabelled: false });
    await expect(readWithSchema(path, schema)).rejects.toEqual(failure('label-missing'));
    const wide = await put('wide-images-idx3-ubyte', idx([1, 2, 3], [1, 2, 3, 4, 5, 6]));
    await expect(readWithSchema(wide, schema, { labelsOptional: true })).rejects.toEqual(
      failure('bad-dataset', { got: 'U8 [2, 3]' }),
    );
  });
});

describe('MNIST', () => {
  it('reads as 28 x 28 images of ten classes', async () => {
    const data = process.env.NMKT_TEST_DATA;
    if (data === undefined) {
      console.log('SKIP MNIST: NMKT_TEST_DATA is not set');
      return;
    }
    const { schema, examples, test } = await readDataset(join(data, 'mnist10k'));
    expect(schema).toMatchObject({
      shape: [28, 28],
      outputs: 10,
      classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    });
    expect(examples.features.length).toBe(examples.rows * 784);
    expect(test!.rows).toBeGreaterThan(0);
  });
});
