import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors, type StoredTensor } from '../../src/learning/safetensors.js';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { folderOfFile } from '../support/run-nmkt.js';
import { shardsOf } from './shards-of.js';

const folder = folderOfFile();
let files = 0;
async function put(bytes: Uint8Array, name = `${files++}.bin`): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}
const write = (...tensors: StoredTensor[]) => put(encodeSafetensors(tensors));
const x = (shape: readonly number[], data: StoredTensor['data']): StoredTensor => ({ name: 'x', shape, data });
const y = (data: StoredTensor['data']): StoredTensor => ({ name: 'y', shape: [data.length], data });
const failure = (code: string, detail: Record<string, unknown> = {}) => expect.objectContaining({ code, ...detail });

/** As another program writes it: any dtype, keys and spaces of its own. */
function foreign(
  tensors: readonly { name: string; dtype: string; shape: number[]; data: ArrayBufferView }[],
): Uint8Array {
  let at = 0;
  const fields = tensors.map(({ name, dtype, shape, data }) => {
    const offsets = [at, (at += data.byteLength)];
    return [name, { dtype, shape, data_offsets: offsets }];
  });
  const header = Buffer.from(JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(fields) }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const bodies = tensors.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  return Buffer.concat([length, header, ...bodies]);
}

describe('a safetensors file of x and y', () => {
  it('gives the shards that the same bytes give as IDX, also with classes of 64 bits', async () => {
    const pixels = Uint8Array.from({ length: 20 * 6 }, (_, i) => (i * 37) % 256);
    const classes = Array.from({ length: 20 }, (_, i) => [3, 7, 9][i % 3]!);
    const head = (...sizes: number[]) => [0, 0, 8, sizes.length, ...sizes.flatMap((size) => [0, 0, 0, size])];
    await put(Uint8Array.of(...head(20), ...classes), 'x-labels-idx1-ubyte');
    const idx = await readDataset(await put(Uint8Array.of(...head(20, 2, 3), ...pixels), 'x-images-idx3-ubyte'));
    const own = await readDataset(await write(x([20, 2, 3], pixels), y(Int32Array.from(classes))));
    expect(own.schema).toEqual({ ...idx.schema, classes: ['3', '7', '9'] });
    expect(shardsOf(own)).toEqual(shardsOf(idx));
    const torch = foreign([
      { name: 'y', dtype: 'I64', shape: [20], data: BigInt64Array.from(classes, BigInt) },
      { name: 'x', dtype: 'U8', shape: [20, 2, 3], data: pixels },
    ]);
    expect(shardsOf(await readDataset(await put(torch)))).toEqual(shardsOf(idx));
  });

  it('keeps other numbers as they are, and takes floating point for a target: 1 and 3 have mean 2 and stdDev 1', async () => {
    const { schema, examples } = await readDataset(
      await write(x([2, 2], Float32Array.of(0.5, -1, 2, 3)), y(Float32Array.of(1, 3))),
    );
    expect(schema).toEqual({
      ...{ task: 'regression', shape: [2], inputs: 2, dtype: 'F32', scale: 1, outputs: 1 },
      target: { name: 'y', mean: '2.000000000', stdDev: '1.000000000' },
    });
    expect([[...examples.features], [...examples.labels]]).toEqual([
      [0.5, -1, 2, 3],
      [-1, 1],
    ]);
    const doubles = foreign([
      { name: 'x', dtype: 'F64', shape: [2, 2], data: Float64Array.of(0.5, -1, 2, 3) },
      { name: 'y', dtype: 'F64', shape: [2], data: Float64Array.of(1, 3) },
    ]);
    expect(await readDataset(await put(doubles))).toEqual({ schema, examples });
  });

  it('has the task that is asked for', async () => {
    const path = await write(x([2, 1], Float32Array.of(1, 2)), y(Float32Array.of(5, 4)));
    expect((await readDataset(path, { task: 'classification' })).schema.classes).toEqual(['4', '5']);
    const integers = await write(x([2, 1], Float32Array.of(1, 2)), y(Int32Array.of(5, 4)));
    expect((await readDataset(integers, { task: 'regression' })).schema.task).toBe('regression');
  });

  it('is read for a model of the same shape, with or without y', async () => {
    const { schema } = await readDataset(await write(x([2, 2], Float32Array.of(1, 2, 3, 4)), y(Int32Array.of(7, 8))));
    const some = x([1, 2], Float32Array.of(5, 6));
    const unlabelled = await readWithSchema(await write(some), schema, { labelsOptional: true });
    expect([unlabelled.isLabelled, [...unlabelled.examples.features]]).toEqual([false, [5, 6]]);
    expect([...(await readWithSchema(await write(some, y(Int32Array.of(8))), schema)).examples.labels]).toEqual([1]);
    await expect(readWithSchema(await write(some), schema)).rejects.toEqual(failure('label-missing'));
    await expect(readWithSchema(await write(some, y(Int32Array.of(9))), schema)).rejects.toThrow(/example 0: column/);
    await expect(readWithSchema(await write(x([2, 1], Float32Array.of(1, 2))), schema)).rejects.toEqual(
      failure('bad-dataset', { expected: 'F32 [2]', got: 'F32 [1]' }),
    );
  });

  it('is refused with other tensors, no y, a y of another length, no finite number, or flags of tables', async () => {
    const good = x([2, 1], Float32Array.of(1, 2));
    const labels = y(Int32Array.of(0, 1));
    const other: StoredTensor = { name: 'z', shape: [1], data: Float32Array.of(1) };
    await expect(readDataset(await write(good, labels, other))).rejects.toEqual(
      failure('bad-dataset', { expected: 'x and y', got: 'x, y, z' }),
    );
    await expect(readDataset(await write(good))).rejects.toEqual(failure('label-missing'));
    await expect(readDataset(await write(good, y(Int32Array.of(0, 1, 1))))).rejects.toEqual(
      failure('bad-dataset', { expected: '[2]', got: '[3]' }),
    );
    await expect(readDataset(await write(x([2], Float32Array.of(1, 2)), labels))).rejects.toEqual(
      failure('bad-dataset'),
    );
    const infinite = foreign([
      { name: 'x', dtype: 'F32', shape: [2, 1], data: Float32Array.of(1, Infinity) },
      { name: 'y', dtype: 'I32', shape: [2], data: Int32Array.of(0, 1) },
    ]);
    await expect(readDataset(await put(infinite))).rejects.toThrow(/no finite number in example 1/);
    await expect(readDataset(await write(good, labels), { label: 'y' })).rejects.toEqual(
      failure('bad-usage', { message: '--label is for tables, this is safetensors' }),
    );
  });
});
