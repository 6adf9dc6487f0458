import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { runJson, startSandbox, startStream } from '../support/story.js';
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

test('a market where optional engines crash trains and measures on wasm, each command says so, and collect-model tells what else it measured', async () => {
  const env = { NMKT_ENGINE_DIR: fakes.folder };
  const sandbox = await startSandbox(1);
  const own = sandbox.as('customer');
  const data = await runJson(['publish-dataset', table, '--label', 'animal', '--shards', '1', ...own], { env });
  const seats = ['--trainers', '1', '--rounds', '1', '--rail', 'none', '--epochs', '30', '--learning-rate', '0.05'];
  const post = ['post-job', '--dataset', data.document['snapshot'] as string, ...seats, ...own];
  const spot = await runJson([...post, '--again'], { env });
  expect(spot.document['engine']).toMatch(/^wasm\//);
  expect(spot.stderr).toContain('drawn segments are repeated on wasm/');
  const anywhere = ['--verification', 'floor', '--accepted-engines', 'node,webgpu,wasm'];
  const { document } = await runJson([...post, ...anywhere], { env });
  const job = document['job'] as string;

  const serve = ['serve-trainer', ...sandbox.as('trainer-1'), '--price', '0', '--job', job, '--once'];
  const trainer = startStream(serve, { env });
  expect((await trainer.event(({ event }) => event === 'ready'))['engine']).toMatch(/^wasm\//);
  const collect = ['collect-model', job, '--out', join(sandbox.folder, 'model'), '--timeout', '2m', ...own];
  const first = await runJson(collect, { env });
  expect([first.status, (await trainer.end).status]).toEqual([0, 0]);
  expect(first.stderr).toContain('measuring on wasm/');
  expect(first.stderr).toMatch(/auc [\d.]+, by wasm\//);
  const { engine, metrics } = first.document as { engine: string; metrics: Record<string, number> };
  expect([engine.split('/')[0], Object.keys(metrics)]).toEqual(['wasm', ['loss', 'accuracy', 'auc']]);
  expect(metrics['auc']).toBe(1);
  // Measured once: with no engine that works, the same is told again.
  const again = await runJson(collect, { env: { ...env, NMKT_ENGINE: 'node' } });
  expect(again.document).toEqual(first.document);
}, 60_000);

test('with optional engines that crash a text goes on on wasm, and generate says so', async () => {
  const [text, model] = [join(temporaryFolder(), 'text.txt'), join(temporaryFolder(), 'model')];
  writeFileSync(text, 'abc'.repeat(100));
  const flags = ['--model', 'lstm', '--context', '4', '--tokenizer', 'char', '--epochs', '1', '--out', model];
  expect((await nmkt(['train', text, ...flags])).status).toBe(0);
  const generated = await nmkt(['generate', model, '--prompt', 'abca', '--length', '2']);
  expect([generated.status, engineOf(generated)]).toEqual([0, 'wasm']);
  expect(generated.stderr).toContain('generating on wasm/');
});
