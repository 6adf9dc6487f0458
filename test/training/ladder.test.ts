import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { paramsHash } from '../../src/learning/params.js';
import type { TrainState } from '../../src/learning/types.js';
import { createEngine, describeEngines } from '../../src/training/engine.js';
import { judgeRung } from '../../src/training/verdict.js';
import { mlp, request } from './engine-data.js';
import { BROKEN, fakeEngines, working, type Fakes } from './fake-engines.js';

const NODE = ['@tensorflow/tfjs-node', '4.22.0'] as const;
const reasons = {
  throws: 'the binding is missing',
  aborts: 'the native library ended the probe with SIGABRT',
  exits: 'the native library ended the probe with status 3',
  hangs: 'it did not load and train within 1.5 s',
};

let fakes: Fakes;
beforeEach(() => {
  fakes = fakeEngines();
});
afterEach(() => fakes.remove());

describe.each(['throws', 'aborts', 'exits', 'hangs'] as const)('a native engine that %s', (how) => {
  test('is a rung left out with its reason, for both packages, and the ladder goes on', async () => {
    fakes.put(...NODE, BROKEN[how]);
    fakes.put('webgpu', '0.6.2', BROKEN[how]);
    fakes.put('@tensorflow/tfjs-backend-webgpu', '4.22.0', '');
    const place = { folder: fakes.folder, probeTimeoutMs: how === 'hangs' ? 1500 : 25_000 };
    const engine = await createEngine(place);
    expect(engine.id).toMatch(/^wasm\//);
    await engine.close();
    // From what was kept: nothing is loaded a second time.
    for (const rung of ['node', 'webgpu'] as const)
      expect(await judgeRung(rung, place)).toEqual({ flaw: reasons[how] });
    expect(readFileSync(join(fakes.folder, 'loads'), 'utf8')).toBe('..');
    await expect(createEngine({ ...place, want: 'webgpu' })).rejects.toMatchObject({
      code: 'engine-unavailable',
      got: `webgpu: ${reasons[how]}`,
    });
  });
});

test('an engine of another version of TensorFlow.js is not loaded, and a missing one names the command that adds it', async () => {
  fakes.put(NODE[0], '4.21.0', BROKEN.aborts);
  const [node, webgpu] = await describeEngines(undefined, { folder: fakes.folder });
  expect(node).toMatchObject({ ok: false, reason: '@tensorflow/tfjs-node is 4.21.0, and 4.22.0 is needed' });
  expect(webgpu).toMatchObject({
    ok: false,
    reason: 'webgpu is not installed',
    install: `npm install --prefix ${fakes.folder} webgpu@0.6.2 @tensorflow/tfjs-backend-webgpu@4.22.0`,
  });
});

test('a verdict is asked for again when a package changes, when the file is damaged, and by describeEngines', async () => {
  const { folder } = fakes;
  const loads = () => readFileSync(join(folder, 'loads'), 'utf8').length;
  fakes.put(...NODE, BROKEN.throws);
  const flaw = async (isFresh = false) => (await judgeRung('node', { folder, isFresh })).flaw;
  expect(await flaw()).toBe(reasons.throws);
  expect([await flaw(true), loads()]).toEqual([reasons.throws, 2]);
  writeFileSync(join(folder, 'probes.json'), '{"node ');
  expect([await flaw(), loads()]).toEqual([reasons.throws, 3]);
  fakes.put(...NODE, `throw new Error('another reason')`);
  expect([await flaw(), await flaw(), loads()]).toEqual(['another reason', 'another reason', 4]);
});

describe('an engine in a process of its own', () => {
  test('trains, hands out states and is stopped as the one in a thread', async () => {
    fakes.put(...NODE, working(fakes.folder));
    const [native, cpu] = [
      await createEngine({ want: 'node', folder: fakes.folder }),
      await createEngine({ want: 'cpu' }),
    ];
    expect(native.id).toMatch(/^node\//);
    const outcomes = [];
    for (const engine of [native, cpu]) {
      const states: TrainState[] = [];
      const { weights } = await engine.train({ ...request, stateEvery: 5 }, undefined, undefined, (state) => {
        states.push(state);
      });
      const { loss } = await engine.evaluate(mlp, weights, request.examples);
      outcomes.push({ hash: paramsHash(weights), loss, states: states.map(({ tensors }) => paramsHash(tensors)) });
    }
    expect(outcomes[0]!.states).toHaveLength(2);
    expect(outcomes[0]).toEqual(outcomes[1]);
    const stop = new AbortController();
    const endless = { ...request, hyper: { ...request.hyper, epochs: 1_000_000 } };
    await expect(native.train(endless, () => stop.abort(), stop.signal)).rejects.toMatchObject({ code: 'interrupted' });
    await Promise.all([native.close(), cpu.close()]);
  });

  test('that crashes in the middle of a job costs that job alone, with its reason', async () => {
    fakes.put(...NODE, working(fakes.folder));
    const engine = await createEngine({ want: 'node', folder: fakes.folder });
    const crash = join(fakes.folder, 'crash');
    writeFileSync(crash, '');
    const failing = engine.train(request);
    await expect(failing).rejects.toMatchObject({
      code: 'training-failed',
      got: 'the training process ended with SIGABRT',
    });
    fakes.put(...NODE, working(join(fakes.folder, 'elsewhere')));
    expect((await engine.train(request)).steps).toBe(14);
    await engine.close();
  });

  test('that takes more memory than it may costs that job alone, with its reason', async () => {
    fakes.put(...NODE, working(fakes.folder));
    const limits = { maxBytes: 250_000_000 };
    const engine = await createEngine({ want: 'node', folder: fakes.folder, limits });
    const hog = join(fakes.folder, 'hog');
    writeFileSync(hog, '');
    const endless = { ...request, hyper: { ...request.hyper, epochs: 1_000_000 } };
    await expect(engine.train(endless)).rejects.toMatchObject({
      code: 'training-failed',
      message: 'the training uses more memory than the limit',
      expected: 'at most 250000000 bytes',
    });
    rmSync(hog);
    expect((await engine.train(request)).steps).toBe(14);
    await engine.close();
  });
});
