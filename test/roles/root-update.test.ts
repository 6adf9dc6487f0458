import { describe, expect, test } from 'vitest';
import { NmktError } from '../../src/errors.js';
import { initialParams } from '../../src/learning/params.js';
import type { ParamSet } from '../../src/learning/types.js';
import type { Engine } from '../../src/ports.js';
import { trainRoot } from '../../src/roles/root-update.js';
import { createWorld, tinyExamples, type World } from '../support/market-world.js';
import { stubEngine } from '../support/stub-engine.js';
import { tampering } from './rogue.js';

/** FLTrust takes an update of the customer's own: everybody with the keys combines by it, with the data it is trained again. */

const worldOf = (name: string): Promise<World> =>
  createWorld({
    ...{ name, trainers: 3, rounds: 2, rail: 'none', rows: 18 },
    job: { aggregation: 'fltrust', acceptedEngines: 'cpu', spotRate: 0 },
  });

/** Trains otherwise where nothing of a trainer is repeated: set A. */
function making(up: (params: ParamSet) => ParamSet) {
  return (engine: Engine): Engine => ({
    ...engine,
    train: async (request, ...rest) => {
      const result = await engine.train(request, ...rest);
      const isRoot = request.toStep === undefined && request.stateEvery === undefined;
      return isRoot ? { ...result, weights: up(result.weights) } : result;
    },
  });
}

describe('a job by fltrust', () => {
  test('names a root update in each close, and passes the audit at each level', async () => {
    const world = await worldOf('trusted');
    const { state } = await world.run();
    expect(state.phase).toBe('finished');
    expect(state.award!.content.rule).toEqual({ name: 'fltrust', f: 0, m: 0 });
    const roots = state.rounds.map(({ close }) => close!.content.root?.sha256);
    expect(new Set([...roots, ...state.rounds.map(({ open }) => open.content.base.sha256)]).size).toBe(4);
    expect(await world.audit()).toMatchObject({ open: null, keyed: null });
    expect(await world.auditAll()).toMatchObject({ level: 'data', found: null, roots: { rounds: 2, why: null } });
  });

  test('says in an audit on another engine that its root updates are not trained again', async () => {
    const world = await worldOf('trusted elsewhere');
    await world.run();
    const engine = async () => stubEngine('cpu/11111111/stub/x64');
    expect(await world.auditAll({ engine })).toMatchObject({
      ...{ level: 'data', found: null },
      roots: { rounds: 0, why: expect.stringMatching(/^round 1 was closed on cpu\/00000000.*, this is cpu\/11111111/) },
    });
  });

  test('whose root update is made up is found by who has the data, not by the keys alone', async () => {
    const world = await worldOf('made up');
    const shift = making((params) =>
      params.map((tensor) => ({ ...tensor, data: tensor.data.map((value) => value + 0.01) })),
    );
    const adapt = <E extends { engine(): Promise<Engine> }>(env: E): E => ({
      ...env,
      engine: async () => shift(await env.engine()),
    });
    const { state } = await world.run({ customer: { adapt } });
    expect(await world.audit()).toMatchObject({ open: null, keyed: null });
    const { level, found } = await world.auditAll();
    expect([level, found?.rule, found?.event]).toEqual(['data', 'root', state.rounds[0]!.close!.id]);
  });

  test('whose close names another root update than it combined by does not open', async () => {
    const world = await worldOf('another root');
    await world.run({
      customer: {
        signer: (own) =>
          tampering(own, (phase, content) => {
            if (phase !== 'close') return undefined;
            const root = content['root'] as object;
            return { ...content, root: { ...root, sha256: 'ab'.repeat(32) } };
          }),
      },
    });
    const { open, keyed } = await world.audit();
    expect(open).toBeNull();
    expect(keyed).toMatchObject({ rule: 'blob' });
  });

  test('comes to the same models where the home was killed and has lost models and root updates', async () => {
    const expected = (await (await worldOf('lost root')).run()).state.modelHash;
    const world = await worldOf('lost root');
    const { files } = world.customer;
    const lost: string[] = [];
    const { state } = await world.run({
      customer: {
        kill: (start) => (start < 8 ? { after: 6 + 3 * start, isKept: true } : undefined),
        onKilled: () => {
          for (const name of [...files.keys()].filter((file) => /root-|model-/.test(file))) {
            lost.push(name);
            files.delete(name);
          }
        },
      },
    });
    expect(lost.some((name) => name.includes('root-0'))).toBe(true);
    expect(state.phase).toBe('finished');
    expect(state.modelHash).toBe(expected);
    expect(await world.auditAll()).toMatchObject({ found: null, roots: { rounds: 2, why: null } });
  });
});

test('a root training that runs away leaves the base, by which no update counts', async () => {
  const model = { model: 'logreg', task: 'classification', inputs: 24, outputs: 3, hidden: [] } as const;
  const base = initialParams(model, new Uint8Array(32));
  const hyper = { optimizer: 'sgd', learningRate: 0.1, batch: 4, epochs: 1 } as const;
  const training = { terms: { model, hyper }, base, examples: tinyExamples(9), seed: new Uint8Array(32), round: 0 };
  const diverging = { train: () => Promise.reject(new NmktError('diverged', 'the loss is NaN', { remedy: 'less' })) };
  expect(await trainRoot(diverging, training)).toEqual({ params: base, isExact: true });
  const [first, second] = [
    await trainRoot(stubEngine(), training),
    await trainRoot(stubEngine(), { ...training, round: 1 }),
  ];
  expect(first.params).not.toEqual(base);
  expect(first.params).not.toEqual(second.params);
});
