import { writeFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { NmktError } from '../errors.js';
import { DEFAULT_SEEDS, MARKET_ATTACKS } from '../market/attacks/all.js';
import { inUnit, type AttackRow } from '../market/attacks/row.js';
import { table } from '../terminal/table.js';
import type { Context, Outcome } from './command.js';
import { optionalInteger } from './customer-ports.js';

type Options = Readonly<Record<string, unknown>>;

const MIN_SEEDS = 10;
const MAX_SEEDS = 100_000;

interface MarketFlags {
  readonly seeds: number;
  readonly csv: string | null;
}

/** Flags of a market's rules without a job that runs; null: the other simulation is asked for. @throws NmktError `bad-usage` */
export function marketFlags(options: Options): MarketFlags | null {
  const seeds = optionalInteger(options['seeds'], '--seeds', MIN_SEEDS, MAX_SEEDS);
  const csv = (options['csv'] as string | undefined) ?? null;
  if (options['market'] === true) {
    const other = RUN_ONLY.find((name) => options[name] !== undefined);
    if (other === undefined) return { seeds: seeds ?? DEFAULT_SEEDS, csv };
    throw new NmktError('bad-usage', `--${other} is of a job that runs`, {
      expected: 'with --market: a job file, --seeds and --csv',
      got: `--market and --${other}`,
      remedy: `leave out --market or --${other}`,
    });
  }
  const mine = ['seeds', 'csv'].find((name) => options[name] !== undefined);
  if (mine === undefined) return null;
  throw new NmktError('bad-usage', `--${mine} belongs to --market`, {
    expected: `--market beside --${mine}`,
    got: 'no --market',
    remedy: `nmkt simulate --market --${mine} ${mine === 'seeds' ? DEFAULT_SEEDS : 'attacks.csv'}`,
  });
}

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
  if (csv !== null) await writeFile(csv, attacksCsv(rows));
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

const COLUMNS = ['attack', 'setting', 'unit', 'measured', 'computed', 'fits'] as const satisfies (keyof AttackRow)[];

function attacksCsv(rows: readonly AttackRow[]): string {
  const cell = (value: string | number | boolean) =>
    typeof value === 'string' ? `"${value.replaceAll('"', '""')}"` : String(value);
  const lines = rows.map((row) => COLUMNS.map((name) => cell(row[name])).join(','));
  return [COLUMNS.join(','), ...lines, ''].join('\n');
}
