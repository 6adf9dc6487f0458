import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { noDigits } from './learning/data.js';
import { CASES, writeCase, type Told } from './learning/flower-case.js';
import type { BenchResult, BenchTarget } from './run.js';

/**
 * Wall time until a model of four trainers is right on 95 % of MNIST's test images, beside Flower's simulation with PyTorch: the same first model, shards,
 * batches and steps, each program a process of its own, in turns, from NMKT_TEST_DATA. NMKT_PYTHON names a Python with `flwr[simulation]` and torch, else
 * python3 is tried. Once; with `--full` twice, under two seeds. Flower runs as many clients at once as there are processors, with one thread each; fewer
 * clients with more threads were slower.
 */
export async function bench(): Promise<BenchResult> {
  const skip = noDigits();
  if (skip !== null) return { rows: [{ skip }], targets: [] };
  const why = noFlower();
  const programs = [...NMKT, ...(why === '' ? [FLOWER] : [])];
  const runs: Run[] = [];
  for (const model of Object.keys(CASES))
    for (let seed = 0; seed < (process.argv.includes('--full') ? 2 : 1); seed++) {
      const folder = mkdtempSync(join(tmpdir(), 'nmkt-flower-'));
      try {
        await writeCase(folder, { ...CASES[model]!, seed: `flower ${seed}` });
        for (const program of programs) runs.push(measure(model, seed, program, folder));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  const about = [...new Set(runs.map(({ versions }) => versions))];
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} processors`;
  const notes = [...(why === '' ? [] : [`SKIP Flower: not measured, because ${why}`]), ...about, machine];
  const rows = [
    ...runs.map(rowOf),
    ...[...notes, new Date().toISOString().slice(0, 10)].map((program) => ({ program })),
  ];
  return { rows: rows.map((row) => ({ ...EMPTY, ...row })), targets: why === '' ? targetsOf(runs) : [] };
}

interface Program {
  readonly name: string;
  readonly command: string;
  /** After them the folder and `rest`. */
  readonly script: readonly string[];
  readonly rest: readonly string[];
}
const python = process.env['NMKT_PYTHON'] ?? 'python3';
const beside = (file: string): string => fileURLToPath(new URL(`./learning/${file}`, import.meta.url));
const NMKT: readonly Program[] = ['f32', 'int4'].map((codec) => ({
  ...{ name: `nmkt, ${codec}`, command: process.execPath, rest: [codec] },
  script: ['--import', 'tsx', beside('flower-nmkt.ts')],
}));
const FLOWER: Program = {
  ...{ name: 'Flower', command: python },
  ...{ script: [beside('flower.py')], rest: ['1', String(availableParallelism())] },
};

interface Run {
  readonly model: string;
  readonly seed: number;
  readonly program: string;
  readonly rounds: number;
  readonly accuracy: number;
  /** From the start of the process to the accuracy. */
  readonly wholeSec: number;
  /** From when engines or clients were ready. */
  readonly trainingSec: number;
  /** Processor time of training, combining and measuring, of all processes; without Ray's own. */
  readonly cpuSec: number;
  /** How many wanted to run in the minute before. */
  readonly load: number;
  readonly versions: string;
}

function measure(model: string, seed: number, { name, command, script, rest }: Program, folder: string): Run {
  const load = loadavg()[0]!;
  const startSec = Date.now() / 1000;
  const options = { encoding: 'utf8', timeout: 600_000, maxBuffer: 2 ** 26 } as const;
  const { status, stdout, stderr } = spawnSync(command, [...script, folder, ...rest], options);
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr.slice(-2_000)}`);
  const { beganSec, cpuSec, rounds, versions } = JSON.parse(stdout.trim().split('\n').at(-1)!) as Told;
  const { round, accuracy, atSec } = rounds.at(-1)!;
  const isThere = accuracy >= CASES[model]!.accuracy;
  const run = {
    ...{ model, seed, program: name, load, versions, accuracy },
    rounds: isThere ? round : Infinity,
    wholeSec: isThere ? atSec - startSec : Infinity,
    trainingSec: isThere ? atSec - beganSec : Infinity,
    cpuSec: isThere ? cpuSec : Infinity,
  };
  console.error(
    `${model} ${seed}, ${name}: ${round} rounds, ${(atSec - beganSec).toFixed(1)} s, load ${load.toFixed(1)}`,
  );
  return run;
}

const EMPTY = {
  ...{ program: '', model: '', seed: '', rounds: '', accuracy: '', 's with start': '', s: '' },
  ...{ 's/round': '', 'processor s/round': '', load: '' },
};

function rowOf(run: Run): Record<string, unknown> {
  const { program, model, seed, rounds, accuracy, wholeSec, trainingSec, cpuSec, load } = run;
  return {
    ...{ program, model, seed, rounds, accuracy, 's with start': wholeSec.toFixed(1), s: trainingSec.toFixed(1) },
    's/round': (trainingSec / rounds).toFixed(2),
    'processor s/round': (cpuSec / rounds).toFixed(2),
    load: load.toFixed(1),
  };
}

/** Each time as a multiple of Flower's with the same model and seed. */
function targetsOf(runs: readonly Run[]): BenchTarget[] {
  const kinds = [
    ['with start', (run: Run) => run.wholeSec],
    ['without start', (run: Run) => run.trainingSec],
    ['a round', (run: Run) => run.trainingSec / run.rounds],
    ['processor time of a round', (run: Run) => run.cpuSec / run.rounds],
  ] as const;
  const runsOf = (model: string, name: string) => runs.filter((run) => run.model === model && run.program === name);
  return Object.keys(CASES).flatMap((model) =>
    NMKT.flatMap(({ name }) =>
      kinds.map(([kind, secOf]) => {
        const theirs = runsOf(model, FLOWER.name);
        const ratios = runsOf(model, name).map((run, i) => secOf(run) / secOf(theirs[i]!));
        const got = ratios.map((ratio) => `${ratio.toFixed(2)}x`).join(', ');
        const ok = ratios.every((ratio) => ratio <= 1);
        return { name: `flower: ${model}, ${name}, ${kind}`, target: "<= 1x Flower's", got, ok };
      }),
    ),
  );
}

/** Empty where there is a Flower to compare with. */
function noFlower(): string {
  const program = 'import flwr, numpy, ray, torch; from flwr.serverapp.strategy import FedAvg';
  const { status, stderr, error } = spawnSync(python, ['-c', program], { encoding: 'utf8' });
  if (status === 0) return '';
  return error ? `there is no ${python}` : `${python}: ${stderr.trim().split('\n').at(-1) ?? 'it failed'}`;
}
