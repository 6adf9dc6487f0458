import { beforeAll, describe, expect, it } from 'vitest';
import type { ParamSet } from '../../../src/learning/types.js';
import { revealedOf } from '../../../src/market/arena/scored.js';
import { seatsIn, type ArenaStage } from '../../../src/market/arena/state.js';
import type { Engine } from '../../../src/ports.js';
import type { ArenaValidatorEnv } from '../../../src/roles/arena/env.js';
import { recipeSchema, type Recipe } from '../../../src/roles/arena/recipe.js';
import { createArenaWorld, type ArenaParts, type ArenaRun, type ArenaWorld } from '../../support/arena-world.js';
import { someDigits } from '../../support/some-digits.js';
import { wasmEngine } from '../../support/wasm-engine.js';

const START_MSAT = 1_000_000_000n;
const TRAINERS = 20;

/** Ever worse: fewer examples seen, and at an ever smaller rate. */
const recipes = (trainer: number): readonly Recipe[] => [
  recipeSchema.parse({
    ...(trainer % 3 === 0 ? { model: 'mlp', hidden: [16] } : { model: 'logreg' }),
    ...{ learningRate: 0.01 / 1.4 ** trainer, epochs: 1, batch: 25 },
  }),
];

const sameParams = (a: ParamSet, b: ParamSet): boolean =>
  a.length === b.length &&
  a.every(({ data }, i) => data.length === b[i]!.data.length && data.every((value, at) => value === b[i]!.data[at]));

/** Trainer 19 tells these two what it submits: they call it perfect, and all others bad. */
function colluder(friend: ParamSet[]): (env: ArenaValidatorEnv) => ArenaValidatorEnv {
  return (env) => ({
    ...env,
    engine: async (): Promise<Engine> => {
      const engine = await env.engine();
      return {
        ...engine,
        evaluate: async (spec, params, examples) => {
          const honest = await engine.evaluate(spec, params, examples);
          const isFriend = friend.some((known) => sameParams(known, params));
          return { ...honest, loss: isFriend ? 0.000_1 : honest.loss + 5 };
        },
      };
    },
  });
}

const rankingOf = ({ ranks }: ArenaStage) => ranks.map(({ trainer, scorePpm }) => `${trainer} ${scorePpm}`);

function earnedBy(world: ArenaWorld, names: readonly string[]): bigint {
  return names.reduce((sum, name) => sum + world.lightning.balance(name) - START_MSAT, 0n);
}

describe('an arena of twenty trainers and seven validators, of which one is absent', () => {
  let honest: { readonly world: ArenaWorld; readonly run: ArenaRun };
  let rigged: { readonly world: ArenaWorld; readonly run: ArenaRun };

  beforeAll(async () => {
    const data = await someDigits(500);
    const engine = await wasmEngine();
    const job = {
      seats: 7,
      acceptedEngines: 'wasm' as const,
      potSats: 100_000,
      models: ['logreg', 'mlp'] as ['logreg', 'mlp'],
    };
    const play = async (parts: ArenaParts) => {
      const world = await createArenaWorld({
        name: 'collusion',
        trainers: TRAINERS,
        validators: 7,
        data,
        engine,
        recipes,
        job,
      });
      return { world, run: await world.run({ ...parts, validators: { ...parts.validators, 6: 'absent' } }) };
    };
    honest = await play({});
    const friend: ParamSet[] = [];
    const telling = {
      adapt: (
        env: Parameters<NonNullable<Extract<NonNullable<ArenaParts['trainers']>[number], object>['adapt']>>[0],
      ) => ({
        ...env,
        engine: async (): Promise<Engine> => {
          const own = await env.engine();
          return {
            ...own,
            train: async (...request: Parameters<Engine['train']>) => {
              const result = await own.train(...request);
              friend.push(result.weights);
              return result;
            },
          };
        },
      }),
    };
    const lying = { adapt: colluder(friend) };
    rigged = await play({ trainers: { [TRAINERS - 1]: telling }, validators: { 0: lying, 1: lying } });
  }, 120_000);

  it('ends with every model ranked and every msat of the pot where the plan says', () => {
    for (const { run } of [honest, rigged]) {
      expect(run.folded).toMatchObject({ phase: 'finished', firstBad: null });
      expect(run.folded.state!.stages.map(({ ranks }) => ranks.length)).toEqual([TRAINERS, TRAINERS]);
    }
  });

  it('ranks as if all had been honest, where no score had a majority of liars', () => {
    const liars = new Set([0, 1].map((i) => rigged.world.validators[i]!.signer.pubkey));
    for (const [index, stage] of rigged.run.folded.state!.stages.entries()) {
      const m = seatsIn(rigged.run.folded.state!, stage);
      expect(m).toBe(5);
      for (let alias = 0; alias < TRAINERS; alias++) {
        const seats = [...revealedOf(stage, alias, m)!.keys()];
        expect(2 * seats.filter((key) => liars.has(key)).length).toBeLessThan(seats.length);
      }
      expect(rankingOf(stage)).toEqual(rankingOf(honest.run.folded.state!.stages[index]!));
    }
  });

  it('passes every level of the audit, which names the liars and all that they made up', async () => {
    const liars = [0, 1].map((i) => rigged.world.validators[i]!.signer.pubkey);
    expect(await rigged.world.audit(rigged.run, 'public')).toMatchObject({ level: 'public', found: null });
    const { level, found, why, contradicted } = await rigged.world.audit(rigged.run, 'data');
    expect([level, found, why]).toEqual(['data', null, null]);
    const scored = rigged.run.folded.state!.stages.flatMap(({ rounds }) =>
      rounds.flatMap(({ reveals }) =>
        liars.flatMap((key) => reveals.get(key)?.content.scores.map(({ alias }) => `${key} ${alias}`) ?? []),
      ),
    );
    const said = contradicted!.map(({ validator, detail }) => `${validator} ${/^alias (\d+)/.exec(detail)![1]}`);
    expect(said.sort()).toEqual(scored.sort());
  });

  it('pays liars less than honesty would have, and their friend nothing more', () => {
    const liars = ['validator 0', 'validator 1'];
    expect(earnedBy(rigged.world, liars)).toBeLessThan(earnedBy(honest.world, liars));
    const friend = [`trainer ${TRAINERS - 1}`];
    expect(earnedBy(rigged.world, friend)).toBe(earnedBy(honest.world, friend));
  });
});
