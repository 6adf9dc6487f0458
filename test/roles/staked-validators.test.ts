import { expect, test } from 'vitest';
import { drawSeats } from '../../src/market/stake-draw.js';
import { seatSeed } from '../../src/market/seat-draw.js';
import type { JobFileInput } from '../../src/roles/job-file.js';
import type { ValidatorOptions } from '../support/market-world.js';
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
  for (const round of state.rounds) {
    const seed = seatSeed(state.jobId, round.draw!, round.drawNonces!);
    const stakes = new Map([...round.nonces.keys()].map((key) => [key, 2_000n] as const));
    expect(stakes.size).toBe(5);
    expect([...round.drawn!]).toEqual(drawSeats(seed, stakes, 3));
    expect(new Set(round.listedScoreReveals.keys())).toEqual(round.drawn);
    const paid = round.settlement!.content.plan.filter(({ purpose }) => purpose === 'fee');
    expect(new Set(paid.map(({ payee }) => payee))).toEqual(round.drawn);
    expect(round.verdict!.from).toBe('validators');
  }
  expect(new Set(state.rounds.map(({ drawn }) => [...drawn!].sort().join())).size).toBeGreaterThan(1);
  expect(state.validators.every(({ missed, isLost }) => missed === 0 && !isLost)).toBe(true);
  expect(await world.audit()).toMatchObject({ open: null, keyed: null });
});
