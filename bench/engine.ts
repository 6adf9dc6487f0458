import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { readKernels } from '../src/kernels/file.js';
import { installKernels } from '../src/kernels/install.js';
import { examplesIn, models, type BenchModel } from './engine-models.js';
import { threadRates } from './engine-threads.js';
import { torchRate } from './engine-torch.js';
import type { BenchResult, BenchTarget } from './run.js';

/**
 * Our kernels against the stock ones of tfjs-backend-wasm and against tfjs-backend-cpu, in turns in one process, best of
 * ROUNDS, by processor time; OpenBLAS and PyTorch where Python finds them. One core each.
 */
const ROUNDS = 3;
const SIZE = 1024;
/** cpu needs seconds for 1024; its rate does not depend on the size. */
const CPU_SIZE = 256;

type Row = Record<'what' | 'unit' | 'ours' | 'stock' | 'cpu' | 'oursByStock' | 'oursByCpu', string | number>;
type Engine = 'ours' | 'stock' | 'cpu';
type Rate = number | 'throws';

export async function bench(): Promise<BenchResult> {
  await tf.setBackend('cpu');
  await tf.setBackend('wasm');
  const stock = tf.getKernelsForBackend('wasm');
  await installKernels(readKernels());
  const ours = tf.getKernelsForBackend('wasm');

  /** Makes `engine` the one that tensors live on. */
  const use = async (engine: Engine): Promise<void> => {
    await tf.setBackend(engine === 'cpu' ? 'cpu' : 'wasm');
    if (engine === 'cpu') return;
    for (const { kernelName } of tf.getKernelsForBackend('wasm')) tf.unregisterKernel(kernelName, 'wasm');
    for (const kernel of engine === 'ours' ? ours : stock) tf.registerKernel(kernel);
  };

  const rows: Row[] = [];
  const tokens = { ours: 0 };
  const ratios = new Map<string, number>();
  const add = (what: string, unit: string, rates: Record<Engine, Rate>): void => {
    const by = (a: Rate, b: Rate): string | number => (typeof a === 'number' && typeof b === 'number' ? a / b : '-');
    const oursByCpu = by(rates.ours, rates.cpu);
    if (typeof oursByCpu === 'number') ratios.set(what, oursByCpu);
    rows.push({ what, unit, ...rates, oursByStock: by(rates.ours, rates.stock), oursByCpu });
  };

  const products: Rate[] = [];
  for (const [name, transposeA, transposeB] of [
    ['NN', false, false],
    ['TN', true, false],
    ['NT', false, true],
    ['TT', true, true],
  ] as const) {
    const rates = await inTurns(use, (engine) => product(engine === 'cpu' ? CPU_SIZE : SIZE, transposeA, transposeB));
    products.push(rates.ours);
    add(`matmul ${SIZE} ${name}`, 'GFLOP/s', rates);
  }
  add('matmul 64 x (64x32 . 32x64) NT', 'GFLOP/s', await inTurns(use, batched));
  for (const model of models) {
    const rates = await inTurns(use, (engine) => modelRate(model, engine));
    add(`${model.name}, Adam`, `${model.unit}/s`, rates);
    if (model.name.startsWith('nmkt') && typeof rates.ours === 'number') tokens.ours = rates.ours;
  }
  const threads = threadRates();
  for (const [count, rate] of typeof threads === 'string'
    ? [[2, threads] as const]
    : ([
        [1, threads.one],
        [2, threads.two],
      ] as const))
    rows.push({
      what: `nmkt's char-GPT, ${count} kernel thread${count === 1 ? '' : 's'}, by the clock`,
      unit: 'tokens/s',
      ours: rate,
      stock: '-',
      cpu: '-',
      oursByStock: '-',
      oursByCpu: '-',
    });
  const native = nativeRates();
  for (const { what, rate, reason } of native)
    rows.push({
      what: `matmul ${SIZE} NN, ${what}`,
      unit: 'GFLOP/s',
      ours: rate === undefined ? `SKIP ${reason}` : rate,
      stock: '-',
      cpu: '-',
      oursByStock: '-',
      oursByCpu: '-',
    });
  const torch = torchRate();
  rows.push({
    what: `nmkt's char-GPT 4x128, context 64, Adam, PyTorch`,
    unit: 'tokens/s',
    ours: torch,
    stock: '-',
    cpu: '-',
    oursByStock: '-',
    oursByCpu: '-',
  });
  rows.push({
    what: 'load of the machine',
    unit: '',
    ours: loadavg()[0]!,
    stock: '-',
    cpu: '-',
    oursByStock: '-',
    oursByCpu: '-',
  });
  const share = typeof torch === 'number' ? tokens.ours / torch : undefined;
  const found = [
    ...targets(products, ratios, native),
    ...(share === undefined
      ? []
      : [
          {
            name: `engine: nmkt's char-GPT, share of PyTorch`,
            target: '>= 0.40',
            got: share.toFixed(2),
            ok: share >= 0.4,
          },
        ]),
  ];
  if (typeof threads === 'string') return { rows, targets: found };
  const gain = threads.two / threads.one;
  const second = {
    name: `engine: a second thread on nmkt's char-GPT`,
    target: '>= 1.5 x',
    got: `${gain.toFixed(2)} x`,
    ok: gain >= 1.5,
  };
  return { rows, targets: [...found, second] };
}

function targets(products: readonly Rate[], ratios: ReadonlyMap<string, number>, native: Native[]): BenchTarget[] {
  const worst = Math.min(...products.map((rate) => (typeof rate === 'number' ? rate : 0)));
  const wanted: Record<string, number> = { MLP: 45, LeNet: 220, 'char-GPT': 60, LSTM: 25 };
  const found = Object.entries(wanted).map(([name, least]) => {
    const ratio = [...ratios].find(([what]) => what.startsWith(name))?.[1];
    const got = ratio === undefined ? 'does not train' : `${ratio.toFixed(1)} x`;
    return { name: `engine: ${name} against cpu`, target: `>= ${least} x`, got, ok: (ratio ?? 0) >= least };
  });
  const blas = native.find(({ what, rate }) => what === 'OpenBLAS' && rate !== undefined)?.rate;
  return [
    {
      name: `engine: matmul ${SIZE}, slowest order`,
      target: '>= 42 GFLOP/s',
      got: `${worst.toFixed(1)} GFLOP/s`,
      ok: worst >= 42,
    },
    ...(blas === undefined
      ? []
      : [
          {
            name: 'engine: share of OpenBLAS',
            target: '>= 0.40',
            got: (worst / blas).toFixed(2),
            ok: worst / blas >= 0.4,
          },
        ]),
    ...found,
  ];
}

/** The best rate of each engine over ROUNDS rounds; `throws` where a kernel is missing. */
async function inTurns(
  use: (engine: Engine) => Promise<void>,
  start: (engine: Engine) => Timed,
): Promise<Record<Engine, Rate>> {
  const best: Record<Engine, Rate> = { ours: 0, stock: 0, cpu: 0 };
  for (const engine of ['ours', 'stock', 'cpu'] as const) {
    await use(engine);
    try {
      const timed = start(engine);
      runFor(timed, WARM_SECONDS);
      timed.stop();
    } catch {
      best[engine] = 'throws';
    }
  }
  for (let round = 0; round < ROUNDS; round++)
    for (const engine of ['ours', 'stock', 'cpu'] as const) {
      if (best[engine] === 'throws') continue;
      await use(engine);
      const timed = start(engine);
      runFor(timed, SETTLE_SECONDS);
      const { count, seconds } = runFor(timed, ROUND_SECONDS);
      best[engine] = Math.max(best[engine], (count * timed.work) / seconds);
      timed.stop();
    }
  return best;
}

/**
 * A training takes seconds at least, and V8 compiles its hot functions again, better, during the first: on threads whose time
 * counts here as well. Afterwards each change of the backend is settled for a moment.
 */
const [WARM_SECONDS, SETTLE_SECONDS, ROUND_SECONDS] = [1.5, 0.4, 0.3];

function runFor(timed: Timed, least: number): { readonly count: number; readonly seconds: number } {
  const begin = cpuSeconds();
  let count = 0;
  do {
    timed.run(1);
    count += 1;
  } while (cpuSeconds() - begin < least);
  return { count, seconds: cpuSeconds() - begin };
}

/** Time that this process computed, so that a busy machine changes the figures little; all of it runs on one thread. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

interface Timed {
  readonly run: (times: number) => void;
  readonly stop: () => void;
  /** What one run counts for, in the row's unit. */
  readonly work: number;
}

function product(size: number, transposeA: boolean, transposeB: boolean): Timed {
  const a = tf.randomUniform<tf.Rank.R2>([size, size], -1, 1, 'float32', 1);
  const b = tf.randomUniform<tf.Rank.R2>([size, size], -1, 1, 'float32', 2);
  return {
    work: (2 * size ** 3) / 1e9,
    run: (times) => repeat(times, () => tf.matMul(a, b, transposeA, transposeB).dispose()),
    stop: () => tf.dispose([a, b]),
  };
}

/** The scores of attention: small products, many of them. */
function batched(): Timed {
  const a = tf.randomUniform<tf.Rank.R3>([64, 64, 32], -1, 1, 'float32', 1);
  const b = tf.randomUniform<tf.Rank.R3>([64, 64, 32], -1, 1, 'float32', 2);
  return {
    work: (2 * 64 * 64 * 64 * 32) / 1e9,
    run: (times) => repeat(times, () => tf.matMul(a, b, false, true).dispose()),
    stop: () => tf.dispose([a, b]),
  };
}

function modelRate(model: BenchModel, engine: Engine): Timed {
  const batch = engine === 'cpu' ? model.cpuBatch : model.batch;
  const { step, stop } = model.start(batch);
  return { work: examplesIn(model, batch), run: (times) => repeat(times, step), stop };
}

function repeat(times: number, run: () => void): void {
  for (let i = 0; i < times; i++) run();
}

interface Native {
  readonly what: string;
  readonly rate?: number;
  readonly reason?: string;
}

/** One thread of OpenBLAS, which NumPy brings, and of PyTorch, through the Python that NMKT_PYTHON names (default python3). */
function nativeRates(): Native[] {
  const timing = `
import time, sys
n = ${SIZE}
def best(run):
    run(); top = 0
    for _ in range(${ROUNDS}):
        t = time.perf_counter(); run(); top = max(top, 2 * n ** 3 / (time.perf_counter() - t) / 1e9)
    print(top)
`;
  const openblas = `${timing}
import numpy
blas = numpy.show_config(mode='dicts')['Build Dependencies']['blas']['name']
if 'openblas' not in blas: sys.exit('this NumPy multiplies with ' + blas)
a, b = numpy.random.rand(2, n, n).astype('float32')
best(lambda: a @ b)
`;
  const torch = `${timing}
import torch
torch.set_num_threads(1)
a, b = torch.rand(n, n), torch.rand(n, n)
best(lambda: a @ b)
`;
  const python = process.env['NMKT_PYTHON'] ?? 'python3';
  return [
    { what: 'OpenBLAS', script: openblas },
    { what: 'PyTorch', script: torch },
  ].map(({ what, script }) => {
    const { status, stdout, stderr, error } = spawnSync(python, ['-c', script], {
      encoding: 'utf8',
      env: { ...process.env, OPENBLAS_NUM_THREADS: '1' },
    });
    if (status === 0) return { what, rate: Number(stdout) };
    return { what, reason: error ? `no ${python}` : (stderr.trim().split('\n').at(-1) ?? 'failed') };
  });
}
