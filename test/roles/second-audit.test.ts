import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import {
  createWorld,
  type RunOptions,
  type TrainerOptions,
  type ValidatorOptions,
  type WorldOptions,
} from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';

const asking = (priceMsat: bigint): TrainerOptions => ({
  adapt: (env) => ({ ...env, terms: { ...env.terms, priceMsat, maxExposureMsat: priceMsat } }),
});

const SCORED = { validators: 3, validatorFeeSats: 5 } as const;
/** Says that each loss is twice what it measured. */
const LIAR: ValidatorOptions = {
  adapt: (env) => ({
    ...env,
    engine: async () => {
      const engine = await env.engine();
      const evaluate: typeof engine.evaluate = async (...given) => {
        const found = await engine.evaluate(...given);
        return { ...found, loss: 2 * found.loss };
      };
      return { ...engine, evaluate };
    },
  }),
};

describe('a second audit, written apart, comes to what the first comes to', () => {
  const jobs: [string, WorldOptions, RunOptions][] = [
    ['a paid job of three trainers and three rounds', { trainers: 3, rounds: 3 }, {}],
    ['shards of 13, 13 and 12 examples', { trainers: 3, rounds: 1, rows: 38 / 3, priceSats: 7 }, {}],
    [
      'bids at different prices, two of them in vain',
      { trainers: 2, spares: 2, rounds: 2, job: { award: 'deadline', bidWindow: '60s' } },
      { trainers: { 0: asking(20_001n), 1: asking(9_001n), 2: asking(12_345n), 3: asking(9_001n) } },
    ],
    ['a free job of one trainer', { trainers: 1, rounds: 2, rail: 'none' }, {}],
    ['trainers that stay near the model of the round', { trainers: 2, rounds: 2, job: { proximal: 0.5 } }, {}],
    [
      'three validators and spot checks',
      { trainers: 3, rounds: 3, validators: 3, job: { ...SCORED, spotRate: 0.5 } },
      {},
    ],
    [
      'more validators than seats, without spot checks',
      { trainers: 2, rounds: 1, validators: 4, job: { validators: 3, verification: 'floor' } },
      {},
    ],
    ['a validator that lies', { trainers: 2, rounds: 2, validators: 3, job: SCORED }, { validators: { 1: LIAR } }],
    [
      'two of three validators that are away: the customer’s own scores count',
      { trainers: 2, rounds: 2, validators: 3, job: { ...SCORED, verification: 'floor' } },
      { validators: { 0: 'absent', 2: 'absent' } },
    ],
    ['FLTrust, whose root update is trained again', { trainers: 3, rounds: 2, job: { aggregation: 'fltrust' } }, {}],
    ['models that travel as chunks', { trainers: 2, rounds: 2, inputs: 320, classes: 42 }, {}],
  ];
  it.each(jobs)('on %s', async (name, options, run) => {
    const world = await createWorld({ name, ...options });
    const { state } = await world.run(run);
    expect(state.phase).toBe('finished');
    if (name.startsWith('a validator')) expect(state.validatorFrauds.size).toBe(1);
    if (options.validators !== undefined)
      expect(new Set(state.rounds.map(({ verdict }) => verdict!.from))).toEqual(
        new Set([name.startsWith('two of') ? 'customer' : 'validators']),
      );
    if (name.startsWith('shards'))
      expect(world.snapshot.manifest.shards.map(({ examples }) => examples)).toEqual([13, 13, 12]);
    expect(await world.auditAll()).toMatchObject({ level: 'data', found: null });
    const keys = encodeAuditKeys(await world.allKeys());
    expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toEqual({
      ...{ verdict: 'PASS', event: null, why: null },
    });
  });

  it('without any code of the first', () => {
    const folder = new URL('../support/second/', import.meta.url);
    for (const file of readdirSync(folder)) {
      const source = readFileSync(new URL(file, folder), 'utf8');
      for (const [, from] of source.matchAll(/from '([^']+)'/g))
        expect(from).toMatch(/^(\.\/[a-z]+\.js|node:crypto|node:zlib|light-bolt11-decoder|@noble\/curves\/.*)$/);
    }
  });
});
