import { describe, expect, test } from 'vitest';
import { paramsHash } from '../../src/learning/params.js';
import type { JobFileInput } from '../../src/roles/job-file.js';
import { createWorld, type World } from '../support/market-world.js';

/** The rule and the outer step that a job promises decide its models; everybody with the keys can do it again. */

const worldOf = (name: string, trainers: number, job: JobFileInput, rounds = 3): Promise<World> =>
  createWorld({ name, trainers, rounds, rail: 'none', rows: 18, job: { acceptedEngines: 'cpu', ...job } });

const PASS = { open: null, keyed: null };

describe('a job of five trainers', () => {
  test.each([
    ['norm-clip', { aggregation: undefined }, { name: 'norm-clip', f: 0, m: 0 }],
    ['multi-krum', { aggregation: 'multi-krum' }, { name: 'multi-krum', f: 1, m: 4 }],
    ['multi-krum, counting attackers', { aggregation: undefined, attackers: 1 }, { name: 'multi-krum', f: 1, m: 4 }],
    ['median', { aggregation: 'median' }, { name: 'median', f: 0, m: 0 }],
    ['trimmed-mean', { aggregation: 'trimmed-mean', attackers: 2 }, { name: 'trimmed-mean', f: 2, m: 0 }],
    ['centred-clip', { aggregation: 'centred-clip' }, { name: 'centred-clip', f: 0, m: 0 }],
  ] as const)('by %s runs to its end and passes both audits', async (name, job, rule) => {
    const world = await worldOf(name, 5, job);
    const { state } = await world.run();
    expect(state.phase).toBe('finished');
    expect(state.award!.content.rule).toEqual(rule);
    expect(await world.audit()).toMatchObject(PASS);
  });
});

describe('an outer step with a state', () => {
  test.each(['diloco', 'fedavgm', 'fedadagrad', 'fedadam', 'fedyogi'] as const)(
    '%s is hashed into every close, and the audit comes to the same models',
    async (outer) => {
      const world = await worldOf(outer, 3, { outer });
      const { state } = await world.run();
      expect(state.phase).toBe('finished');
      const kept = state.rounds.map(({ close }) => close!.content.outerState);
      expect(new Set(kept).size).toBe(3);
      expect(kept).not.toContain(undefined);
      expect(await world.audit()).toMatchObject(PASS);
    },
  );

  test('sgd keeps none', async () => {
    const world = await worldOf('sgd', 2, { outer: 'sgd', outerLearningRate: 0.5 });
    const { state } = await world.run();
    expect(state.rounds.map(({ close }) => close!.content.outerState)).toEqual([undefined, undefined, undefined]);
    expect(await world.audit()).toMatchObject(PASS);
  });

  test('is worked out again where the home has lost it, to the same models', async () => {
    const whole = await worldOf('lost outer state', 3, { outer: 'diloco' });
    const expected = (await whole.run()).state.modelHash;
    const world = await worldOf('lost outer state', 3, { outer: 'diloco' });
    const { files } = world.customer;
    const { state } = await world.run({
      customer: {
        kill: (start) => (start < 3 ? { after: 14 + 4 * start, isKept: true } : undefined),
        onKilled: () =>
          [...files.keys()].filter((name) => /outer-|model-/.test(name)).forEach((name) => files.delete(name)),
      },
    });
    expect(state.phase).toBe('finished');
    expect(state.modelHash).toBe(expected);
    expect(await world.audit()).toMatchObject(PASS);
  });
});

test('a customer that publishes another outer state is named by the audit with keys', async () => {
  const world = await worldOf('false outer state', 2, { outer: 'diloco' });
  const forged = paramsHash([{ name: 'w', shape: [1], data: Float32Array.of(7) }]);
  const { state } = await world.run({
    customer: {
      adapt: (env) => ({
        ...env,
        book: {
          ...env.book,
          sign: ((type: 'close', content: { outerState?: string }, people: []) =>
            env.book.sign(
              type,
              (type === 'close' ? { ...content, outerState: forged } : content) as never,
              people,
            )) as never,
        },
      }),
    },
  });
  expect(state.rounds.length).toBeGreaterThan(0);
  const { keyed } = await world.audit();
  expect(keyed).toMatchObject({ rule: 'aggregate', event: state.rounds[0]!.close!.id });
});
