import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { modelCost } from '../../src/learning/model-cost.js';
import { readLayersModel } from '../../src/learning/layers-model.js';
import { initialParams } from '../../src/learning/params.js';
import type { ModelSpec } from '../../src/learning/types.js';
import { writeModelFiles } from '../../src/training/model-files.js';
import { layersModel } from '../../src/training/model-topology.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';

const IRIS = resolve('examples/iris.csv');
const inspect = async (...args: string[]) => {
  const { status, stdout, stderr } = await runNmkt(['inspect', ...args, '--json']);
  return { status, stderr, value: JSON.parse(stdout) as Record<string, unknown> };
};
const cnn: ModelSpec = {
  ...{ model: 'cnn', task: 'classification', inputs: 784, outputs: 10 },
  ...{ shape: [28, 28, 1], filters: [6, 16], hidden: [120, 84] },
};
const sequential = (...layers: object[]) => ({ modelTopology: { class_name: 'Sequential', config: { layers } } });
const dense = (config: object) => ({ class_name: 'Dense', config });

describe('nmkt inspect', () => {
  it('counts a model for data by hand: 4 x 8 + 8 and 8 x 3 + 3', async () => {
    const { status, value } = await inspect(IRIS, '--label', 'species', '--hidden', '8', '--batch', '10');
    expect(status).toBe(0);
    expect(value).toMatchObject({ model: 'mlp', parameters: 67, weightBytes: 268, flops: 134, batch: 10 });
    expect(value).toMatchObject({ activationBytes: 4 * (4 + 8 + 3), trainingBytes: 32 * 67 + 16 * 10 * 15 });
    expect([value['secondsPer1000'], value['engine']]).toEqual([expect.any(Number), expect.stringMatching(/^\w+\//)]);
    expect(value['secondsPer1000']).toBeGreaterThan(0);
  });

  it('reads a folder of ours without its weights', async () => {
    const dir = temporaryFolder();
    await writeModelFiles(dir, cnn, initialParams(cnn, new Uint8Array(32)), {});
    writeFileSync(join(dir, 'model.safetensors'), '');
    // The parameters of LeNet-5 with padding and 16 full maps.
    const { status, value } = await inspect(dir);
    expect([status, value['parameters'], value['flops']]).toEqual([0, 107786, modelCost(cnn).flops]);
  });

  it('refuses a hostile size with its figures, before anything is built', async () => {
    const path = join(temporaryFolder(), 'model.json');
    writeFileSync(path, JSON.stringify(sequential(dense({ batch_input_shape: [null, 100_000], units: 1_000_000 }))));
    const { status, value } = await inspect(path);
    expect(status).toBe(4);
    expect(value).toMatchObject({ parameters: 100_001_000_000, error: { code: 'too-large', got: '100001000000' } });
    const small = await inspect(IRIS, '--label', 'species', '--max-memory', '1000');
    expect([small.status, small.value['error']]).toMatchObject([
      4,
      { code: 'too-large', remedy: expect.stringMatching(/--max-memory \d+/) },
    ]);
  });
});

describe('a LayersModel', () => {
  it('of ours has the parameters and products that its description says', () => {
    const json: unknown = layersModel(cnn, initialParams(cnn, new Uint8Array(32)), 'weights.bin');
    const { parameters, flops } = readLayersModel(json).cost;
    expect(parameters).toBe(107786);
    expect(flops).toBe(modelCost(cnn).flops);
  });

  it('as Keras writes it: strides, same padding, no bias', () => {
    const json = sequential(
      { class_name: 'InputLayer', config: { batch_shape: [null, 7, 7, 2] } },
      {
        class_name: 'Conv2D',
        config: { filters: 3, kernel_size: [3, 3], strides: [2, 2], padding: 'same', use_bias: false },
      },
      { class_name: 'AveragePooling2D', config: { pool_size: [2, 2] } },
      { class_name: 'BatchNormalization', config: {} },
      { class_name: 'Flatten', config: {} },
      dense({ units: 5 }),
    );
    // 4 x 4 x 3 of windows of 18; pooled to 2 x 2 x 3; 12 -> 5.
    expect(readLayersModel(json).cost).toMatchObject({
      parameters: 18 * 3 + 4 * 3 + 12 * 5 + 5,
      flops: 2 * 16 * 18 * 3 + 2 * 12 + 2 * 12 * 5,
    });
  });

  it.each([
    [sequential({ class_name: 'Lambda', config: { batch_input_shape: [null, 4], function: ['x'] } }), /layers Input/],
    [sequential({ class_name: 'toString', config: { batch_input_shape: [null, 4] } }), /layers Input/],
    [sequential(dense({ batch_input_shape: [null, 4], units: -1 })), /units from 1/],
    [sequential(dense({ batch_input_shape: [null, 2 ** 24, 2 ** 24], units: 2 ** 24 })), /at most 1099511627776/],
    [sequential(dense({ units: 2 })), /batch_input_shape/],
    [{ modelTopology: { class_name: 'Model', config: { layers: [] } } }, /a Sequential model/],
    [null, /a Sequential model/],
  ])('%j is refused', (json, expected) => {
    expect(() => readLayersModel(json)).toThrow(
      expect.objectContaining({ code: 'bad-job', expected: expect.stringMatching(expected) as string }),
    );
  });
});
