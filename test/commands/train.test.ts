import { watch } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jobOf } from '../../src/commands/train-plan.js';
import { finished, runNmkt, startNmkt, temporaryFolder } from '../support/run-nmkt.js';

const IRIS = resolve('examples/iris.csv');
/** Long enough to be stopped in the middle, on the slowest machine after the first checkpoint. */
const LONG = ['train', IRIS, '--label', 'species', '--local-steps', '8000', '--batch', '8', '--checkpoint-every', '50'];
const SCHEDULE = ['--optimizer', 'adamw', '--decay', 'cosine', '--warmup-steps', '100', '--clip-norm', '1'];

interface Report {
  readonly metrics: { readonly accuracy: number; readonly loss: number };
  readonly initialMetrics: { readonly accuracy: number; readonly loss: number };
  readonly examples: { readonly train: number; readonly test: number };
  readonly steps: number;
  readonly resumedAt: number | null;
  readonly engine: string;
  readonly samplesPerSec: number;
  readonly weights: string;
}

async function trained(args: readonly string[], cwd: string): Promise<Report> {
  const { status, stdout, stderr } = await runNmkt([...args, '--json'], { cwd });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Report;
}

/** Resolves when a checkpoint after `step` lies in the folder. */
function checkpointAfter(step: number, dir: string): Promise<number> {
  return new Promise((done) => {
    const watcher = watch(dir, () => void look());
    const look = async (): Promise<void> => {
      const text = await readFile(join(dir, 'checkpoint.json'), 'utf8').catch(() => '{"step":0}');
      const found = (JSON.parse(text) as { step: number }).step;
      if (found <= step) return;
      watcher.close();
      done(found);
    };
    void look();
  });
}

describe('nmkt train', () => {
  it('leaves out the proximal term of a job: there is no model of a round to stay near to', async () => {
    const job = join(temporaryFolder(), 'job.json');
    await writeFile(job, '{"proximal":0.1,"clipNorm":2,"rounds":3}');
    const read = await jobOf({ job });
    expect(read).toMatchObject({ clipNorm: 2, epochs: 6 });
    expect(read).not.toHaveProperty('proximal');
  });

  it('trains a model that predict applies, the same one twice', async () => {
    const cwd = temporaryFolder();
    const call = ['train', IRIS, '--label', 'species', '--epochs', '40', '--engine', 'wasm'];
    const one = await trained([...call, '--out', 'one'], cwd);
    expect(one).toMatchObject({ examples: { train: 120, test: 15 }, steps: 160, resumedAt: null });
    expect(one.engine).toMatch(/^wasm\//);
    expect(one.metrics.accuracy).toBeGreaterThan(0.9);
    expect(one.metrics.accuracy).toBeGreaterThan(one.initialMetrics.accuracy);
    expect(one.samplesPerSec).toBeGreaterThan(0);
    expect((await readdir(join(cwd, 'one'))).sort()).toEqual([
      'README.md',
      'model.json',
      'model.safetensors',
      'weights.bin',
    ]);
    const more = ['--threads', `${Math.min(2, availableParallelism())}`];
    expect((await trained([...call, ...more, '--out', 'two'], cwd)).weights).toBe(one.weights);
    const predicted = await runNmkt(['predict', 'one', IRIS], { cwd });
    expect([predicted.status, predicted.stderr]).toEqual([0, expect.stringMatching(/accuracy 0\.9\d+, loss/)]);
  });

  it('goes on from a LayersModel and the weights beside it, and from the seed without them', async () => {
    const cwd = temporaryFolder();
    const call = ['train', IRIS, '--label', 'species', '--engine', 'wasm'];
    const one = await trained([...call, '--epochs', '20', '--out', 'one'], cwd);
    const two = await trained([...call, '--model', 'one/model.json', '--epochs', '1', '--out', 'two'], cwd);
    expect(two).toMatchObject({ model: 'sequential', initialMetrics: one.metrics });
    const { modelTopology } = JSON.parse(await readFile(join(cwd, 'one/model.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    await writeFile(join(cwd, 'bare.json'), JSON.stringify({ modelTopology }));
    const three = await trained([...call, '--model', 'bare.json', '--epochs', '1', '--out', 'three'], cwd);
    expect(three.initialMetrics.loss).toBeGreaterThan(one.metrics.loss);
    const predicted = await runNmkt(['predict', 'two', IRIS], { cwd });
    expect([predicted.status, predicted.stderr]).toEqual([0, expect.stringMatching(/accuracy 0\.\d+, loss/)]);
    const values = ['train', IRIS, '--label', 'sepal_length', '--model', 'bare.json', '--out', 'm', '--json'];
    const { status, stdout } = await runNmkt(values, { cwd });
    expect([status, JSON.parse(stdout)]).toMatchObject([
      2,
      { error: { code: 'bad-job', expected: expect.stringContaining('softmax') as string } },
    ]);
  });

  it('refuses layers of an enormous size before it makes or reads weights, and says what they take', async () => {
    const cwd = temporaryFolder();
    const dense = (units: number, more = {}) => ({ class_name: 'Dense', config: { units, ...more } });
    const layers = [dense(65_536, { batch_input_shape: [null, 4] }), dense(65_536), dense(3)];
    const weightsManifest = [{ paths: ['none.bin'], weights: [] }];
    const file = { modelTopology: { class_name: 'Sequential', config: { layers } }, weightsManifest };
    await writeFile(join(cwd, 'vast.json'), JSON.stringify(file));
    const parameters = 4 * 65_536 + 65_536 + 65_536 ** 2 + 65_536 + 65_536 * 3 + 3;
    for (const args of [
      ['train', IRIS, '--label', 'species', '--model', 'vast.json', '--out', 'm', '--json'],
      ['inspect', 'vast.json', '--json'],
    ]) {
      const { status, stdout } = await runNmkt(args, { cwd });
      expect([status, JSON.parse(stdout)]).toMatchObject([
        4,
        { error: { code: 'too-large', expected: 'at most 250000000', got: `${parameters}` } },
      ]);
    }
  });

  it.each(['0', '100000'])('takes no %s threads, from the flag or the environment', async (threads) => {
    const cwd = temporaryFolder();
    const call = ['train', IRIS, '--label', 'species', '--out', 'm', '--json'];
    const flag = await runNmkt([...call, '--threads', threads], { cwd });
    const environment = await runNmkt(call, { cwd, env: { NMKT_THREADS: threads } });
    for (const [{ status, stderr, stdout }, name] of [
      [flag, '--threads'],
      [environment, 'NMKT_THREADS'],
    ] as const) {
      expect(status).toBe(2);
      expect(stderr + stdout).toContain(`${name} is`);
      expect(stderr + stdout).toContain(`from 1 to ${availableParallelism()}`);
    }
  });

  it('killed, then stopped with Ctrl-C, goes on each time, to the bytes of an undisturbed training', async () => {
    const cwd = temporaryFolder();
    const call = [...LONG, ...SCHEDULE, '--out', 'm'];
    const m = join(cwd, 'm');
    const undisturbed = trained([...LONG, ...SCHEDULE, '--out', 'whole'], cwd);
    await mkdir(m);

    const killed = startNmkt(call, { cwd });
    const first = await checkpointAfter(0, m);
    killed.kill('SIGKILL');
    expect((await finished(killed)).signal).toBe('SIGKILL');

    const stopped = startNmkt([...call, '--resume'], { cwd });
    const second = await checkpointAfter(first, m);
    stopped.kill('SIGINT');
    const { status, stderr } = await finished(stopped);
    expect([status, stderr]).toEqual([130, expect.stringContaining('going on after step')]);

    const last = await trained(call, cwd);
    expect(last.resumedAt).toBeGreaterThanOrEqual(second);
    expect(last.resumedAt).toBeLessThan(8000);
    expect(last.weights).toBe((await undisturbed).weights);
    expect(await readdir(m)).not.toContain('checkpoint.json');
  });

  it('takes no damaged checkpoint: --resume fails then', async () => {
    const cwd = temporaryFolder();
    const call = [...LONG, '--out', 'm'];
    await mkdir(join(cwd, 'm'));
    const killed = startNmkt(call, { cwd });
    await checkpointAfter(0, join(cwd, 'm'));
    killed.kill('SIGKILL');
    await finished(killed);
    const names = (await readdir(join(cwd, 'm'))).filter((name) => name.endsWith('.safetensors'));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) await writeFile(join(cwd, 'm', name), 'x');
    const refused = await runNmkt([...call, '--resume', '--json'], { cwd });
    expect([refused.status, JSON.parse(refused.stdout)]).toMatchObject([5, { error: { code: 'not-ready' } }]);
  });

  it('stops a training that runs away, and says where, at which rate and what to try', async () => {
    const cwd = temporaryFolder();
    const call = ['train', IRIS, '--label', 'species', '--out', 'm', '--optimizer', 'sgd', '--learning-rate', '50'];
    const { status, stdout } = await runNmkt([...call, '--json'], { cwd });
    const { error } = JSON.parse(stdout) as { error: Record<string, string> };
    expect([status, error['code']]).toEqual([4, 'diverged']);
    expect(error['message']).toMatch(/^the loss is [\d.]+ at step \d+ of \d+, at learning rate 50$/);
    expect(error['remedy']).toMatch(/^--learning-rate 5, /);
  });
});
