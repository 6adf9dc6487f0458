import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { utf8 } from '../../src/hash.js';
import { initialParams } from '../../src/learning/params.js';
import { decodeGpt } from '../../src/learning/gpt-decode.js';
import { prng } from '../../src/learning/prng.js';
import { sampleIndex } from '../../src/learning/sampling.js';
import type { GptSpec, ModelSpec, ParamSet } from '../../src/learning/types.js';
import { createEngine } from '../../src/training/engine.js';
import { generateTokens } from '../../src/roles/text-generation.js';
import { writeModelFiles } from '../../src/training/model-files.js';
import { netOf } from '../../src/training/net.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';

/** One token of context: after a (0) comes b, after b (1) comes a, but for one time in 1 + e^10. */
const logreg: ModelSpec = { model: 'logreg', task: 'classification', inputs: 1, outputs: 2, hidden: [] };
const alternating: ParamSet = [
  { name: 'dense_0/bias', shape: [2], data: Float32Array.of(0, 10) },
  { name: 'dense_0/kernel', shape: [1, 2], data: Float32Array.of(0, -20) },
];
const schema = (extra: object) => ({
  ...{ task: 'classification', shape: [1], inputs: 1, dtype: 'U8', scale: 1, outputs: 2 },
  ...extra,
});

async function stored(about: object): Promise<string> {
  const dir = join(temporaryFolder(), 'model');
  await writeModelFiles(dir, logreg, alternating, { schema: about });
  return dir;
}
const ab = () => stored(schema({ text: { tokenizer: 'char', characters: 'ab' } }));
const generate = (dir: string, prompt: string, ...flags: string[]) =>
  runNmkt(['generate', dir, '--prompt', prompt, '--engine', 'cpu', ...flags]);

it('writes the text to stdout and what else there is to say to stderr; with --json one document', async () => {
  const dir = await ab();
  const { status, stdout, stderr } = await generate(dir, 'bba', '--length', '6', '--temperature', '0');
  expect([status, stdout]).toEqual([0, 'bbabababa\n']);
  expect(stderr).toContain('the first 2 of the prompt are not seen');
  expect(stderr).toMatch(/6 tokens, [\d.]+ per second/);
  const json = await generate(dir, 'a', '--length', '3', '--seed', '7', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ prompt: 'a', text: 'bab', tokens: 3, temperature: 1, seed: 7 });
});

it('hot texts differ by seed, and are equal for an equal one', async () => {
  const dir = await ab();
  const hot = (seed: string) => generate(dir, 'a', '--length', '40', '--temperature', '50', '--seed', seed);
  const [one, again, other] = [await hot('1'), await hot('1'), await hot('2')];
  expect(one.stdout).toMatch(/^a[ab]{40}\n$/);
  expect(again.stdout).toBe(one.stdout);
  expect(other.stdout).not.toBe(one.stdout);
});

it.each([
  ['a prompt outside the alphabet', 'axb', 'bad-dataset', 'character 2 of the text is none that the model knows'],
  ['an empty prompt', '', 'bad-usage', 'the prompt is too short for the model'],
])('refuses %s', async (_, prompt, code, message) => {
  const { status, stdout } = await generate(await ab(), prompt, '--json');
  expect([status, JSON.parse(stdout)]).toMatchObject([2, { error: { code, message } }]);
});

it('refuses a model of images, and names the command for it', async () => {
  const dir = await stored(schema({ classes: ['0', '1'] }));
  const { status, stdout } = await generate(dir, 'a', '--json');
  expect([status, JSON.parse(stdout)]).toMatchObject([
    2,
    { error: { code: 'bad-usage', remedy: `nmkt predict ${dir} FILE` } },
  ]);
});

const gpt: ModelSpec = {
  ...{ model: 'gpt', task: 'classification', inputs: 6, outputs: 9 },
  ...{ layers: 2, heads: 3, width: 9 },
};
const lstm: ModelSpec = { model: 'lstm', task: 'classification', inputs: 6, outputs: 9, layers: 1, width: 8 };
/** Larger than a start, so that tokens and places matter. */
const grown = (spec: ModelSpec): ParamSet =>
  initialParams(spec, new Uint8Array(32)).map((one) => ({ ...one, data: one.data.map((x) => 20 * x) }));

/** [6, 9]: of what follows each place of a whole context. */
function expected(spec: ModelSpec, weights: ParamSet, window: readonly number[]): number[][] {
  return tf.tidy(() => {
    const net = netOf(spec);
    const tensors = net.shapes.map(({ shape }, i) => tf.tensor(weights[i]!.data, [...shape]));
    return tf.softmax(net.forward(tensors, Float32Array.from(window), 1)).arraySync();
  });
}

it.each([gpt, lstm])(
  '$model: each token follows from the last ones alone, at its place in a full window',
  async (spec) => {
    const weights = grown(spec);
    const engine = await createEngine({ want: 'cpu' });
    await tf.setBackend('cpu');
    try {
      for (const [seed, temperature] of [
        [0, 0],
        [1, 1],
        [2, 1],
        [3, 2],
      ] as const) {
        const tokens: number[] = [];
        const draw = { length: 12, temperature, seed };
        for await (const token of generateTokens(engine, { spec, weights }, [3, 1], draw)) tokens.push(token);
        const random = prng(utf8(`${seed}`), 'nmkt/1/generate');
        for (const [i, token] of tokens.entries()) {
          const seen = [3, 1, ...tokens.slice(0, i)].slice(-6);
          const window = Array.from({ length: 6 }, (_, at) => seen[at] ?? 8);
          const next = expected(spec, weights, window)[seen.length - 1]!; // [9]
          expect(sampleIndex(next, temperature, random.float()), `seed ${seed}, token ${i}`).toBe(token);
        }
        expect(new Set(tokens).size).toBeGreaterThan(1);
      }
    } finally {
      await engine.close();
    }
  },
);

it('a model that keeps what it made of earlier tokens expects what the whole model expects, at every place', async () => {
  await tf.setBackend('cpu');
  const spec: GptSpec = { ...gpt, inputs: 16 };
  const weights = grown(spec);
  const text = Array.from({ length: 16 }, (_, i) => (i * 5) % 9);
  const next = decodeGpt(spec, weights);
  for (const [place, wanted] of expected(spec, weights, text).entries())
    for (const [i, probability] of next(text[place]!).entries())
      expect(Math.abs(probability - wanted[i]!), `place ${place}`).toBeLessThan(1e-5);
});
