import { describe, expect, test } from 'vitest';
import type { TrainRequest } from '../../src/ports.js';
import { createWorld, type RunResult, type TrainerOptions, type World } from '../support/market-world.js';

/** A trainer's machine on which each part of a training takes fifteen seconds, and what it was asked to train. */
function slow(world: World, asked: TrainRequest[]): TrainerOptions['adapt'] {
  return (env) => ({
    ...env,
    engine: async () => {
      const engine = await env.engine();
      return {
        ...engine,
        train: async (request, onProgress, signal, onState) => {
          asked.push(request);
          return engine.train(request, onProgress, signal, (state) => {
            world.clock.advance(15_000);
            onState?.(state);
          });
        },
      };
    },
  });
}

const hashOf = ({ state }: RunResult) => state.artifact!.content.weights.sha256;

describe.each(['floor', 'spot'] as const)(
  'a trainer of a job with verification %s, killed in the middle of a training',
  (verification) => {
    const job = { name: 'resumed', trainers: 1, rounds: 1, job: { verification, roundTimeout: '1h' } };

    test('goes on after the last state on its disk, to the same bytes', async () => {
      const wanted = hashOf(await (await createWorld(job)).run());
      const froms: (number | undefined)[] = [];
      for (let after = 1, end = false; !end; after++) {
        const world = await createWorld(job);
        const asked: TrainRequest[] = [];
        let kills = 0;
        const adapt = slow(world, asked);
        const trainer: TrainerOptions = {
          kill: { after, isKept: true },
          onKilled: () => kills++,
          ...(adapt && { adapt }),
        };
        expect(hashOf(await world.run({ trainers: { 0: trainer } })), `killed at write ${after}`).toBe(wanted);
        // The trial by which a bid names its speed is no training of the round.
        const rounds = asked.filter(({ examples }) => examples.features instanceof Float32Array);
        froms.push(rounds.at(-1)!.from?.step);
        end = kills === 0;
      }
      const steps = froms.filter((step) => step !== undefined);
      expect(steps.length).toBeGreaterThan(3);
      expect(Math.max(...steps)).toBeGreaterThan(12);
    });
  },
);
