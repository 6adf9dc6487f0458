import { expect, test } from 'vitest';
import { hex } from '../../src/hash.js';
import { explainPayout } from '../../src/market/explain.js';
import { drawSeats } from '../../src/market/stake-draw.js';
import { seatSeed } from '../../src/market/seat-draw.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { delegatedJob, serveDelegator } from '../../src/roles/delegator.js';
import type { JobFileInput } from '../../src/roles/job-file.js';
import { putStake } from '../../src/roles/stake.js';
import type { ValidatorOptions } from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';
import { stakedWorld } from '../support/staked-world.js';

const JOB = {
  ...{ validators: 3, validatorFeeSats: 10, validatorStakeSats: 2, bidWindow: '30s', award: 'deadline' },
  ...{ verification: 'spot', spotRate: 0, segments: 2, stakeInterval: '1m' },
} as const satisfies JobFileInput;

test('seats of a round are drawn by stake among who opened a nonce: the others owe no scores, who has no stake has no part', async () => {
  const market = await stakedWorld({ name: 'drawn', trainers: 2, rounds: 3, validators: 6, job: JOB });
  const { world, own, leading } = market;
  const poor = world.validators[2]!;
  const validators: Record<number, ValidatorOptions> = Object.fromEntries(
    world.validators.flatMap((who, i) =>
      who === poor ? [] : [[i, { adapt: (env) => ({ ...env, stake: own(who) }) } satisfies ValidatorOptions]],
    ),
  );
  const { state, scorers } = await world.run({
    customer: { adapt: leading, kill: (start) => (start < 3 ? { after: 9 + start, isKept: start !== 1 } : undefined) },
    validators,
  });
  expect(state).toMatchObject({ phase: 'finished', firstBad: null });
  expect(state.validators.map(({ validator }) => validator)).not.toContain(poor.signer.pubkey);
  expect(state.validators).toHaveLength(5);
  expect(scorers[2]).toMatchObject({ end: 'lost', why: 'the award does not name this validator' });
  const seeds = new Set<string>();
  for (const round of state.rounds) {
    const seed = seatSeed(state.jobId, round.draw!, round.drawNonces!);
    seeds.add(hex(seed));
    const stakes = new Map([...round.nonces.keys()].map((key) => [key, 2_000n] as const));
    expect(stakes.size).toBe(5);
    expect([...round.drawn!]).toEqual(drawSeats(seed, stakes, 3));
    expect(new Set(round.listedScoreReveals.keys())).toEqual(round.drawn);
    const paid = round.settlement!.content.plan.filter(({ purpose }) => purpose === 'fee');
    expect(new Set(paid.map(({ payee }) => payee))).toEqual(round.drawn);
    expect(round.verdict!.from).toBe('validators');
  }
  // Each round draws anew; that three draws of 3 of 5 are the same happens once in a hundred runs.
  expect(seeds.size).toBe(3);
  expect(state.validators.every(({ missed, isLost }) => missed === 0 && !isLost)).toBe(true);
  expect(await world.audit()).toMatchObject({ open: null, keyed: null });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
});

test('who stands behind a validator shares its fee by amount and time, claims it and is paid, to the msat', async () => {
  const job = { ...JOB, validators: 1 };
  const market = await stakedWorld({ name: 'behind', trainers: 2, spares: 1, rounds: 1, validators: 1, job });
  const { world, own, leading, stakeOf } = market;
  const [validator, delegator] = [world.validators[0]!, world.trainers[2]!];
  const operator = validator.signer.pubkey;
  const me = delegator.signer.pubkey;
  const { state } = await world.run({
    customer: {
      adapt: (env) => {
        const sign = (async (type, ...rest) => {
          // Three intervals pass before the round closes.
          if (type === 'close') await world.clock.wait(180_000);
          return env.book.sign(type, ...rest);
        }) as typeof env.book.sign;
        return { ...leading(env), book: { ...env.book, sign } };
      },
    },
    trainers: {
      2: {
        act: async (env) => {
          const wish = { amountMsat: 6_000n, operator, role: 'validator', sigmaPpm: 0, isMore: false } as const;
          await putStake(env.book, stakeOf(delegator), me, wish);
          const { paidMsat, why } = await serveDelegator(env, delegatedJob);
          expect(why).toBeNull();
          return { wasOver: false, end: 'done', rounds: 0, paidMsat };
        },
        kill: (start) => (start < 3 ? { after: start, isKept: start === 1 } : undefined),
      },
    },
    validators: { 0: { adapt: (env) => ({ ...env, stake: own(validator) }) } },
  });
  expect(state).toMatchObject({ phase: 'finished', firstBad: null });
  const { worked } = state.stakes;
  expect(worked.get(operator)).toEqual({ own: 6_000n, by: new Map([[me, 18_000n]]) });
  const lines = state.rounds[0]!.settlement!.content.plan.filter(({ purpose }) => purpose !== 'trainer');
  // sigma 0.4, own 2,000 and 6,000 behind it: 0.6 * 10,000 * 3/4.
  expect(lines.map(({ payee, amountMsat }) => [payee, amountMsat]).sort()).toEqual(
    [
      [operator, 5_500n],
      [me, 4_500n],
    ].sort(),
  );
  expect(lines.find(({ payee }) => payee === me)!.purpose).toBe(`delegation:${operator}`);
  expect(state.rounds[0]!.payouts.every(({ received }) => received !== null)).toBe(true);
  expect(world.lightning.balance(delegator.name)).toBe(1_000_004_500n);
  const { payout } = lines.find(({ payee }) => payee === me)!;
  const sum = explainPayout(state, payout)!.causes.reduce(
    (all, { adds }) => all + (adds !== null && 'msat' in adds ? adds.msat : 0n),
    0n,
  );
  expect(sum).toBe(4_500n);
  expect(await world.audit()).toMatchObject({ open: null, keyed: null });
  const keys = encodeAuditKeys(await world.allKeys());
  const second = secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec());
  expect(second).toEqual({ verdict: 'PASS', event: null, why: null });
});
