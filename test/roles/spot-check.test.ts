import { describe, expect, test } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { initialParams } from '../../src/learning/params.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import { stateHash } from '../../src/learning/train-state.js';
import type { ParamSet } from '../../src/learning/types.js';
import { owedMsat, paidMsat } from '../../src/market/state.js';
import type { Engine } from '../../src/ports.js';
import { repeatAll, repeatSegment, type AgreedTraining } from '../../src/roles/spot-check.js';
import { disputes } from '../../src/market/disputes.js';
import { createWorld, type RunResult, type TrainerOptions, type World } from '../support/market-world.js';
import { stubEngine } from '../support/stub-engine.js';
import { rogueTrainer, tampering, type Forge } from './rogue.js';

const START_MSAT = 1_000_000_000n;
const shaken = (params: ParamSet, by: number): ParamSet =>
  params.map((tensor) => ({ ...tensor, data: tensor.data.map((value, i) => value + (i === 0 ? by : 0)) }));

/** Segment 0 and the first state are honest, the rest is made up; the update itself is good work. */
const SKIPS: Record<string, Forge> = {
  'trains, and commits to states that it never reached': ({ states }) => {
    const made = states.map((state, index) => ({ ...state, tensors: shaken(state.tensors, 1 + index) }));
    return { checkpoints: made.map(stateHash), stateOf: (segment) => made[segment - 1]!.tensors };
  },
  'trains an eighth, and scales it up': ({ base, states }) => {
    const [first] = states;
    const stretched = first!.tensors.map((tensor, t) => ({
      ...tensor,
      data: tensor.data.map((value, i) => base[t]!.data[i]! + 8 * (value - base[t]!.data[i]!)),
    }));
    const made = states.map((state, index) => ({
      ...state,
      tensors: index === 0 ? state.tensors : shaken(stretched, index * 1e-3),
    }));
    return {
      bytes: encodeParams(stretched),
      checkpoints: made.map(stateHash),
      stateOf: (segment) => made[segment - 1]!.tensors,
    };
  },
};

async function expectNamed(world: World, cheat: number, spare: number): Promise<void> {
  const state = (await world.read()).state();
  const { pubkey } = world.trainers[cheat]!.signer;
  const [first, ...later] = state.rounds;
  expect(state.phase).toBe('finished');
  expect(first!.close!.content.rejected).toMatchObject([{ trainer: pubkey, rule: 'spot-check' }]);
  expect([owedMsat(state, pubkey), paidMsat(state, pubkey)]).toEqual([0n, 0n]);
  expect(world.lightning.balance(world.trainers[cheat]!.name)).toBe(START_MSAT);
  for (const round of later) expect(round.assigned.map(({ trainer }) => trainer)).not.toContain(pubkey);
  expect(later.at(-1)!.close!.content.accepted.map(({ trainer }) => trainer)).toContain(
    world.trainers[spare]!.signer.pubkey,
  );
  const { open, keyed } = await world.audit();
  expect([open, keyed]).toEqual([null, null]);
}

describe('a trainer that', () => {
  for (const [what, forge] of Object.entries(SKIPS))
    test(`${what}: is a proven fraud, unpaid, and a spare takes over`, async () => {
      // One segment is drawn: who trains the first of four honestly is caught in three draws of four.
      let found: { readonly world: World; readonly result: RunResult } | undefined;
      const isCaughtAtOnce = (): boolean => found?.result.state.rounds[0]?.close?.content.rejected.length === 1;
      for (let draw = 0; draw < 6 && !isCaughtAtOnce(); draw++) {
        const market = { trainers: 3, spares: 1, rounds: 2, job: { quorum: 2, award: 'deadline' } } as const;
        const world = await createWorld({ name: `${what} ${draw}`, ...market });
        found = { world, result: await world.run({ trainers: { 1: { act: rogueTrainer(forge) } } }) };
      }
      const { world, result } = found!;
      const { state, customer, ends } = result;
      if (customer instanceof Error) throw customer;
      await expectNamed(world, 1, 3);
      const { pubkey } = world.trainers[1]!.signer;
      const { content } = state.frauds.get(pubkey)!;
      expect(content.repeated).not.toBe(content.committed);
      expect(ends[0]).toMatchObject({ end: 'done', rounds: 2, paidMsat: 42_000n });
    });

  const UNPROVEN: Record<string, Forge> = {
    'shows another state than it committed to': ({ states }) => ({
      stateOf: (segment) => shaken(states[segment - 1]!.tensors, 1),
    }),
    'shows no state': () => ({ stateOf: () => null }),
    'commits to fewer segments than the training has': ({ states }) => ({
      checkpoints: states.slice(0, 2).map(stateHash),
    }),
  };
  for (const [what, forge] of Object.entries(UNPROVEN))
    test(`${what}: is rejected by the spot check and replaced`, async () => {
      // A name in whose first round a later segment is drawn.
      const world = await createWorld({
        name: 'late segment',
        trainers: 3,
        spares: 1,
        rounds: 2,
        job: { quorum: 2, award: 'deadline' },
      });
      const { customer, state } = await world.run({ trainers: { 1: { act: rogueTrainer(forge) } } });
      if (customer instanceof Error) throw customer;
      await expectNamed(world, 1, 3);
      expect(state.frauds.size).toBe(0);
    });

  test('works on another engine than it says is found by its bits', async () => {
    const world = await createWorld({ trainers: 3, spares: 1, rounds: 2, job: { quorum: 2, award: 'deadline' } });
    const other: TrainerOptions = {
      adapt: (env) => ({ ...env, engine: async () => rounding(await env.engine()) }),
    };
    const { customer, ends } = await world.run({ trainers: { 1: other } });
    if (customer instanceof Error) throw customer;
    await expectNamed(world, 1, 3);
    expect(ends[1]).toMatchObject({
      end: 'lost',
      why: expect.stringContaining('was not trained as committed') as string,
    });
  });

  test('leaves out the pull to the model of the round is found by its bits, who keeps to it is not', async () => {
    const job = { quorum: 2, award: 'deadline', proximal: 0.5, segments: 1 } as const;
    const world = await createWorld({ trainers: 3, spares: 1, rounds: 2, job });
    const free: TrainerOptions = {
      adapt: (env) => ({ ...env, engine: async () => withoutPull(await env.engine()) }),
    };
    const { customer, state } = await world.run({ trainers: { 1: free } });
    if (customer instanceof Error) throw customer;
    expect(state.job!.content.hyper.proximal).toBe(0.5);
    await expectNamed(world, 1, 3);
    expect(state.rounds[0]!.close!.content.accepted).toHaveLength(2);
  });

  test('names another engine in its reveal is rejected by rule engine', async () => {
    const world = await createWorld({ trainers: 3, rounds: 1, job: { quorum: 2, award: 'deadline' } });
    const { state } = await world.run({
      trainers: {
        1: {
          signer: (own) =>
            tampering(own, (phase, content) => (phase === 'reveal' ? { ...content, engine: 'cpu/1/2/3' } : undefined)),
        },
      },
    });
    expect(state.rounds[0]!.close!.content.rejected).toMatchObject([{ rule: 'engine' }]);
  });

  test('sends nearly its last update again, with honest checkpoints: the whole training is repeated', async () => {
    const world = await createWorld({ trainers: 3, rounds: 2, job: { quorum: 2, spotRate: 0, award: 'deadline' } });
    let last: ParamSet | undefined;
    let was: ParamSet | undefined;
    const replay: Forge = ({ base, states, round }) => {
      const honest = states.at(-1)!.tensors;
      if (round.round === 0) [last, was] = [honest, base];
      const again = base.map((tensor, t) => ({
        ...tensor,
        data: tensor.data.map((value, i) => value + (last![t]!.data[i]! - was![t]!.data[i]!) * (1 + 1e-4)),
      }));
      return round.round === 0 ? {} : { bytes: encodeParams(again) };
    };
    const { state } = await world.run({ trainers: { 1: { act: rogueTrainer(replay) } } });
    const { pubkey } = world.trainers[1]!.signer;
    expect(state.rounds[0]!.close!.content.rejected).toEqual([]);
    // Its first update was not drawn again; what was is told by the fraud, or a rule before it.
    const [rejected] = state.rounds[1]!.close!.content.rejected;
    expect(rejected).toMatchObject({ trainer: pubkey });
    expect(['spot-check', 'work-floor']).toContain(rejected!.rule);
    expect(state.frauds.get(pubkey)?.content.segment).toBe(7);
  });
});

describe('a training in which a kernel took part whose bits differ between machines', () => {
  test('is not committed to: its trainer is absent, not accused', async () => {
    const world = await createWorld({ trainers: 3, rounds: 1, job: { quorum: 2, award: 'deadline' } });
    const adapt: TrainerOptions['adapt'] = (env) => ({ ...env, engine: async () => inexact(await env.engine()) });
    const { state, ends } = await world.run({ trainers: { 1: { adapt } } });
    expect(ends[1]).toMatchObject({ code: 'training-failed', got: 'FFT' });
    expect(state.frauds.size).toBe(0);
    expect(state.rounds[0]!.listedReveals.has(1)).toBe(false);
    expect(state.rounds[0]!.close!.content.accepted).toHaveLength(2);
  });

  test('is not compared, however it was repeated', async () => {
    const model = { model: 'logreg', task: 'regression', inputs: 1, outputs: 1, hidden: [] } as const;
    const training: AgreedTraining = {
      terms: {
        model,
        hyper: { optimizer: 'sgd', learningRate: 0.1, batch: 1, localSteps: 2 },
        spot: { everySteps: 1 } as AgreedTraining['terms']['spot'],
        codec: { name: 'f32' },
      },
      base: initialParams(model, new Uint8Array(32)),
      examples: { rows: 1, inputs: 1, features: Float32Array.of(1), scale: 1, labels: Float32Array.of(1) },
      seed: new Uint8Array(32),
      round: 0,
      shard: 0,
      trainer: 'aa'.repeat(32) as AgreedTraining['trainer'],
    };
    const committed = { checkpoints: [], updateHash: sha256Hex('anything') };
    const engine = inexact(stubEngine());
    await expect(repeatSegment(engine, training, 0, null)).rejects.toMatchObject({ code: 'training-failed' });
    await expect(repeatAll(engine, training, committed as never)).rejects.toMatchObject({ code: 'training-failed' });
    expect(await repeatAll(stubEngine(), training, committed as never)).not.toBeNull();
  });
});

describe('a customer that', () => {
  test('repeats on another engine than the job names accuses nobody', async () => {
    const world = await createWorld({ trainers: 2, rounds: 1 });
    const { state } = await world.run({
      customer: {
        adapt: (env) => ({
          ...env,
          engine: async () => ({ ...(await env.engine()), id: 'cpu/99999999/stub/x64' as never }),
        }),
      },
    });
    expect(state.rounds[0]!.scores!.content.scores.map(({ spot }) => spot)).toEqual([null, null]);
    expect(state.rounds[0]!.close!.content.accepted).toHaveLength(2);
    expect(world.customer.said.join('\n')).toContain('nothing is repeated');
  });

  test('accuses an honest trainer is contradicted by that trainer, who repeats the segment', async () => {
    const world = await createWorld({ trainers: 3, spares: 1, rounds: 2, job: { quorum: 2, award: 'deadline' } });
    const victim = world.trainers[1]!.signer.pubkey;
    const lie = sha256Hex('something else');
    const { ends, state } = await world.run({
      customer: {
        signer: (own) =>
          tampering(own, (phase, content) =>
            phase === 'reveal' && 'scores' in content
              ? {
                  ...content,
                  scores: (content['scores'] as { trainer: string; spot: object | null }[]).map((row) =>
                    row.trainer === victim ? { ...row, spot: { ...row.spot, hash: lie } } : row,
                  ),
                }
              : undefined,
          ),
      },
    });
    expect(state.frauds.get(victim)?.content.repeated).toBe(lie);
    expect(ends[1]).toMatchObject({ end: 'lost', why: expect.stringContaining('the accusation is false') as string });
    const fraud = state.frauds.get(victim)!;
    const { committed: hash, segment } = fraud.content;
    const complaints = state.chains.get(victim)!.events.filter((event) => event.type === 'complaint');
    expect(complaints.map(({ content }) => content)).toMatchObject([
      { subject: fraud.id, found: { what: 'segment', segment, hash } },
    ]);
    expect(disputes(state)).toMatchObject([{ rule: 'complaint', trainer: world.customer.signer.pubkey }]);
  });
});

function inexact(engine: Engine): Engine {
  return { ...engine, train: async (...args) => ({ ...(await engine.train(...args)), inexact: ['FFT'] }) };
}

function withoutPull(engine: Engine): Engine {
  return {
    ...engine,
    train: ({ hyper: { proximal: _, ...hyper }, ...request }, ...rest) => engine.train({ ...request, hyper }, ...rest),
  };
}

/** The last bits of each weight differ, as on another machine or after a shortcut. */
function rounding(engine: Engine): Engine {
  return {
    ...engine,
    train: async (request, onProgress, signal, onState) => {
      const coarse = (params: ParamSet): ParamSet =>
        params.map((tensor) => ({ ...tensor, data: tensor.data.map((value) => Math.fround(value * (1 + 2 ** -20))) }));
      const result = await engine.train(request, onProgress, signal, (state) =>
        onState?.({ ...state, tensors: coarse(state.tensors) }),
      );
      return { ...result, weights: coarse(result.weights) };
    },
  };
}
