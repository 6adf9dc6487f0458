import { describe, expect, it } from 'vitest';
import { owedMsat, paidMsat } from '../../src/market/state.js';
import type { Engine } from '../../src/ports.js';
import { expectOneChainEach } from './kills.js';
import {
  createWorld,
  type CustomerOptions,
  type RunOptions,
  type TrainerOptions,
  type ValidatorOptions,
  type World,
  type WorldOptions,
} from '../support/market-world.js';
import { LIE, lying, unwilling } from './lying-customer.js';

const world = (name: string, options: WorldOptions = {}) =>
  createWorld({
    ...{ name, trainers: 3, validators: 3, rounds: 2 },
    ...options,
    job: { quorum: 2, award: 'deadline', validators: 3, ...options.job },
  });

describe('a customer that calls honest work forged', () => {
  it('is shown wrong by a drawn validator: the round is owed to the trainer, and what was settled before as well', async () => {
    const market = await world('a false fraud');
    const victim = market.trainers[1]!.signer.pubkey;
    const before = market.totalMsat();
    const { state, ends, customer } = await market.run({ customer: lying(market, victim) });
    if (customer instanceof Error) throw customer;
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.frauds.get(victim)!.content.repeated).toBe(LIE);
    const [dispute] = state.disputes;
    expect(dispute).toMatchObject({ outcome: 'trainer', owedMsat: 21_000n, liars: [] });
    expect(dispute!.order).toHaveLength(3);
    // The customer appeals twice.
    expect(dispute!.verdicts.map(({ author }) => author)).toEqual(dispute!.order);
    expect(ends[1]).toMatchObject({ end: 'lost', why: expect.stringContaining('the proof is false') as string });
    expect(market.trainers[1]!.said.filter((line) => /^(accused|decided) /.test(line))).toEqual([
      expect.stringContaining('"segment"'),
      expect.stringContaining('"right":"trainer"'),
    ]);
    for (const { said } of market.validators) expect(said).toEqual(expect.arrayContaining(['drawn', 'verdict']));
    // Its loop keeps the rules all the same: it settles and pays what validators found to be owed.
    expect([paidMsat(state, victim), owedMsat(state, victim)]).toEqual([21_000n, 0n]);
    expect(market.totalMsat()).toBe(before);
    const { found, disputes: said } = await market.auditAll({ upTo: 'public' });
    expect(found).toBeNull();
    expect(said.find(({ rule }) => rule === 'segment')!.detail).toContain('21000 msat of the round are settled');
  });

  it('is exposed by the audit where it does not settle what is owed', async () => {
    const market = await world('a stubborn customer', { rounds: 1 });
    const victim = market.trainers[1]!.signer.pubkey;
    const stubborn = unwilling(lying(market, victim));
    const { state, ends } = await market.run({ customer: stubborn });
    expect(state.disputes[0]).toMatchObject({ outcome: 'trainer', owedMsat: 21_000n, isSettled: false });
    expect(owedMsat(state, victim)).toBe(21_000n);
    expect(ends[1]).toMatchObject({
      end: 'lost',
      why: expect.stringContaining('21 sat of the round are owed') as string,
    });
    const { found } = await market.auditAll({ upTo: 'public' });
    expect(found).toMatchObject({ event: state.frauds.get(victim)!.id, rule: 'fraud' });
  });
});

/** Trains with smaller steps than agreed: what it repeats is what it committed to. */
const small = (engine: Engine): Engine => ({
  ...engine,
  train: ({ hyper, ...request }, ...rest) =>
    engine.train({ ...request, hyper: { ...hyper, learningRate: hyper.learningRate * 0.75 } }, ...rest),
});
const shortcut: TrainerOptions = { adapt: (env) => ({ ...env, engine: async () => small(await env.engine()) }) };

describe('a trainer that did not train as it says', () => {
  it('gains nothing by a complaint: a drawn validator says so, too', async () => {
    const market = await world('a true fraud');
    const { state, ends } = await market.run({ trainers: { 1: shortcut } });
    const cheat = market.trainers[1]!.signer.pubkey;
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.disputes[0]).toMatchObject({ outcome: 'customer', owedMsat: 0n });
    expect(state.disputes[0]!.verdicts[0]!.content.hash).toBe(state.frauds.get(cheat)!.content.repeated);
    expect(ends[1]).toMatchObject({ end: 'lost', why: expect.stringContaining('say so too') as string });
    expect(owedMsat(state, cheat)).toBe(0n);
    expect((await market.auditAll()).found).toBeNull();
  });
});

describe('a whole training that a customer says it repeated', () => {
  it('is repeated by validators in the one segment where it leaves the committed one', async () => {
    const market = await world('a whole run', { rounds: 1 });
    const victim = market.trainers[1]!.signer.pubkey;
    const at = 3;
    const liar = lying(market, victim, at);
    const steps: unknown[] = [];
    const counting: ValidatorOptions = {
      adapt: (env) => ({
        ...env,
        engine: async () => {
          const engine = await env.engine();
          const train: Engine['train'] = (request, ...rest) => {
            steps.push([request.from?.step, request.toStep]);
            return engine.train(request, ...rest);
          };
          return { ...engine, train };
        },
      }),
    };
    const { state } = await market.run({
      customer: {
        ...liar,
        adapt: (env) => {
          const { files, ...own } = liar.adapt!(env);
          const read: typeof files.read = async (name) => {
            if (!name.startsWith('ends-')) return files.read(name);
            const reveal = env.book.state().rounds[0]!.listedReveals.get(1)!;
            return Buffer.from(JSON.stringify([...reveal.content.checkpoints.slice(0, at), LIE, LIE]));
          };
          return { ...own, files: { ...files, read } };
        },
      },
      validators: { 0: counting, 1: counting, 2: counting },
    });
    expect(state.firstBad).toBeNull();
    expect(state.frauds.get(victim)!.content).toMatchObject({ segment: at, repeated: LIE });
    expect(state.frauds.get(victim)!.content.ends).toHaveLength(at + 2);
    expect(state.disputes[0]).toMatchObject({ outcome: 'trainer', owedMsat: 21_000n });
    const { everySteps } = market.terms.spot!;
    expect(steps).toEqual(Array(3).fill([at * everySteps, (at + 1) * everySteps]));
  });
});

describe('a drawn validator that lies', () => {
  it('is contradicted by those that the trainer has asked next, and named', async () => {
    const market = await world('a lying judge', { rounds: 1 });
    const victim = market.trainers[1]!.signer.pubkey;
    /** Whoever comes first. */
    const liar: ValidatorOptions = {
      adapt: (env) => ({
        ...env,
        engine: async () => {
          const isFirst = env.book.state().disputes[0]?.order?.[0] === env.signer.pubkey;
          const engine = await env.engine();
          return isFirst ? small(engine) : engine;
        },
      }),
    };
    const { state } = await market.run({
      customer: lying(market, victim),
      validators: { 0: liar, 1: liar, 2: liar },
    });
    const [dispute] = state.disputes;
    const [first] = dispute!.order!;
    expect(dispute).toMatchObject({ outcome: 'trainer', owedMsat: 21_000n, liars: [first] });
    expect(dispute!.verdicts).toHaveLength(3);
    const { disputes: said } = await market.auditAll({ upTo: 'public' });
    expect(said.find(({ rule }) => rule === 'segment')!.detail).toContain(`${first} says otherwise`);
  });
});

describe('a job without a validator on its engine', () => {
  it('says aloud that nobody can repeat the segment, and leaves it at the word of the customer', async () => {
    const market = await world('another engine');
    const victim = market.trainers[1]!.signer.pubkey;
    const elsewhere: ValidatorOptions = {
      adapt: (env) => ({
        ...env,
        engine: async () => ({ ...(await env.engine()), id: 'cpu/99999999/stub/x64' as never }),
      }),
    };
    const validators = { 0: elsewhere, 1: elsewhere, 2: elsewhere };
    const { state, ends } = await market.run({ customer: lying(market, victim), validators });
    expect(state.disputes[0]).toMatchObject({ order: [], outcome: 'nobody', owedMsat: 0n });
    expect(ends[1]).toMatchObject({
      why: expect.stringContaining('no validator on the engine can repeat it') as string,
    });
    const open = await market.auditAll({ upTo: 'public' });
    expect(open.found).toBeNull();
    const [said] = open.disputes.filter(({ rule }) => rule === 'segment');
    expect(said).toMatchObject({ trainer: victim, detail: expect.stringContaining('nobody repeats it') as string });
    // Who has the data sees it all the same.
    const { found } = await market.auditAll();
    expect(found).toMatchObject({ rule: 'spot-check', detail: expect.stringContaining('falsely') as string });
  });
});

describe('kill -9', () => {
  const seed = 'a killed judge';
  async function run(options: (world: World) => RunOptions) {
    const market = await world(seed, { rounds: 1 });
    const victim = market.trainers[1]!.signer.pubkey;
    const more = options(market);
    const customer = { ...lying(market, victim), ...(more.customer as CustomerOptions | undefined) };
    const { state, ends } = await market.run({ ...more, customer });
    return { market, state, ends };
  }
  async function expectSame(options: (world: World) => RunOptions, label: string) {
    const { market, state, ends } = await run(options);
    expect(state.disputes, label).toMatchObject([{ outcome: 'trainer', owedMsat: 21_000n, liars: [] }]);
    expect(ends[1], label).toMatchObject({ end: 'lost' });
    expect(state.firstBad, label).toBeNull();
    expectOneChainEach(market);
  }

  it('of the judge, the accused or the customer in the middle of a dispute changes nothing', async () => {
    const counts = { judge: 0, accused: 0, customer: 0 };
    await run(() => ({
      customer: { onWrite: (count) => (counts.customer = count) },
      trainers: { 1: { onWrite: (count) => (counts.accused = count) } },
      validators: { 0: { onWrite: (count) => (counts.judge = count) } },
    }));
    // Each of the three repeats the segment.
    const last = (count: number) => [4, 3, 2, 1].map((back) => count - back).filter((after) => after >= 0);
    for (const after of last(counts.judge))
      await expectSame(() => ({ validators: { 0: { kill: { after, isKept: after % 2 === 1 } } } }), `judge ${after}`);
    for (const after of last(counts.accused))
      await expectSame(() => ({ trainers: { 1: { kill: { after, isKept: after % 2 === 0 } } } }), `accused ${after}`);
    for (const after of last(counts.customer))
      await expectSame(() => ({ customer: { kill: { after, isKept: after % 2 === 0 } } }), `customer ${after}`);
  }, 90_000);
});
