import { describe, expect, test } from 'vitest';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { describeTrainers } from '../../src/roles/describe-work.js';
import { createWorld, type TrainerOptions, type WorldOptions } from '../support/market-world.js';
import type { ParamSet } from '../../src/learning/types.js';
import { secondAudit } from '../support/second/audit.js';
import { rogueTrainer } from './rogue.js';

/** Fewer trainers than shards: each seat keeps its own update, commitment, residual, score, check and pay. */

const PASS = { open: null, keyed: null };
const PRICE = 21_000n;

const taking = (shards: number, priceMsat = PRICE): TrainerOptions => ({
  adapt: (env) => ({
    ...env,
    terms: { ...env.terms, priceMsat, shards, maxExposureMsat: priceMsat * BigInt(shards) },
  }),
});

/** A job of four shards, of which a trainer may take two. */
const worldOf = (name: string, { job, ...options }: WorldOptions = {}) =>
  createWorld({
    ...{ name, trainers: 4, rounds: 3, rows: 18, ...options },
    job: { shardsPerTrainer: 2, bidWindow: '30s', ...job },
  });

describe('two trainers on four shards', () => {
  test('train two each, are paid for each, and both audits and the second implementation agree', async () => {
    const world = await worldOf('two on four');
    const { state, ends } = await world.run({ trainers: { 0: taking(2), 1: taking(3), 2: 'absent', 3: 'absent' } });
    const [a, b] = world.trainers.map(({ signer }) => signer.pubkey);
    expect(state.phase).toBe('finished');
    expect(state.award!.content.winners.map(({ trainer }) => trainer)).toEqual([a, b, a, b]);
    for (const { close, payouts } of state.rounds) {
      expect(close!.content.accepted.map(({ shard, trainer }) => [shard, trainer])).toEqual([
        ...[[0, a], [1, b], [2, a], [3, b]], // prettier-ignore
      ]);
      expect(payouts.map(({ payee, amountMsat }) => [payee, amountMsat])).toEqual([
        [a, 2n * PRICE],
        [b, 2n * PRICE],
      ]);
    }
    expect(ends.slice(0, 2)).toMatchObject([
      { end: 'done', rounds: 3, paidMsat: 6n * PRICE },
      { end: 'done', rounds: 3, paidMsat: 6n * PRICE },
    ]);
    expect(state.artifact!.content.trainers).toEqual([
      { trainer: a, rounds: 3 },
      { trainer: b, rounds: 3 },
    ]);
    expect(describeTrainers(state).map(({ shard, rounds, paidMsat }) => [shard, rounds, paidMsat])).toEqual(
      [0, 1, 2, 3].map((shard) => [shard, 3, 3n * PRICE]),
    );
    expect(await world.audit()).toMatchObject(PASS);
    expect(await world.auditAll()).toMatchObject({ level: 'data', found: null });
    const keys = encodeAuditKeys(await world.allKeys());
    expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
      verdict: 'PASS',
    });
  });

  test('keep a residual for each shard, and each encoding repeats', async () => {
    const world = await worldOf('two residuals', {
      rail: 'none',
      job: { codec: 'topk', keep: 0.2, verification: 'spot', spotRate: 1, segments: 2 },
    });
    const { state } = await world.run({ trainers: { 0: taking(2, 0n), 1: taking(2, 0n), 2: 'absent', 3: 'absent' } });
    expect(state.phase).toBe('finished');
    for (const shard of [0, 1, 2, 3]) {
      const own = state.rounds.map(({ listedReveals }) => listedReveals.get(shard)!.content.residual!);
      expect(own.map(({ before }) => before)).toEqual([null, own[0]!.after, own[1]!.after]);
    }
    expect(await world.auditAll()).toMatchObject({ found: null });
  });

  test('a killed one goes on with every shard it has, and trains none twice', async () => {
    for (const after of [9, 12, 15]) {
      const world = await worldOf(`killed after ${after}`, { rounds: 1 });
      const { state } = await world.run({
        trainers: { 0: { ...taking(2), kill: { after, isKept: true } }, 1: taking(2), 2: 'absent', 3: 'absent' },
      });
      expect(state.phase).toBe('finished');
      expect(state.forks).toEqual([]);
      expect(state.rounds[0]!.close!.content.accepted).toHaveLength(4);
      expect(await world.audit()).toMatchObject(PASS);
    }
  });
});

test('a trainer too slow for a second shard still reveals the first, and another’s free capacity takes the second', async () => {
  const world = await worldOf('one of two', {
    ...{ trainers: 3, rounds: 2, rail: 'none' },
    job: { shardsPerTrainer: 2, quorum: 2, roundTimeout: '5m' },
  });
  const broken: TrainerOptions = {
    adapt: (env) => ({
      ...taking(2, 0n).adapt!(env),
      engine: async () => {
        const engine = await env.engine();
        return {
          ...engine,
          train: async (request, onProgress, signal, onState) => {
            if (env.shard.opened?.shard === 2) await env.clock.wait(900_000, signal);
            return engine.train(request, onProgress, signal, onState);
          },
        };
      },
    }),
  };
  const { state } = await world.run({ trainers: { 0: broken, 1: taking(2, 0n), 2: 'absent' } });
  const [a, b] = world.trainers.map(({ signer }) => signer.pubkey);
  expect(state.rounds[0]!.assigned.map(({ trainer }) => trainer)).toEqual([a, b, a]);
  expect(state.rounds[0]!.close!.content.rejected).toMatchObject([{ shard: 2, trainer: a, rule: 'absent' }]);
  expect(state.rounds[1]!.assigned.map(({ trainer }) => trainer)).toEqual([a, b, b]);
  expect(state.phase).toBe('finished');
  expect(await world.audit()).toMatchObject(PASS);
});

test('who loses its seat is offered no other: the next trainer with free capacity takes over', async () => {
  const world = await worldOf('gone', {
    ...{ trainers: 2, rounds: 2, rail: 'none' },
    job: { shardsPerTrainer: 2, quorum: 1, roundTimeout: '5m' },
  });
  const [a, b] = world.trainers.map(({ signer }) => signer.pubkey);
  const dying: TrainerOptions = { ...taking(2, 0n), kill: { after: 3, isKept: true }, restart: false };
  const { state } = await world.run({ trainers: { 0: dying, 1: taking(2, 0n) } });
  expect(state.rounds[0]!.assigned.map(({ trainer }) => trainer)).toContain(a);
  expect(state.rounds[1]!.assigned.map(({ trainer }) => trainer)).toEqual([b, b]);
  expect(state.phase).toBe('finished');
});

test('one forged update ends all seats of its key: none of its updates counts, and free capacity takes what it can', async () => {
  const world = await worldOf('forger', {
    ...{ trainers: 3, rounds: 2, rail: 'none' },
    job: { shardsPerTrainer: 2, quorum: 1, verification: 'spot', spotRate: 1, segments: 1 },
  });
  const forger: TrainerOptions = {
    ...taking(2, 0n),
    act: rogueTrainer(async ({ shard, base, trainFrom }) =>
      shard === 2 ? { bytes: await trainFrom(moved(base)) } : {},
    ),
  };
  const { state } = await world.run({ trainers: { 0: forger, 1: taking(2, 0n), 2: 'absent' } });
  const [a, b] = world.trainers.map(({ signer }) => signer.pubkey);
  expect(state.rounds[0]!.close!.content.rejected).toMatchObject([
    { shard: 0, trainer: a, rule: 'spot-check' },
    { shard: 2, trainer: a, rule: 'spot-check' },
  ]);
  expect(state.frauds.get(a!)!.content.shard).toBe(2);
  expect(state.rounds[1]!.assigned.map(({ shard, trainer }) => [shard, trainer])).toEqual([
    [0, b],
    [1, b],
  ]);
  expect(await world.auditAll()).toMatchObject({ found: null });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
});

const moved = (params: ParamSet): ParamSet =>
  params.map((tensor) => ({ ...tensor, data: tensor.data.map((x) => x + 0.01) }));
