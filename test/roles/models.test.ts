import { beforeAll, expect, test } from 'vitest';
import { prng } from '../../src/learning/prng.js';
import { charactersOf, encodeText } from '../../src/learning/tokens.js';
import type { DataSchema, Examples } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
import { loadTape } from '../../src/training/net-automatic.js';
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

/** Words of two kinds in turn: the next character follows from the last ones, mostly. */
function words(rows: number): { schema: DataSchema; examples: Examples } {
  const random = prng(new Uint8Array(32), 'words');
  const of = (list: readonly string[]) => list[random.below(list.length)]!;
  let text = '';
  while (text.length <= rows * 12) text += `${of(['the', 'one', 'our'])} ${of(['cat', 'dog', 'owl', 'fox'])}\n`;
  const code = { tokenizer: 'char', characters: charactersOf(text) } as const;
  const tokens = encodeText(code, text);
  const outputs = [...code.characters].length;
  return {
    schema: { task: 'classification', shape: [12], inputs: 12, dtype: 'U8', scale: 1, outputs, text: code },
    examples: {
      ...{ rows, inputs: 12, scale: 1, features: Uint8Array.from(tokens.subarray(0, rows * 12)) },
      labels: Int32Array.from({ length: rows }, (_, row) => tokens[(row + 1) * 12]!),
    },
  };
}

test.each([
  ['cnn', bars(220), 0.7],
  ['gpt', words(200), 0.3],
  ['lstm', words(200), 0.3],
] as const)('%s is trained, repeated to the bit, averaged, paid and audited', async (model, data, least) => {
  const world = await createWorld({
    ...{ name: model, data, engine, rounds: 1 },
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
});
