import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/hash.js';
import type { DataSchema } from '../../../src/learning/types.js';
import { candidatesFor, ownRecipes, parseRecipes } from '../../../src/roles/arena/recipe.js';
import { searchRecipes, type SearchPorts } from '../../../src/roles/arena/recipe-search.js';
import { digits } from '../../../src/training/digits.js';
import { wasmEngine } from '../../support/wasm-engine.js';

const image = {
  task: 'classification',
  inputs: 784,
  outputs: 10,
  shape: [28, 28],
  dtype: 'U8',
} as unknown as DataSchema;
const arena = { models: ['logreg', 'mlp', 'cnn'] as const, maxModelBytes: 1_000_000 };
const limits = { ...arena, models: [...arena.models] };

describe('a file of recipes', () => {
  it('is one recipe or a list, defaults filled in', () => {
    const [one] = parseRecipes({ model: 'mlp', learningRate: 0.01 }, 'r.json');
    expect(one).toMatchObject({ model: 'mlp', hidden: [128], optimizer: 'adam', batch: 32 });
    expect(parseRecipes([{ model: 'logreg' }, { model: 'cnn', size: 'micro' }], 'r.json')).toHaveLength(2);
  });

  it.each([
    [{ model: 'mlp', rounds: 3 }, 'rounds'],
    [{ model: 'resnet' }, 'model'],
    [{ model: 'mlp', learningRate: -1 }, 'learningRate'],
    [{ model: 'mlp', epochs: 1, localSteps: 1 }, 'both'],
    [{ model: 'mlp', momentum: 0.5 }, '0.5 with adam'],
    [[], '0'],
    ['mlp', 'recipe'],
  ])('names what is wrong with %j', (value, got) => {
    expect(() => parseRecipes(value, 'r.json')).toThrow(
      expect.objectContaining({ code: 'bad-recipe', got: expect.stringContaining(got) as string }) as Error,
    );
  });

  it('leaves those that the job takes and that suit its data', () => {
    const names = candidatesFor(ownRecipes(), image, limits).map(({ spec }) => spec.model);
    expect(names).toEqual(['logreg', 'mlp', 'mlp', 'cnn', 'cnn']);
    expect(() => candidatesFor(parseRecipes({ model: 'gpt' }, 'r.json'), image, limits)).toThrow('no recipe');
    const small = { ...limits, maxModelBytes: 4 * 7_850 }; // 784 x 10 weights and 10 biases
    expect(candidatesFor(ownRecipes(), image, small).map(({ spec }) => spec.model)).toEqual(['logreg']);
    expect(() => candidatesFor(ownRecipes(), image, { ...small, maxModelBytes: 4 * 7_849 })).toThrow('no recipe');
  });
});

describe('a search over recipes', () => {
  const seed = sha256('search');
  const recipes = [1e-6, 0.01, 1e-5].map((learningRate) => ({ model: 'logreg', learningRate, epochs: 2 }));
  const candidates = candidatesFor(parseRecipes(recipes, 'r.json'), image, limits);
  const ports = async (steps: number): Promise<SearchPorts & { readonly said: string[] }> => {
    const said: string[] = [];
    let now = 0;
    return {
      ...{ engine: await wasmEngine(), examples: digits(200, seed), seed, untilMs: steps, nowMs: () => now++, said },
      onProgress: (text) => said.push(text),
    };
  };

  it('finds the learning rate that learns, trains it to its end, and does so again', async () => {
    const own = await ports(100);
    const found = (await searchRecipes(candidates, own))!;
    // 180 of 200 examples in batches of 32, twice.
    expect(found).toMatchObject({ candidate: candidates[1]!, steps: 12, total: 12 });
    expect(found.accuracy).toBeGreaterThan(0.25);
    // 3 of 3 to a quarter, 2 to the half, 1 to the end.
    expect(own.said.map((text) => /after (\d+) of/.exec(text)![1])).toEqual(['3', '3', '3', '6', '6', '12']);
    expect(await searchRecipes(candidates, await ports(100))).toEqual(found);
  });

  it('has the best so far when its time is over, and nothing before it began', async () => {
    expect(await searchRecipes(candidates, await ports(3))).toMatchObject({ candidate: candidates[1]!, steps: 3 });
    expect(await searchRecipes(candidates, await ports(0))).toBeUndefined();
  });
});
