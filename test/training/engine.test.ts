import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isNmktError } from '../../src/errors.js';
import { paramsHash } from '../../src/learning/params.js';
import type { TrainRequest } from '../../src/ports.js';
import { createEngine, describeEngines, type TrainingEngine } from '../../src/training/engine.js';
import { brightTenths, initial, mlp, request } from './engine-data.js';

const endless: TrainRequest = { ...request, hyper: { ...request.hyper, epochs: 1_000_000 } };

describe('an engine on wasm', () => {
  let engine: TrainingEngine;
  beforeAll(async () => {
    engine = await createEngine({ want: 'wasm' });
  });
  afterAll(() => engine.close());

  test('is stopped in the middle by the signal, and trains again afterwards', async () => {
    const stop = new AbortController();
    const training = engine.train(endless, () => stop.abort(), stop.signal);
    await expect(training).rejects.toMatchObject({ code: 'interrupted' });
    expect((await engine.train(request)).steps).toBe(14);
  });

  test('says so when the numbers stop being finite', async () => {
    const wild = { ...request, hyper: { ...request.hyper, optimizer: 'sgd' as const, learningRate: 1e30 } };
    await expect(engine.train(wild)).rejects.toMatchObject({ code: 'diverged' });
  });

  test('takes arrays that are views into larger buffers', async () => {
    const { features } = request.examples;
    const large = new Uint8Array(features.length + 1000);
    large.set(features, 500);
    const view = Buffer.from(large.buffer, 500, features.length);
    const [a, b] = [
      await engine.train({ ...request, examples: { ...request.examples, features: view } }),
      await engine.train(request),
    ];
    expect(paramsHash(a.weights)).toBe(paramsHash(b.weights));
  });

  test('scales bytes in predict when told the scale', async () => {
    const { features } = request.examples;
    const bytes = await engine.predict(mlp, request.weights, features, 64, 255);
    const floats = await engine.predict(
      mlp,
      request.weights,
      Float32Array.from(features, (x) => x / 255),
      64,
    );
    expect(bytes).toEqual(floats);
  });

  test('gives the same bytes in another process, which ends by itself once the engine is idle', async () => {
    const url = (path: string): string => pathToFileURL(resolve('dist', path)).href;
    const script = `
      import { createEngine } from ${JSON.stringify(url('training/engine.js'))};
      import { paramsHash } from ${JSON.stringify(url('learning/params.js'))};
      const revive = (_, v) => v?.f32 ? Float32Array.from(v.f32) : v?.i32 ? Int32Array.from(v.i32) : v?.u8 ? Uint8Array.from(v.u8) : v;
      const engine = await createEngine({ want: 'wasm' });
      const { weights } = await engine.train(JSON.parse(process.env.REQUEST, revive));
      process.stdout.write(paramsHash(weights));`;
    const flatten = (_: string, v: unknown): unknown =>
      v instanceof Float32Array
        ? { f32: [...v] }
        : v instanceof Int32Array
          ? { i32: [...v] }
          : v instanceof Uint8Array
            ? { u8: [...v] }
            : v;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, REQUEST: JSON.stringify(request, flatten) },
    });
    expect(stdout).toBe(paramsHash((await engine.train(request)).weights));
  });
});

test.each([
  ['wasm', '7c0382ccba8a439221756076911b465c35b7c8f0e37ac85f324c03c645fbffc7'],
  ['cpu', '0cb7f16dbec004f23f358f5d42e1bbd0ab24d09bd6d8fa760718b8791317954a'],
] as const)(
  'the bytes of this training on %s change only together with TRAINING_REVISION or the kernels',
  async (want, known) => {
    const engine = await createEngine({ want });
    const hash = paramsHash((await engine.train(request)).weights);
    await engine.close();
    expect(hash).toBe(process.arch === 'x64' ? known : hash); // other CPUs have other engine ids
  },
);

test('a call over the time limit fails, and the next one works', async () => {
  const engine = await createEngine({ want: 'wasm', limits: { maxMinutes: 0.05 } });
  await expect(engine.train(endless)).rejects.toMatchObject({
    code: 'training-failed',
    expected: 'at most 0.05 minutes',
  });
  expect((await engine.train(request)).steps).toBe(14);
  await engine.close();
});

test('a training that takes more memory than its estimate fails, and the next one works', async () => {
  // The estimate is 0.9 MB; the arrays that V8 has not collected yet are soon more.
  const engine = await createEngine({ want: 'cpu', limits: { maxBytes: 1_000_000 } });
  await expect(engine.train(endless)).rejects.toMatchObject({
    code: 'training-failed',
    message: 'the training uses more memory than the limit',
    expected: 'at most 1000000 bytes',
  });
  expect((await engine.train(request)).steps).toBe(14);
  await engine.close();
});

test('limits of parameters and memory refuse before anything is made', async () => {
  const engine = await createEngine({ want: 'cpu', limits: { maxParams: 1000, maxBytes: 1e6 } });
  await expect(engine.train(request)).rejects.toMatchObject({ code: 'too-large', expected: 'at most 1000 parameters' });
  const small = { ...mlp, hidden: [2] };
  const many = { ...brightTenths(1, 50), rows: 20_000, features: new Uint8Array(1e6), labels: new Int32Array(20_000) };
  const evaluation = engine.evaluate(small, initial(small), many);
  await expect(evaluation).rejects.toMatchObject({ code: 'too-large' });
  await engine.close();
});

test('close ends a training that runs and those that wait', async () => {
  const engine = await createEngine({ want: 'wasm' });
  const trainings = [engine.train(endless), engine.train(endless)].map((training) =>
    training.catch((error: unknown) => isNmktError(error, 'interrupted')),
  );
  await engine.close();
  expect(await Promise.all(trainings)).toEqual([true, true]);
});

test('without an acceptable rung it says why each one was left out', async () => {
  const failure: unknown = await createEngine({ want: 'auto', accepted: [] }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'engine-unavailable' });
  expect((failure as { got: string }).got.split('; ').map((reason) => reason.split(':')[0])).toEqual([
    'node',
    'webgpu',
    'wasm',
    'cpu',
  ]);
});

test('every rung is described, with the reason when it does not load', async () => {
  const reports = await describeEngines();
  expect(reports.map(({ rung }) => rung)).toEqual(['node', 'webgpu', 'wasm', 'cpu']);
  for (const { ok, reason, id } of reports) expect(ok).toBe(reason === '' && id !== undefined);
  expect(reports.filter(({ ok }) => ok).map(({ rung }) => rung)).toEqual(expect.arrayContaining(['wasm', 'cpu']));
});
