import { describe, expect, it } from 'vitest';
import { createPayer } from '../../src/commands/payer.js';
import { sha256 } from '../../src/hash.js';
import { rowsOf } from '../../src/market/stake.js';
import { hasSpotChecks, parseJobFile, type JobFileInput } from '../../src/roles/job-file.js';
import type { Attack } from '../../src/simulate/attacks.js';
import { simulateMarket, type SimulatedMarket } from '../../src/simulate/market.js';
import { memoryJournal } from '../../src/simulate/memory-journal.js';
import { reportOf } from '../../src/simulate/report.js';
import { stubEngine } from '../../src/simulate/stub-engine.js';
import { splitDataset } from '../../src/training/split.js';
import { TINY_SCHEMA, tinyExamples } from '../support/market-world.js';

/** Markets of seconds in memory: who is paid for what. */

interface Options {
  readonly seats?: number;
  readonly spares?: number;
  readonly attackers?: readonly (readonly [Attack, number])[];
  readonly job?: JobFileInput;
  readonly seed?: string;
}

async function market({
  seats = 4,
  spares = 0,
  attackers = [],
  job = {},
  seed = 'a',
}: Options): Promise<SimulatedMarket> {
  const file = parseJobFile(
    {
      ...{ model: 'logreg', rounds: 2, trainers: seats, maxPriceSats: 10, acceptedEngines: 'cpu', quorum: 1 },
      ...{ epochs: 8, batch: 4, learningRate: 0.2, optimizer: 'sgd', aggregation: 'fedavg', codec: 'f32' },
      ...job,
    },
    'the test',
  );
  return simulateMarket({
    job: file,
    schema: TINY_SCHEMA,
    split: splitDataset(tinyExamples(seats * 12 + 60), { shards: seats, seed: sha256('split') }),
    ...{ spares, attackers: new Map(attackers), seed: sha256(seed), engine: stubEngine() },
    hasSpotChecks: hasSpotChecks(file),
    signal: new AbortController().signal,
    payer: ({ wallet, clock, budgetMsat }) =>
      createPayer({ wallet, clock, network: 'sandbox', jobBudgetMsat: budgetMsat, journal: memoryJournal() }),
  });
}

describe('a simulated market', () => {
  it('pays every accepted update once, and wallets hold what the receipts say', async () => {
    const made = await market({});
    const { rounds, classes, total } = await reportOf(made);
    expect(made.state.phase).toBe('finished');
    expect(rounds.map(({ accepted, paidSats }) => [accepted, paidSats])).toEqual([
      [4, 40],
      [4, 40],
    ]);
    expect(classes).toEqual([
      { class: 'honest', trainers: 4, seated: 4, accepted: 8, rejected: {}, barred: 0, paidSats: 80 },
    ]);
    expect(total.paidSats).toBe(80);
    expect([...made.receivedMsat.values()]).toEqual([20_000n, 20_000n, 20_000n, 20_000n]);
  });

  it('has the validators of the job score and be paid, and gives equal events again', async () => {
    const job = { validators: 3, validatorFeeSats: 2, spotRate: 1, segments: 1 };
    const made = await market({ job, attackers: [['scale', 1]] });
    const { rounds, classes, validators } = await reportOf(made);
    // Two rounds: each of three sheets counts, at 2 sat.
    expect(validators).toEqual({ validators: 3, seated: 3, scored: 6, fallbacks: 0, barred: 0, paidSats: 12 });
    expect(made.state.rounds.map(({ verdict }) => verdict?.from)).toEqual(['validators', 'validators']);
    expect(rounds.map(({ honestPaidSats, attackerPaidSats }) => [honestPaidSats, attackerPaidSats])).toEqual([
      [30, 0],
      [30, 0],
    ]);
    expect(rounds.map(({ paidSats }) => paidSats)).toEqual([36, 36]);
    expect(classes.map(({ class: name, paidSats }) => [name, paidSats])).toEqual([
      ['honest', 60],
      ['scale', 0],
    ]);
    const again = await market({ job, attackers: [['scale', 1]] });
    expect([again.state.artifact!.id, again.state.modelHash]).toEqual([made.state.artifact!.id, made.state.modelHash]);
  });

  it('has everybody lock the stake that the job asks for', async () => {
    const job = {
      trainerStakeSats: 5,
      keyRelease: 'staked',
      validators: 2,
      validatorStakeSats: 7,
      spotRate: 1,
    } as const;
    const { state, trainers, validators } = await market({ job });
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    const rows = rowsOf(state.stakes).map(({ role, ownMsat }) => `${role} ${ownMsat}`);
    expect(rows.sort()).toEqual([...trainers.map(() => 'trainer 5000'), ...validators.map(() => 'validator 7000')]);
    expect(state.rounds.map(({ verdict }) => verdict?.from)).toEqual(['validators', 'validators']);
  });

  it('gives equal events for equal seeds, and others for others', async () => {
    const ids = async (seed: string) => {
      const { state } = await market({ attackers: [['alie', 1]], seed });
      return [state.jobId, state.artifact!.id, state.modelHash];
    };
    expect(await ids('a')).toEqual(await ids('a'));
    expect((await ids('b'))[2]).not.toBe((await ids('a'))[2]);
  });

  it.each(['signflip', 'scale', 'noise', 'label-flip', 'one-step', 'copy-noise', 'alie', 'ipm'] as const)(
    'proves the forgery of %s where segments are repeated, and bars it',
    async (attack) => {
      const made = await market({ attackers: [[attack, 1]], job: { spotRate: 1, segments: 1, rounds: 2 } });
      const { classes } = await reportOf(made);
      const caught = classes.find((row) => row.class === attack)!;
      expect(caught.paidSats, JSON.stringify(caught)).toBe(0);
      expect(classes[0]).toMatchObject({ class: 'honest', accepted: 6, paidSats: 60 });
    },
  );

  it('refuses who sends the base back, and pays who replays for the round in which it trained', async () => {
    const made = await market({
      attackers: [
        ['zero', 1],
        ['replay', 1],
      ],
      job: { spotRate: 1, segments: 1, rounds: 3, maxHolders: 3 },
    });
    const { classes } = await reportOf(made);
    expect(classes.find((row) => row.class === 'zero')).toMatchObject({ paidSats: 0, rejected: { unchanged: 3 } });
    expect(classes.find((row) => row.class === 'replay')).toMatchObject({ paidSats: 10, barred: 1 });
  });

  it('pays a small attack that no rule of the job looks for: the report says so', async () => {
    const made = await market({ seats: 6, attackers: [['copy-noise', 1]], job: { verification: 'floor' } });
    const { classes } = await reportOf(made);
    const copies = classes.find((row) => row.class === 'copy-noise')!;
    expect(copies.accepted + Object.values(copies.rejected).reduce((sum, count) => sum + count, 0)).toBe(2);
  });

  it('lets a spare take the seat of a forger', async () => {
    const made = await market({
      spares: 2,
      attackers: [['signflip', 2]],
      job: { spotRate: 1, segments: 1, rounds: 3, maxHolders: 3 },
    });
    const { rounds, classes } = await reportOf(made);
    const forgers = classes.find((row) => row.class === 'signflip')!;
    expect(forgers.paidSats).toBe(0);
    expect(rounds.at(-1)!.accepted).toBe(4);
    expect(classes[0]!.seated).toBe(4);
  });
});
