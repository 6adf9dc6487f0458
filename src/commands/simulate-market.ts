import { writeFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { NmktError } from '../errors.js';
import { DEFAULT_SEEDS, MARKET_ATTACKS } from '../market/attacks/all.js';
import { attacksOnJob, type AttackedJob } from '../market/attacks/in-job.js';
import { inUnit, percent, type AttackRow } from '../market/attacks/row.js';
import { hasSpotChecks, type JobFile } from '../roles/job-file.js';
import { table } from '../terminal/table.js';
import type { Context, Outcome } from './command.js';
import { optionalInteger } from './customer-ports.js';

type Options = Readonly<Record<string, unknown>>;

const MIN_SEEDS = 10;
const MAX_SEEDS = 100_000;

interface MarketFlags {
  readonly seeds: number;
  readonly csv: string | null;
  /** Of a round's work, to a trainer; absent: so much of the job's price. */
  readonly costSats: number | undefined;
  readonly stakeSats: number | undefined;
}
/** As in the tables of docs/market.md: 12 of 21 sat. */
const COST_OF_PRICE = 4 / 7;
const MAX_SATS = 21e14;

/** Flags of a market's rules without a job that runs; null: the other simulation is asked for. @throws NmktError `bad-usage` */
export function marketFlags(options: Options): MarketFlags | null {
  const seeds = optionalInteger(options['seeds'], '--seeds', MIN_SEEDS, MAX_SEEDS);
  const csv = (options['csv'] as string | undefined) ?? null;
  const costSats = optionalInteger(options['costSats'], '--cost-sats', 0, MAX_SATS);
  const stakeSats = optionalInteger(options['stakeSats'], '--stake-sats', 0, MAX_SATS);
  if (options['market'] === true) {
    const other = RUN_ONLY.find((name) => options[name] !== undefined);
    if (other === undefined) return { seeds: seeds ?? DEFAULT_SEEDS, csv, costSats, stakeSats };
    throw new NmktError('bad-usage', `--${other} is of a job that runs`, {
      expected: 'with --market: a job file, --seeds and --csv',
      got: `--market and --${other}`,
      remedy: `leave out --market or --${other}`,
    });
  }
  const [mine, flag] = OF_MARKET.find(([name]) => options[name] !== undefined) ?? [];
  if (mine === undefined) return null;
  throw new NmktError('bad-usage', `${flag} belongs to --market`, {
    expected: `--market beside ${flag}`,
    got: 'no --market',
    remedy: `nmkt simulate --market ${flag} ${mine === 'csv' ? 'attacks.csv' : DEFAULT_SEEDS}`,
  });
}

const OF_MARKET = [
  ['seeds', '--seeds'],
  ['csv', '--csv'],
  ['costSats', '--cost-sats'],
  ['stakeSats', '--stake-sats'],
] as const;

const RUN_ONLY = ['trainers', 'seats', 'attack', 'training', 'data', 'partition', 'seed', 'out'];

/** Plays attacks against the rules of the market; nobody trains. */
export async function simulateAttacks({ seeds, csv }: MarketFlags, { progress, signal }: Context): Promise<Outcome> {
  const rows: AttackRow[] = [];
  progress.start(`attacks on the rules of the market, ${seeds} seeds`);
  for (const [index, attack] of MARKET_ATTACKS.entries()) {
    await setImmediate();
    if (signal.aborted)
      throw new NmktError('interrupted', 'the simulation was stopped', { remedy: 'run the same command again' });
    rows.push(...attack(seeds));
    progress.update(`${index + 1} of ${MARKET_ATTACKS.length} kinds of attacks`);
  }
  if (csv !== null) await writeFile(csv, csvOf(rows, COLUMNS));
  progress.done(csv ?? undefined);
  const misfits = rows.filter(({ fits }) => !fits).length;
  return {
    value: { seeds, attacks: rows, misfits },
    text: [
      table([
        ['attack', 'setting', 'measured', 'computed', ''],
        ...rows.map(({ attack, setting, unit, measured, computed, fits }) => [
          ...[attack, setting, inUnit(measured, unit), inUnit(computed, unit)],
          fits ? '' : 'does not fit',
        ]),
      ]),
      '',
      `${rows.length - misfits} of ${rows.length} as computed, ${seeds} seeds where chance decides`,
    ].join('\n'),
    next: 'nmkt simulate --market JOB.json: what attacks gain in that job',
  };
}

/** The same attacks as sats under the terms of one job. @throws NmktError `bad-job` */
export async function simulateAttacksOn(job: JobFile, flags: MarketFlags, { progress }: Context): Promise<Outcome> {
  const { seeds, csv } = flags;
  const terms = attackedJob(job, flags);
  progress.start(`attacks on this job, ${seeds} seeds`);
  const attacks = attacksOnJob(terms, seeds);
  if (csv !== null) await writeFile(csv, csvOf(attacks, JOB_COLUMNS));
  progress.done(csv ?? undefined);
  const paying = attacks.filter(({ pays }) => pays).map(({ attack }) => attack);
  const sats = (value: number | null) => (value === null ? '' : value.toFixed(1));
  return {
    value: { seeds, terms, attacks, paying: paying.length },
    text: [
      `${terms.rounds} rounds at ${terms.priceSat} sat, work of ${sats(terms.costSat)} sat, audit rate ${percent(terms.rate)}, ${terms.segments} segments, stake ${terms.stakeSat} sat, ${terms.validators} validators at ${terms.feeSat} sat`,
      '',
      table([
        ['attack', 'setting', 'as agreed', 'attack', 'played', 'pays', 'break-even'],
        ...attacks.map(({ attack, setting, honestSat, attackSat, measuredSat, pays, breakEven }) => [
          ...[attack, setting, sats(honestSat), sats(attackSat), sats(measuredSat), pays ? 'YES' : 'no', breakEven],
        ]),
      ]),
      '',
      paying.length === 0 ? 'no attack pays' : `${paying.length} of ${attacks.length} pay`,
    ].join('\n'),
    next: 'nmkt simulate --market: the attacks one by one, whatever the job',
  };
}

function attackedJob(job: JobFile, { costSats, stakeSats }: MarketFlags): AttackedJob {
  const priceSat = job.rail === 'none' ? 0 : job.maxPriceSats;
  const rate = hasSpotChecks(job) ? job.spotRate : 0;
  // What the customer alone measured costs nobody a stake.
  const atStake = job.validators > 0 && rate > 0 ? job.trainerStakeSats : 0;
  return {
    ...{ rounds: job.rounds, priceSat, costSat: costSats ?? priceSat * COST_OF_PRICE },
    ...{ segments: job.segments, rate, stakeSat: stakeSats ?? atStake },
    ...{ validators: job.validators, feeSat: job.rail === 'none' ? 0 : job.validatorFeeSats },
    validatorStakeSat: job.validatorStakeSats,
    // By default from three trainers on.
    hasLeastWork: (job.leastWork ?? ((job.trainers ?? 3) >= 3 ? 0.5 : 0)) > 0,
    isForKnown: job.keyRelease === 'known',
  };
}

const COLUMNS = ['attack', 'setting', 'unit', 'measured', 'computed', 'fits'] as const;
const JOB_COLUMNS = ['attack', 'setting', 'honestSat', 'attackSat', 'measuredSat', 'pays', 'breakEven'] as const;

function csvOf<K extends string>(
  rows: readonly Readonly<Record<K, string | number | boolean | null>>[],
  columns: readonly K[],
): string {
  const cell = (value: string | number | boolean | null) =>
    typeof value === 'string' ? `"${value.replaceAll('"', '""')}"` : String(value ?? '');
  const lines = rows.map((row) => columns.map((name) => cell(row[name])).join(','));
  return [columns.join(','), ...lines, ''].join('\n');
}
