import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import { afterAll, beforeAll, expect, it, type TestContext } from 'vitest';
import { readKernels } from '../../src/kernels/file.js';
import { installKernels } from '../../src/kernels/install.js';
import { initialParams } from '../../src/learning/params.js';
import { prng } from '../../src/learning/prng.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import type { Examples, ModelSpec, ParamSet } from '../../src/learning/types.js';
import { train } from '../../src/training/model-train.js';
import { netOf } from '../../src/training/net.js';

/**
 * Every model against PyTorch in float64, by models.py: the same weights and batch must give the same loss, gradient and weights
 * after some steps of Adam. NMKT_PYTHON names a python with torch and numpy, else `python3` is tried. The files are read by the
 * package that Hugging Face publishes, from PyPI, and compared.
 */
const python = process.env['NMKT_PYTHON'] ?? 'python3';
const script = fileURLToPath(new URL('./models.py', import.meta.url));
const SAFETENSORS = 'safetensors==0.8.0';
const SEED = new Uint8Array(32).fill(5);
const STEPS = 5;
const LEARNING_RATE = 1e-3;

let folder = '';
let noTorch = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nmkt-torch-'));
  await tf.setBackend('wasm');
  await installKernels(readKernels());
  noTorch = whyNot('import torch, numpy');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const classes = { task: 'classification', outputs: 5 } as const;
const text = { task: 'classification', inputs: 12, outputs: 17 } as const;
const models: readonly ModelSpec[] = [
  { ...classes, model: 'logreg', inputs: 7, hidden: [] },
  { model: 'mlp', task: 'regression', inputs: 7, outputs: 1, hidden: [9, 6] },
  { ...classes, model: 'cnn', inputs: 11 * 10 * 2, shape: [11, 10, 2], filters: [3, 4], hidden: [8] },
  { ...text, model: 'gpt', layers: 2, heads: 2, width: 16 },
  { ...text, model: 'lstm', layers: 2, width: 10 },
];

it.for(models)('$model has the loss, the gradient and the steps of PyTorch', async (model, context) => {
  if (noTorch !== '') return skip(context, noTorch);
  const random = prng(SEED, `interop/${model.model}`);
  const rows = 6;
  const isText = model.model === 'gpt' || model.model === 'lstm';
  const features = Float32Array.from({ length: rows * model.inputs }, () =>
    isText ? random.below(model.outputs) : 2 * random.float() - 1,
  );
  const labels =
    model.task === 'regression'
      ? Float32Array.from({ length: rows }, () => random.float())
      : Int32Array.from({ length: rows }, () => random.below(model.outputs));
  const examples: Examples = { rows, inputs: model.inputs, features, scale: 1, labels };
  const weights = initialParams(model, SEED);

  const answer = ask(model, weights, examples);
  const ours = await firstStep(model, weights, examples);
  expect(Math.abs(ours.loss - answer.loss)).toBeLessThan(1e-5 * Math.abs(answer.loss));
  const [gradient, slope] = [farthest(ours.gradient, answer.gradient), largest(answer.gradient)];
  const hyper = { optimizer: 'adam', learningRate: LEARNING_RATE, batch: rows, localSteps: STEPS } as const;
  const trained = await train(
    { model, weights, examples, hyper, seed: SEED },
    () => undefined,
    () => undefined,
  );
  const moved = farthest(trained.weights, answer.weights);
  console.log(
    `${model.model} against PyTorch ${answer.torch}: loss ${ours.loss.toFixed(6)}, gradients differ by ${gradient.toExponential(1)} of ${slope.toExponential(1)}, weights by ${moved.toExponential(1)} after ${STEPS} steps`,
  );
  expect(gradient).toBeLessThan(1e-5 * slope);
  expect(moved).toBeLessThan(1e-5);
});

it('a file of weights is read by the safetensors package, with its names, types and shapes', (context) => {
  const noNumpy = whyNot('import numpy');
  if (noNumpy !== '') return skip(context, noNumpy);
  const place = join(folder, 'packages');
  const made = spawnSync(python, ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', place, SAFETENSORS], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (made.status !== 0) return skip(context, `pip cannot have ${SAFETENSORS}: ${lastLine(made.stderr)}`);
  for (const model of models) {
    const weights = initialParams(model, SEED);
    const path = join(folder, `${model.model}.safetensors`);
    writeFileSync(path, encodeParams(weights));
    const env = { ...process.env, PYTHONPATH: place };
    const { status, stdout, stderr } = spawnSync(python, [script, 'read', path], { encoding: 'utf8', env });
    expect(status, stderr).toBe(0);
    const found = JSON.parse(stdout) as Record<string, [string, number[], number]>;
    expect(Object.keys(found).sort()).toEqual(weights.map(({ name }) => name));
    for (const { name, shape, data } of weights) {
      const [type, theirs, sum] = found[name]!;
      expect([type, theirs]).toEqual(['float32', shape]);
      expect(sum).toBeCloseTo(
        data.reduce((all, value) => all + value, 0),
        3,
      );
    }
  }
});

interface Answer {
  readonly torch: string;
  readonly loss: number;
  readonly gradient: ParamSet;
  readonly weights: ParamSet;
}

type Plain = Pick<Answer, 'loss' | 'torch'> & Record<'gradient' | 'weights', Record<string, number[]>>;

function ask(model: ModelSpec, weights: ParamSet, { rows, features, labels, inputs }: Examples): Answer {
  const place = join(folder, model.model);
  mkdirSync(place);
  const table = Array.from({ length: rows }, (_, row) => [...features.subarray(row * inputs, (row + 1) * inputs)]);
  const both = { model, features: table, labels: [...labels], learningRate: LEARNING_RATE, steps: STEPS };
  writeFileSync(join(place, 'case.json'), JSON.stringify(both));
  writeFileSync(join(place, 'start.safetensors'), encodeParams(weights));
  const { status, stderr } = spawnSync(python, [script, 'train', place], { encoding: 'utf8', timeout: 50_000 });
  expect(status, stderr).toBe(0);
  const { loss, torch, ...maps } = JSON.parse(readFileSync(join(place, 'answer.json'), 'utf8')) as Plain;
  const named = (values: Record<string, number[]>): ParamSet =>
    weights.map(({ name, shape }) => ({ name, shape, data: Float32Array.from(values[name]!) }));
  return { loss, torch, gradient: named(maps.gradient), weights: named(maps.weights) };
}

async function firstStep(
  model: ModelSpec,
  weights: ParamSet,
  examples: Examples,
): Promise<Pick<Answer, 'loss' | 'gradient'>> {
  const net = netOf(model);
  const tensors = weights.map(({ data, shape }) => tf.tensor(data, [...shape]));
  const batch = { rows: examples.rows, features: examples.features as Float32Array, labels: examples.labels };
  const { loss, gradients } = await net.gradients(tensors, batch);
  const gradient = gradients.map((tensor, i) => ({ ...weights[i]!, data: tensor.dataSync<'float32'>() }));
  return { loss: loss.sum / (examples.rows * net.positions), gradient };
}

function farthest(a: ParamSet, b: ParamSet): number {
  expect(a.map(({ name }) => name)).toEqual(b.map(({ name }) => name));
  return largest(a.map((one, i) => ({ ...one, data: one.data.map((value, j) => value - b[i]!.data[j]!) })));
}

function largest(params: ParamSet): number {
  const each = params.map(({ data }) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  return Math.max(...each);
}

/** Why python cannot do that; empty when it can. */
function whyNot(program: string): string {
  const { status, stderr, error } = spawnSync(python, ['-c', program], { encoding: 'utf8', timeout: 50_000 });
  if (status === 0) return '';
  return error ? `no ${python}` : `${python}: ${lastLine(stderr)}`;
}

/** Ends the test with a line that says why. */
function skip(context: TestContext, reason: string): never {
  console.log(`SKIP ${context.task.name}: ${reason}`);
  return context.skip(reason);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? 'it failed';
}
