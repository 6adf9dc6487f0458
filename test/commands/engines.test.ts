import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { BROKEN, fakeEngines, type Fakes } from '../training/fake-engines.js';

/** Optional engines that end the process that loads them, and a table. */
let fakes: Fakes;
let table: string;
beforeEach(() => {
  fakes = fakeEngines();
  fakes.put('@tensorflow/tfjs-node', '4.22.0', BROKEN.aborts);
  fakes.put('webgpu', '0.6.2', BROKEN.exits);
  fakes.put('@tensorflow/tfjs-backend-webgpu', '4.22.0', '');
  table = join(temporaryFolder(), 'animals.csv');
  const lines = Array.from({ length: 40 }, (_, i) => `${i % 2 === 0 ? 4 : 20 + i},${i % 2 === 0 ? 'cat' : 'dog'}`);
  writeFileSync(table, `kg,animal\n${lines.join('\n')}\n`);
});
afterEach(() => fakes.remove());

const nmkt = (args: readonly string[], env: Record<string, string> = {}) =>
  runNmkt([...args, '--json'], { env: { NMKT_ENGINE_DIR: fakes.folder, ...env } });
const engineOf = ({ stdout }: { stdout: string }) => (JSON.parse(stdout) as { engine: string }).engine.split('/')[0];

test('with optional engines that crash a training and a prediction work on wasm and say so', async () => {
  const model = join(temporaryFolder(), 'model');
  const trained = await nmkt(['train', table, '--label', 'animal', '--out', model, '--epochs', '1']);
  expect([trained.status, engineOf(trained)]).toEqual([0, 'wasm']);
  const predicted = await nmkt(['predict', model, table, '--limit', '2']);
  expect([predicted.status, predicted.stdout.trim().split('\n').length]).toEqual([0, 2]);
  expect(predicted.stderr).toContain('rows, by wasm/');
});

test('--engine wins over NMKT_ENGINE, and one that is asked for by name and broken is an error with its reason', async () => {
  const train = (flags: readonly string[]) =>
    nmkt(['train', table, '--label', 'animal', '--out', join(temporaryFolder(), 'model'), '--epochs', '1', ...flags], {
      NMKT_ENGINE: 'cpu',
    });
  expect(engineOf(await train([]))).toBe('cpu');
  expect(engineOf(await train(['--engine', 'wasm']))).toBe('wasm');
  const { status, stdout } = await train(['--engine', 'node']);
  expect([status, JSON.parse(stdout)]).toMatchObject([
    2,
    {
      error: {
        code: 'engine-unavailable',
        got: 'node: the native library ended the probe with SIGABRT',
      },
    },
  ]);
});
