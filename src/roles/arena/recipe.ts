import { z } from 'zod';
import { isNmktError, NmktError } from '../../errors.js';
import { chooseModel, MODEL_NAMES, type KnownModel } from '../../learning/model-choice.js';
import { parameterCount } from '../../learning/params.js';
import type { DataSchema, HyperParameters, ModelSpec } from '../../learning/types.js';
import type { ArenaBlock } from '../../protocol/arena/job.js';
import { jobFileSchema } from '../job-file.js';
import { hyperParameters } from '../job-hyper.js';

/** What a trainer of an arena chooses for itself: a model and how it is trained. */

/** Of one file. */
export const MAX_RECIPES = 32;

/** Fields as of a job file, without those that only make sense in rounds; no codec, since models travel whole. */
export const recipeSchema = jobFileSchema
  .pick({
    ...{ size: true, hidden: true, epochs: true, localSteps: true, batch: true, optimizer: true, learningRate: true },
    ...{ momentum: true, weightDecay: true, clipNorm: true, warmupSteps: true, decay: true },
  })
  .extend({ model: z.enum(MODEL_NAMES) })
  .strict();
export type Recipe = z.output<typeof recipeSchema>;

/** A recipe for the data of a job. */
export interface Candidate {
  readonly recipe: Recipe;
  readonly spec: ModelSpec;
  readonly hyper: HyperParameters;
}

/**
 * One recipe, or a list of 1 to 32.
 *
 * @param origin  the file, for the error
 * @throws NmktError `bad-recipe` naming the field, expected and got
 */
export function parseRecipes(value: unknown, origin: string): readonly Recipe[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length < 1 || list.length > MAX_RECIPES)
    throw badRecipe(origin, `1 to ${MAX_RECIPES} recipes`, `${list.length}`);
  return list.map((one, i) => parseRecipe(one, list.length === 1 ? origin : `${origin}, recipe ${i + 1}`));
}

function parseRecipe(value: unknown, origin: string): Recipe {
  const result = recipeSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    const isUnknown = issue.code === 'unrecognized_keys';
    const field = isUnknown ? issue.keys[0]!.slice(0, 40) : issue.path.join('.') || 'recipe';
    throw badRecipe(origin, isUnknown ? 'known fields only' : issue.message.slice(0, 200), `another ${field}`);
  }
  const recipe = result.data;
  if (recipe.epochs !== undefined && recipe.localSteps !== undefined)
    throw badRecipe(origin, 'epochs or localSteps', 'both');
  try {
    hyperParameters(recipe);
  } catch (error) {
    if (!isNmktError(error, 'bad-job')) throw error;
    throw badRecipe(origin, error.expected ?? error.message, error.got ?? 'another');
  }
  return recipe;
}

function badRecipe(origin: string, expected: string, got: string): NmktError {
  return new NmktError('bad-recipe', `${origin} is not usable`, {
    ...{ expected, got },
    remedy: 'such as {"model": "mlp", "hidden": [64], "learningRate": 0.003, "epochs": 5}',
  });
}

/** Who names no recipe tries these, as far as the job takes their models: small ones first. */
export function ownRecipes(): readonly Recipe[] {
  const of = (model: KnownModel, learningRate: number, rest: object = {}) =>
    recipeSchema.parse({ model, learningRate, epochs: 6, ...rest });
  return [
    ...[of('logreg', 0.01), of('mlp', 0.003, { hidden: [64] }), of('mlp', 0.001, { hidden: [256] })],
    ...[of('cnn', 0.003), of('cnn', 0.001, { size: 'micro' })],
    ...[of('gpt', 0.003), of('lstm', 0.003), of('lstm', 0.001, { size: 'micro' })],
  ];
}

/**
 * Those that the job takes and that suit its data.
 *
 * @throws NmktError `bad-recipe` where none is left
 */
export function candidatesFor(
  recipes: readonly Recipe[],
  schema: DataSchema,
  arena: Pick<ArenaBlock, 'models' | 'maxModelBytes'>,
): readonly Candidate[] {
  const refused: string[] = [];
  const found = recipes.flatMap((recipe): readonly Candidate[] => {
    const spec = chooseModel(recipe, schema);
    const why =
      typeof spec === 'string'
        ? `${recipe.model} needs ${spec}`
        : !arena.models.includes(spec.model)
          ? `${recipe.model} is none of ${arena.models.join(', ')}`
          : 4 * parameterCount(spec) > arena.maxModelBytes
            ? `${recipe.model} has ${4 * parameterCount(spec)} bytes of at most ${arena.maxModelBytes}`
            : null;
    if (why === null) return [{ recipe, spec: spec as ModelSpec, hyper: hyperParameters(recipe) }];
    refused.push(why);
    return [];
  });
  if (found.length > 0) return found;
  throw badRecipe('no recipe', 'one that the job takes and that suits its data', refused.join('; ').slice(0, 300));
}
