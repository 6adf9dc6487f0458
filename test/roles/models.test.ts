import { beforeAll, expect, test } from 'vitest';
import { prng } from '../../src/learning/prng.js';
import { writeMerges } from '../../src/learning/bpe.js';
import { trainMerges } from '../../src/learning/bpe-training.js';
import { BYTE_TOKENS, charactersOf, vocabularySize } from '../../src/learning/tokens.js';
import type { DataSchema, Examples, TextCode } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
import { loadTape } from '../../src/training/net-automatic.js';
import { textTokens } from '../../src/training/text-tokens.js';
import { createWorld } from '../support/market-world.js';
import { wasmEngine } from '../support/wasm-engine.js';

/** Whole markets, in one process and on the real engine, of the models that are more than dense layers. */

let engine: Engine;
beforeAll(async () => {
  engine = await wasmEngine();
  await loadTape(); // before a virtual clock runs
});

/** 8 x 8 bytes with a bright bar, upright or lying, somewhere: what a convolution sees and a pixel does not. */
function bars(rows: number): { schema: DataSchema; examples: Examples } {
  const random = prng(new Uint8Array(32), 'bars');
  const labels = Int32Array.from({ length: rows }, (_, row) => row % 2);
  const features = Uint8Array.from({ length: rows * 64 }, () => random.below(60));
  labels.forEach((label, row) => {
    const at = 1 + random.below(6);
    for (let i = 1; i < 7; i++) features[row * 64 + (label === 0 ? 8 * i + at : 8 * at + i)] = 220;
  });
  return {
    schema: {
      ...{ task: 'classification', shape: [8, 8], inputs: 64, dtype: 'U8', scale: 60, outputs: 2 },
      classes: ['upright', 'lying'],
    },
    examples: { rows, inputs: 64, features, scale: 60, labels },
  };
}

/** Words of two kinds in turn: the next token follows from the last ones, mostly. */
function words(rows: number, codeOf = characters): { schema: DataSchema; examples: Examples } {
  const random = prng(new Uint8Array(32), 'words');
  const of = (list: readonly string[]) => list[random.below(list.length)]!;
  let text = '';
  while (text.length <= rows * 12 * 4) text += `${of(['the', 'one', 'our'])} ${of(['cat', 'dog', 'owl', 'fox'])}\n`;
  const code = codeOf(text);
  const tokens = textTokens(code, text);
  const outputs = vocabularySize(code);
  const isSmall = outputs <= BYTE_TOKENS;
  const features = tokens.subarray(0, rows * 12);
  return {
    schema: {
      ...{ task: 'classification', shape: [12], inputs: 12, dtype: isSmall ? 'U8' : 'F32', scale: 1, outputs },
      text: code,
    },
    examples: {
      ...{ rows, inputs: 12, scale: 1, features: isSmall ? Uint8Array.from(features) : Float32Array.from(features) },
      labels: Int32Array.from({ length: rows }, (_, row) => tokens[(row + 1) * 12]!),
    },
  };
}
const characters = (text: string): TextCode => ({ tokenizer: 'char', characters: charactersOf(text) });
const pairs = (text: string): TextCode => ({ tokenizer: 'bpe', merges: writeMerges(trainMerges(text, 270)) });

/** As Keras describes a small convolutional net. */
const keras = [
  [
    'Conv2D',
    { batch_input_shape: [null, 8, 8, 1], filters: 4, kernel_size: [3, 3], padding: 'same', activation: 'relu' },
  ],
  ['MaxPooling2D', { pool_size: [2, 2] }],
  ['Flatten', {}],
  ['Dense', { units: 2, activation: 'softmax' }],
].map(([class_name, config]) => ({ class_name, config }));
const layersModel = { modelTopology: { class_name: 'Sequential', config: { layers: keras } } };

test.each([
  ['cnn', 'images', bars(220), 0.7],
  ['gpt', 'characters', words(200), 0.3],
  ['gpt', 'byte pairs', words(200, pairs), 0.2],
  ['lstm', 'characters', words(200), 0.3],
  ['keras.json', 'images', bars(220), 0.7],
] as const)(
  '%s of %s is trained, repeated to the bit, averaged, paid and audited',
  async (model, kind, data, least) => {
    const world = await createWorld({
      ...{ name: `${model}-${kind}`, data, engine, rounds: 1, layersModel },
      job: { model, acceptedEngines: 'wasm', spotRate: 1, optimizer: 'adam', learningRate: 0.01, epochs: 3, batch: 8 },
    });
    const { customer, state } = await world.run();
    if (customer instanceof Error) throw customer;
    expect(state.phase).toBe('finished');
    expect(state.rounds.map((round) => round.close?.content.accepted.length)).toEqual([2]);
    const repeated = state.rounds.flatMap((round) => round.scores?.content.scores.map(({ spot }) => spot) ?? []);
    expect(repeated).toHaveLength(2);
    for (const spot of repeated) expect(spot).not.toBeNull();
    expect(state.artifact!.content.model).toEqual(world.terms.model);
    expect(state.artifact!.content.accuracyPpm! / 1e6).toBeGreaterThan(least);
    expect(await world.auditAll()).toMatchObject({ found: null, level: 'data', engine: engine.id });
  },
);

test('a model that no weights can be made for is refused before its job is posted', async () => {
  const world = createWorld({ name: 'vast', engine, job: { model: 'mlp', hidden: [65_536, 65_536] } });
  await expect(world).rejects.toMatchObject({ code: 'too-large', expected: 'at most 250000000' });
});
