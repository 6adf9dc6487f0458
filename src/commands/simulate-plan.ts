import { NmktError } from '../errors.js';
import { sha256, u64be, type Bytes } from '../hash.js';
import type { JobFile } from '../roles/job-file.js';
import { MAX_SEATS } from '../roles/job-terms.js';
import { ATTACK_NAMES, type Attack } from '../simulate/attacks.js';
import { optionalInteger } from './customer-ports.js';
import { jobData, type JobData } from './job-data.js';
import { jobFromFlags, readJobFile } from './job-flags.js';

type Options = Readonly<Record<string, unknown>>;

export type Training = 'real' | 'stub';

/** What the flags say, before any file is read. */
export interface SimulateFlags {
  readonly training: Training;
  /** Absent: as many as the job file has seats. */
  readonly trainers: number | undefined;
  readonly seats: number | undefined;
  readonly attacks: readonly (readonly [attack: Attack, share: number])[];
  readonly seed: number;
  readonly data: JobData;
  readonly dir: string;
}

/** Who takes part: seats are shards, all others are spares. */
export interface Crowd {
  readonly trainers: number;
  readonly seats: number;
  readonly attackers: ReadonlyMap<Attack, number>;
}

export const DEFAULT_DIR = 'nmkt-simulation';
const DEFAULT_TRAINERS = 10;
const MAX_TRAINERS = 2_000;

/** @throws NmktError `bad-usage` */
export function flagsOf(options: Options): SimulateFlags {
  return {
    training: trainingOf(options['training']),
    trainers: optionalInteger(options['trainers'], '--trainers', 1, MAX_TRAINERS),
    seats: optionalInteger(options['seats'], '--seats', 1, MAX_SEATS),
    attacks: attacksOf((options['attack'] as readonly string[] | undefined) ?? []),
    seed: optionalInteger(options['seed'], '--seed', 0, Number.MAX_SAFE_INTEGER) ?? 0,
    data: jobData(options),
    dir: typeof options['out'] === 'string' ? options['out'] : DEFAULT_DIR,
  };
}

function trainingOf(value: unknown): Training {
  if (value === undefined || value === 'real' || value === 'stub') return value ?? 'real';
  const got = (value as string).slice(0, 32);
  throw new NmktError('bad-usage', `--training ${got} is unknown`, {
    expected: 'real or stub',
    got,
    remedy: '--training stub',
  });
}

const ATTACK = /^([a-z-]{1,20}):(1|0?\.[0-9]{1,6}|1\.0{1,6})$/;

function attacksOf(texts: readonly string[]): SimulateFlags['attacks'] {
  const attacks = texts.map((text) => {
    const [, name, share] = ATTACK.exec(text) ?? [];
    const attack = ATTACK_NAMES.find((known) => known === name);
    if (attack === undefined || !(Number(share) > 0))
      throw new NmktError('bad-usage', '--attack is not usable', {
        expected: `NAME:FRACTION with a fraction above 0, at most 1, and a name of ${ATTACK_NAMES.join(', ')}`,
        got: text.slice(0, 40),
        remedy: '--attack signflip:0.3',
      });
    return [attack, Number(share)] as const;
  });
  const names = attacks.map(([name]) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  const all = attacks.reduce((sum, [, share]) => sum + share, 0);
  if (twice === undefined && all <= 1 + 1e-9) return attacks;
  throw new NmktError('bad-usage', 'the attacks do not fit together', {
    expected: 'each attack once, and fractions of 1 together at most',
    got: texts.join(' ').slice(0, 80),
    remedy: '--attack signflip:0.2 --attack zero:0.1',
  });
}

/** @throws NmktError `bad-usage` */
export function crowdOf({ trainers: asked, seats: wanted, attacks }: SimulateFlags, job: JobFile): Crowd {
  const trainers = asked ?? Math.max(wanted ?? 0, job.trainers ?? DEFAULT_TRAINERS);
  const seats = wanted ?? Math.min(trainers, MAX_SEATS);
  if (seats > trainers)
    throw new NmktError('bad-usage', 'there are more seats than trainers', {
      expected: `at most ${trainers} seats`,
      got: `${seats}`,
      remedy: `--trainers ${seats}`,
    });
  const attackers = new Map(attacks.map(([name, share]) => [name, Math.round(share * trainers)]));
  const nobody = [...attackers].find(([, count]) => count === 0);
  if (nobody === undefined) return { trainers, seats, attackers };
  throw new NmktError('bad-usage', 'the fraction of an attack is less than half a trainer', {
    expected: 'at least one attacker',
    got: `${nobody[0]} of ${trainers} trainers`,
    remedy: `--attack ${nobody[0]}:${Math.min(1, Math.ceil(1e6 / trainers) / 1e6)}`,
  });
}

/**
 * File and flags together, with as many seats as there shall be. The stub trains one model in one way, whatever the file says.
 *
 * @throws NmktError `bad-job`
 */
export async function jobOf(path: string, options: Options): Promise<JobFile> {
  return jobFromFlags(await readJobFile(path), { rounds: options['rounds'] });
}

export function simulatedJob(job: JobFile, training: Training, seats: number): JobFile {
  const own = { ...job, trainers: seats, ...(job.quorum !== undefined && { quorum: Math.min(job.quorum, seats) }) };
  if (training === 'real') return own;
  const { momentum: _, weightDecay: __, clipNorm: ___, ...rest } = own;
  return {
    ...rest,
    ...{ model: 'logreg', optimizer: 'sgd', learningRate: 0.1, warmupSteps: 0, decay: 'none' },
    acceptedEngines: 'cpu',
  };
}

/** 32 bytes, of everything that is drawn. */
export const seedOf = ({ seed }: SimulateFlags): Bytes => sha256('nmkt/simulate/seed', u64be(BigInt(seed)));

export const splitSeed = (flags: SimulateFlags): Bytes => sha256('nmkt/simulate/split', seedOf(flags));
