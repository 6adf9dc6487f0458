import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { paramsHash } from '../../src/learning/params.js';
import type { DenseSpec } from '../../src/learning/types.js';
import { createEngine } from '../../src/training/engine.js';
import { brightTenths, initial, request } from './engine-data.js';

/** Wide enough that its products are cut into pieces. */
const wide: DenseSpec = { model: 'mlp', task: 'classification', inputs: 300, outputs: 10, hidden: [256] };
const TASKS = '/proc/self/task';

test.skipIf(availableParallelism() < 2)('two threads of the wasm engine give the bytes and the id of one', async () => {
  const hyper = { ...request.hyper, batch: 64, epochs: 2 };
  const wanted = { ...request, model: wide, weights: initial(wide), examples: brightTenths(256, 300), hyper };
  const [one, two] = [await createEngine({ want: 'wasm' }), await createEngine({ want: 'wasm', threads: 2 })];
  try {
    const trained = [await one.train(wanted), await two.train(wanted)];
    expect(paramsHash(trained[1]!.weights)).toBe(paramsHash(trained[0]!.weights));
    expect(two.id).toBe(one.id);
  } finally {
    await Promise.all([one.close(), two.close()]);
  }
});

test.skipIf(!existsSync(TASKS))('each further thread is one of this process, and ends with the engine', async () => {
  const count = (): number => readdirSync(TASKS).length;
  const none = count();
  const one = await createEngine({ want: 'wasm' });
  const alone = count() - none;
  await one.close();
  const three = await createEngine({ want: 'wasm', threads: 3 });
  expect(count() - none).toBe(alone + 2);
  await three.close();
  expect(count()).toBe(none);
});
