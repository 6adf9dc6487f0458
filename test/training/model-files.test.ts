import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { initialParams } from '../../src/learning/params.js';
import { decodeSafetensors } from '../../src/learning/safetensors.js';
import type { ModelSpec } from '../../src/learning/types.js';
import { createEngine } from '../../src/training/engine.js';
import { readModelFiles, writeModelFiles } from '../../src/training/model-files.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { brightTenths, initial, mlp, seed } from './engine-data.js';

let dir: string;
beforeEach(() => {
  dir = temporaryFolder();
});

const meta = { scale: 255, classes: ['a', 'b'], job: { round: 3, id: 'x' } };
/** With more than ten layers, whose canonical order (dense_10 before dense_2) is not that of the network. */
const deep: ModelSpec = { ...mlp, hidden: [9, 8, 7, 6, 5, 6, 7, 8, 9, 10, 11] };
const line: ModelSpec = { model: 'logreg', task: 'regression', inputs: 50, outputs: 1, hidden: [] };

test.each([mlp, deep, line])('stock tf.loadLayersModel predicts what the engine predicts', async (spec) => {
  const weights = initialParams(spec, seed(6)).map((tensor) => ({ ...tensor, data: tensor.data.map((x) => x + 0.01) }));
  await writeModelFiles(dir, spec, weights, meta);
  const features = Float32Array.from(brightTenths(7, 50).features, (x) => x / 255);
  const server = createServer((request, response) => {
    void readFile(join(dir, request.url!)).then((bytes) => response.end(bytes));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await tf.setBackend('cpu');
  const model = await loadLayersModel(`http://127.0.0.1:${port}/model.json`);
  const theirs = (model.predict(tf.tensor2d(features, [7, 50])) as tf.Tensor).dataSync();
  server.closeAllConnections();
  server.close();
  const engine = await createEngine({ want: 'cpu' });
  const ours = await engine.predict(spec, weights, features, 7);
  await engine.close();
  expect(ours.length).toBe(theirs.length);
  ours.forEach((value, i) => expect(value).toBeCloseTo(theirs[i]!, 6));
});

test('reads back what was written, with the metadata', async () => {
  await writeModelFiles(dir, deep, initial(deep), meta);
  expect(await readModelFiles(dir)).toEqual({ spec: deep, weights: initial(deep), meta });
});

test('writes the same bytes again, says their hashes and leaves nothing else', async () => {
  const first = await writeModelFiles(dir, mlp, initial(mlp), meta);
  const reordered = { job: { id: 'x', round: 3 }, classes: ['a', 'b'], scale: 255 };
  expect(await writeModelFiles(dir, mlp, initial(mlp), reordered)).toEqual(first);
  const names = (await readdir(dir)).sort();
  expect(names).toEqual(['model.json', 'model.safetensors', 'weights.bin']);
  for (const name of names) expect(sha256Hex(await readFile(join(dir, name)))).toBe(first[name as keyof typeof first]);
});

test('model.safetensors holds the canonical parameters', async () => {
  await writeModelFiles(dir, mlp, initial(mlp), {});
  const file = new Uint8Array(await readFile(join(dir, 'model.safetensors')));
  expect(decodeSafetensors(file, { maxBytes: 1e6 })).toEqual(initial(mlp));
});

test('weights of another write are refused', async () => {
  await writeModelFiles(dir, mlp, initial(mlp), {});
  const json = await readFile(join(dir, 'model.json'));
  await writeModelFiles(dir, mlp, initialParams(mlp, seed(8)), {});
  await writeFile(join(dir, 'model.json'), json);
  await expect(readModelFiles(dir)).rejects.toMatchObject({ code: 'hash-mismatch' });
});

test('a model.json of something else is refused', async () => {
  await expect(readModelFiles(dir)).rejects.toMatchObject({ code: 'bad-usage' });
  for (const text of ['', '[]', '{"userDefinedMetadata":{"nmkt":{"spec":[],"meta":{}}}}']) {
    await writeFile(join(dir, 'model.json'), text);
    await expect(readModelFiles(dir)).rejects.toMatchObject({ code: 'bad-job' });
  }
  const nmkt = { spec: { ...mlp, inputs: 1e9 }, meta: {}, safetensorsSha256: '' };
  await writeFile(join(dir, 'model.json'), JSON.stringify({ userDefinedMetadata: { nmkt } }));
  await expect(readModelFiles(dir)).rejects.toMatchObject({ code: 'bad-job' });
});
