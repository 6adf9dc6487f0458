import { describe, expect, it } from 'vitest';
import { paidMsat } from '../../src/market/state.js';
import { describeValidators, scoredBy } from '../../src/roles/describe-validators.js';
import { createWorld, type Kill, type ValidatorOptions, type WorldOptions } from '../support/market-world.js';
import { expectOneChainEach } from './kills.js';
import { madeUpStates, rogueTrainer } from './rogue.js';

const FEE = { validators: 3, validatorFeeSats: 5 };
const world = (name: string, options: WorldOptions = {}) =>
  createWorld({ name, validators: 3, ...options, job: { ...FEE, ...options.job } });

/** Says that each loss is twice what it measured. */
const liar: ValidatorOptions = {
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

describe('a job with three validators', () => {
  it('is accepted by their median, pays each its fee, and passes the audit', async () => {
    const market = await world('validators');
    const before = market.totalMsat();
    const { state, customer, ends, scorers } = await market.run();
    expect(customer).not.toBeInstanceOf(Error);
    expect(state).toMatchObject({ phase: 'finished', firstBad: null, missing: [] });
    expect(state.rounds.map((round) => scoredBy(state, round))).toEqual(['validators', 'validators']);
    expect(state.rounds.map(({ drawNonces }) => drawNonces!.length)).toEqual([3, 3]);
    expect(ends.map((end) => (end as { end: string }).end)).toEqual(['done', 'done']);
    expect(scorers).toEqual(Array(3).fill({ wasOver: false, end: 'done', rounds: 2, paidMsat: 10_000n }));
    for (const { signer } of market.validators) expect(paidMsat(state, signer.pubkey)).toBe(10_000n);
    for (const { signer } of market.trainers) expect(paidMsat(state, signer.pubkey)).toBe(42_000n);
    expect(market.totalMsat()).toBe(before);
    const { found, level, validators } = await market.auditAll();
    expect({ found, level }).toEqual({ found: null, level: 'data' });
    expect(validators).toMatchObject(Array(3).fill({ rounds: 2, absent: [], apart: [], contradicted: [] }));
  });

  it('proves a false score of one by two on its engine: it is not paid, has no seat, and the audit names it', async () => {
    const market = await world('a lying validator');
    const { state, scorers } = await market.run({ validators: { 1: liar } });
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    const [, { signer: it }] = market.validators as [unknown, (typeof market.validators)[0]];
    expect(state.validatorFrauds.get(it.pubkey)!.content).toMatchObject({ round: 0, shard: 0, field: 'ownBeforePpm' });
    expect(state.rounds.map(({ validators }) => validators.length)).toEqual([3, 2]);
    expect(scorers[1]).toMatchObject({ end: 'lost' });
    expect(market.validators.map(({ signer }) => paidMsat(state, signer.pubkey))).toEqual([10_000n, 0n, 10_000n]);
    expect(state.rounds.map(({ close }) => close!.content.rejected)).toEqual([[], []]);
    const { found, validators } = await market.auditAll();
    expect(found).toBeNull();
    expect(validators!.map(({ apart, contradicted }) => [apart, contradicted!.length])).toEqual([
      [[], 0],
      [[0], 2],
      [[], 0],
    ]);
    // Both honest ones say so, and the liar of both.
    const { disputes } = await market.auditAll({ upTo: 'public' });
    const about = (trainer: string) => disputes.filter((one) => one.rule === 'complaint' && one.trainer === trainer);
    expect(about(it.pubkey).map(({ detail }) => detail.includes('as 2 do'))).toEqual([true, true]);
  });

  it('goes on without one that is absent after registering, which loses its seat after three rounds', async () => {
    const market = await world('an absent validator', {
      rounds: 4,
      job: { revealTimeout: '20s', roundTimeout: '60s' },
    });
    const silent: ValidatorOptions = {
      act: async (env) => {
        await env.book.sign('register', {
          ...{ engine: market.engine.id, nonceCommitment: 'ab'.repeat(32) as never, expires: market.terms.deadline },
        });
        return { wasOver: false, end: 'lost', why: 'absent' };
      },
    };
    const { state } = await market.run({ validators: { 0: silent } });
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.rounds.map((round) => [scoredBy(state, round), round.validators.length])).toEqual([
      ...[0, 1, 2].map(() => ['validators', 3]),
      ['validators', 2],
    ]);
    expect(describeValidators(state)[0]).toMatchObject({ seat: 'lost', absent: [0, 1, 2], paidMsat: 0n });
    expect((await market.auditAll()).found).toBeNull();
  });

  it('falls back to the customer’s own scores where too few reveal', async () => {
    const market = await world('a fallback', { job: { revealTimeout: '20s', roundTimeout: '60s' } });
    const { state, scorers } = await market.run({ validators: { 0: 'absent', 2: 'absent' } });
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.rounds.map((round) => scoredBy(state, round))).toEqual(['fallback', 'fallback']);
    expect(scorers[1]).toMatchObject({ end: 'done', rounds: 0, paidMsat: 0n });
    expect((await market.auditAll()).found).toBeNull();
  });

  it('rejects a forged training by what most of them repeated, and proves the fraud', async () => {
    const market = await world('a forger', { trainers: 3, rounds: 1, job: { quorum: 2 } });
    const { state } = await market.run({ trainers: { 0: { act: rogueTrainer(madeUpStates) } } });
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.rounds[0]!.close!.content.rejected.map(({ rule }) => rule)).toEqual(['spot-check']);
    expect([...state.frauds.keys()]).toEqual([market.trainers[0]!.signer.pubkey]);
    expect(state.rounds[0]!.verdict!.from).toBe('validators');
    expect((await market.auditAll()).found).toBeNull();
  });
});

describe('kill -9', () => {
  it('of a validator at any durable write changes nothing', async () => {
    let writes = 0;
    const quiet = await world('killed validators', { rounds: 1 });
    const before = (await quiet.run({ validators: { 0: { onWrite: (count) => (writes = count) } } })).state;
    expect(writes).toBeGreaterThan(8);
    for (let after = 0; after < writes; after++)
      for (const isKept of after % 2 === 0 ? [true] : [false]) {
        const kill: Kill = { after, isKept };
        const market = await world('killed validators', { rounds: 1 });
        const { state, scorers } = await market.run({ validators: { 0: { kill } } });
        const label = `killed at write ${after}, ${isKept ? 'kept' : 'lost'}`;
        expect(scorers, label).toMatchObject(Array(3).fill({ end: 'done', rounds: 1, paidMsat: 5_000n }));
        expect(state.artifact?.content.weights.sha256, label).toBe(before.artifact!.content.weights.sha256);
        expectOneChainEach(market);
      }
  }, 60_000);

  it('of the customer while validators score changes nothing', async () => {
    const wanted = (await (await world('killed customer', { rounds: 1 })).run()).state.artifact!.content.weights.sha256;
    for (let after = 4; after < 24; after += 3) {
      const market = await world('killed customer', { rounds: 1 });
      const { state, scorers } = await market.run({ customer: { kill: { after, isKept: true } } });
      expect(state.artifact?.content.weights.sha256, `after ${after}`).toBe(wanted);
      expect(scorers, `after ${after}`).toMatchObject(Array(3).fill({ end: 'done', rounds: 1, paidMsat: 5_000n }));
      expectOneChainEach(market);
    }
  }, 60_000);
});

it('a fee below the payout floor is refused before the job is posted: nothing of a round may be too small to be paid', async () => {
  const of = (payoutFloorSats: number) =>
    createWorld({ name: 'floor', validators: 3, job: { ...FEE, payoutFloorSats } });
  await expect(of(6)).rejects.toMatchObject({ code: 'bad-job', got: '5 sat', remedy: '--validator-fee-sats 6' });
  expect((await of(5)).terms.payoutFloorMsat).toBe(5_000n);
});
