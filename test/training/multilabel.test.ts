import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chanceLevel, classCounts } from '../../src/learning/balance.js';
import { decodeExamples, encodeExamples } from '../../src/learning/examples.js';
import { exactMatches } from '../../src/learning/metrics.js';
import { chooseModel } from '../../src/learning/model-choice.js';
import { initialParams } from '../../src/learning/params.js';
import { dataSchema } from '../../src/protocol/dataset.js';
import { modelSpec } from '../../src/protocol/model.js';
import { labelsFlipped } from '../../src/simulate/attacks.js';
import { readDataset, readWithSchema, type DatasetOptions } from '../../src/training/dataset.js';
import { createEngine } from '../../src/training/engine.js';
import { folderOfFile } from '../support/run-nmkt.js';
import { shardsOf } from './shards-of.js';

const folder = folderOfFile();
let files = 0;
async function read(text: string, options: DatasetOptions = {}, extension = 'csv') {
  const path = join(folder, `${files++}.${extension}`);
  await writeFile(path, text);
  return readDataset(path, { task: 'multilabel', label: 'warm,bright', ...options });
}
const failure = (code: string, detail: Record<string, unknown> = {}) => expect.objectContaining({ code, ...detail });

/** Warm where a is above 0, bright where b is. */
const points = Array.from({ length: 120 }, (_, i) => ({ a: ((i * 7) % 20) - 9.5, b: ((i * 3) % 20) - 9.5 }));
const rows = points.map(({ a, b }) => ({ a, b, warm: a > 0 ? 1 : 0, bright: b > 0 ? 1 : 0 }));
const csv = ['a,b,warm,bright', ...rows.map((row) => Object.values(row).join(','))].join('\n');

describe('several labels', () => {
  it('are columns of 0 and 1, or of false and true: an example has a set of them, bit i for label i', async () => {
    const text = 'x,warm,bright\n1,0,1\n2,1,1.0\n3,0,0\n4,1,0\n';
    const { schema, examples } = await read(text);
    expect(schema).toMatchObject({ task: 'multilabel', outputs: 2, classes: ['warm', 'bright'], inputs: 1 });
    expect(schema.label).toBeUndefined();
    expect([...examples.labels]).toEqual([0b10, 0b11, 0, 0b01]);
    const words = await read('x,warm,bright\n1,false,TRUE\n2,true,true\n3,False,false\n4,true,false\n');
    expect(words.examples).toEqual(examples);
    expect(decodeExamples(encodeExamples(examples, schema), schema, { maxBytes: 1e6 })).toEqual(examples);
    expect(() =>
      decodeExamples(encodeExamples({ ...examples, labels: Int32Array.of(0, 1, 4, 3) }, schema), schema, {
        maxBytes: 1e6,
      }),
    ).toThrow(/no class/);
  });

  it('give equal shards from CSV and JSON lines', async () => {
    const jsonl = rows.map(({ warm, bright, ...one }) => JSON.stringify({ ...one, warm: warm === 1, bright }));
    expect(shardsOf(await read(jsonl.join('\n'), {}, 'jsonl'))).toEqual(shardsOf(await read(csv)));
  });

  it('are refused where one is no answer or never changes, and where they are one, none, or no table', async () => {
    await expect(read('x,warm,bright\n1,0,1\n2,1,2\n')).rejects.toEqual(
      failure('bad-dataset', { message: 'the label "bright" is not 0 and 1' }),
    );
    await expect(read('x,warm,bright\n1,0,1\n2,1,\n')).rejects.toEqual(failure('bad-dataset'));
    await expect(read('x,warm,bright\n1,0,1\n2,1,1\n')).rejects.toThrow(/"bright" is the same in every row/);
    await expect(read(csv, { label: 'warm' })).rejects.toEqual(failure('bad-usage'));
    await expect(read(csv, { label: 'warm,warm' })).rejects.toEqual(failure('bad-usage'));
    await expect(read(csv, { label: 'warm,brigth' })).rejects.toEqual(failure('label-missing'));
    await expect(read('some text and more of it', {}, 'txt')).rejects.toEqual(failure('bad-usage'));
  });

  it('are read for a model with all of them, or for prediction without', async () => {
    const { schema } = await read(csv);
    const path = join(folder, 'new.csv');
    await writeFile(path, 'a,b,bright,warm\n1,2,1,0\n');
    expect([...(await readWithSchema(path, schema)).examples.labels]).toEqual([0b10]);
    await writeFile(path, 'a,b,warm\n1,2,1\n');
    expect((await readWithSchema(path, schema, { labelsOptional: true })).isLabelled).toBe(false);
    await expect(readWithSchema(path, schema)).rejects.toEqual(
      failure('label-missing', { expected: 'columns warm, bright' }),
    );
  });

  it('are counted label by label; guessing says of each what most have: 3/4 and 1/2 of four rows are 5/8', () => {
    const counts = classCounts({ labels: Int32Array.of(0b01, 0b01, 0b11, 0b10) }, 2, 'multilabel');
    expect(counts).toEqual([3, 2]);
    expect(chanceLevel(counts, 4)).toBe(0.625);
    expect(exactMatches([0.9, 0.1, 0.5, 0.6], [0b01, 0b11], 2)).toBe(0.5);
  });

  it('stand in manifests and models: 2 to 30, each with a name', async () => {
    const { schema } = await read(csv);
    expect(dataSchema.parse(schema)).toEqual(schema);
    const many = (count: number) => ({
      ...{ ...schema, outputs: count, classes: Array.from({ length: count }, (_, i) => `label ${i}`) },
    });
    expect([30, 31].map((count) => dataSchema.safeParse(many(count)).success)).toEqual([true, false]);
    expect(dataSchema.safeParse({ ...schema, classes: undefined }).success).toBe(false);
    const spec = { model: 'logreg', task: 'multilabel', inputs: 2, outputs: 30, hidden: [] };
    expect(
      [spec, { ...spec, outputs: 31 }, { ...spec, outputs: 1 }].map((one) => modelSpec.safeParse(one).success),
    ).toEqual([true, false, false]);
  });

  it('are turned round one by one by who flips labels', () => {
    const model = { model: 'logreg', task: 'multilabel', inputs: 1, outputs: 3, hidden: [] } as const;
    const examples = { rows: 2, inputs: 1, features: new Float32Array(2), scale: 1, labels: Int32Array.of(0b101, 0) };
    expect([...labelsFlipped(model, examples).labels]).toEqual([0b010, 0b111]);
  });

  it('are learnt: two lines of a plane, each to 95 % and twice to the same bytes', async () => {
    const { schema, examples } = await read(csv);
    const model = chooseModel({ model: 'mlp', hidden: [8] }, schema);
    if (typeof model === 'string') throw new Error(model);
    const engine = await createEngine({ want: 'wasm' });
    const seed = new Uint8Array(32).fill(3);
    const hyper = { optimizer: 'adam', learningRate: 0.02, batch: 16, epochs: 20 } as const;
    const request = { model, weights: initialParams(model, seed), examples, hyper, seed };
    const [first, second] = [await engine.train(request), await engine.train(request)];
    expect(second.weights).toEqual(first.weights);
    const { accuracy, losses, loss } = await engine.evaluate(model, first.weights, examples);
    expect(accuracy).toBeGreaterThan(0.95);
    expect(losses.reduce((sum, one) => sum + one, 0) / 120).toBeCloseTo(loss, 9);
    const outputs = await engine.predict(model, first.weights, examples.features, 120);
    expect(exactMatches(outputs, examples.labels, 2)).toBeGreaterThan(0.9);
    await engine.close();
  });
});
