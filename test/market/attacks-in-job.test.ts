import { expect, it } from 'vitest';
import { attacksOnJob, type AttackedJob } from '../../src/market/attacks/in-job.js';

const JOB: AttackedJob = {
  ...{ rounds: 2, priceSat: 100, costSat: 40, segments: 4, rate: 1, stakeSat: 0 },
  ...{ validators: 1, feeSat: 10, validatorStakeSat: 0, hasLeastWork: false, isForKnown: false },
};
const SEEDS = 10;
const of = (name: string, changes: Partial<AttackedJob> = {}) =>
  attacksOnJob({ ...JOB, ...changes }, SEEDS).filter(({ attack }) => attack === name);

it('says from which audit rate and stake on lazy work gains nothing', () => {
  // As agreed 120. Half of the work: 60 - 20 + (1 - 1/2 rate) 100, so 20 more without checks, and none from a rate of 40 % on.
  const half = (changes: Partial<AttackedJob> = {}) => of('lazy work', changes)[1]!;
  expect(half()).toMatchObject({ honestSat: 120, attackSat: 90, pays: false });
  expect(half({ rate: 0 })).toMatchObject({ attackSat: 140, measuredSat: 140, pays: true });
  expect(half({ rate: 0.39 }).pays).toBe(true);
  expect(half({ rate: 0.41 }).pays).toBe(false);
  // At 20 % it is found out in 10 of 100 cases, and gains 10 sat: a stake of 100.
  expect(half({ rate: 0.2 }).breakEven).toBe('audit rate 40.00 %, or a stake of 100.0 sat');
  expect(half({ rate: 0.2, stakeSat: 101 }).pays).toBe(false);
  // A quarter of it passes the work floor in 38.3 % of the cases where the job asks for a share of the others' work.
  const [quarter] = of('lazy work', { rate: 0, hasLeastWork: true });
  expect(quarter).toMatchObject({ attackSat: 60 - 10 + 38.3, pays: false, breakEven: 'the work floor is enough' });
});

it('weighs what liars among the validators gain against their fees', () => {
  // One seat, 10 % of the time theirs: a friend saves 80 sat.
  expect(of('collusion')[0]!).toMatchObject({ attackSat: 8, pays: true });
  // Of three seats two decide: 3 x 0.01 x 0.9 + 0.001 of the draws; in 3 x 0.1 x 0.81 a single liar loses two fees.
  const [tenth] = of('collusion', { validators: 3 });
  expect(tenth!.attackSat).toBeCloseTo(0.028 * 80 - 0.243 * 20, 9);
  expect(tenth!.pays).toBe(false);
  expect(of('collusion', { validators: 3, feeSat: 0 })[0]!.breakEven).toBe('a fee or a stake: liars risk nothing');
  // A stake of 100 sat on top: a single liar loses 120.
  const staked = of('collusion', { validators: 3, validatorStakeSat: 100 })[0]!;
  expect(staked.attackSat).toBeCloseTo(0.028 * 80 - 0.243 * 120, 9);
});

it('own keys have every seat for nothing, but where seats go by stake', () => {
  expect(of('Sybil validators')).toMatchObject([{ attackSat: 80, pays: true }]);
  expect(of('Sybil validators', { validatorStakeSat: 500 })).toMatchObject([{ attackSat: 0, pays: false }]);
});

it('a new key gives up its rank, or its seat', () => {
  // Twice the price counts, against 12/11 of it: 54.5 of 100 sat for work of 40.
  expect(of('whitewashing')[0]!.attackSat).toBeCloseTo(2 * ((100 * 12) / 22 - 40), 3);
  expect(of('whitewashing', { isForKnown: true })).toMatchObject([{ attackSat: 0, pays: false }]);
});

it('a job without validators has no attacks of validators', () => {
  const names = attacksOnJob({ ...JOB, validators: 0 }, SEEDS).map(({ attack }) => attack);
  expect(names).toEqual(['lazy work', 'lazy work', 'idling, copying', 'whitewashing', 'Sybil customer']);
});
