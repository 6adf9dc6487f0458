import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchResult, BenchTarget } from './run.js';

/**
 * `nmkt train` on real data, as a user calls it: MNIST digits and the works of Shakespeare, from the folder that
 * NMKT_TEST_DATA names. A minute in all; with `--full` the trainings are long enough for a useful model.
 */
const isFull = process.argv.includes('--full');
const folder = process.env['NMKT_TEST_DATA'] ?? '';

interface Training {
  readonly name: string;
  readonly file: string;
  readonly flags: readonly string[];
  /** Of the held-out set. */
  readonly metric: 'accuracy' | 'loss';
  readonly target: number;
}

const inFolder = (name: string): string => join(folder, name);
const trainings: readonly Training[] = [
  {
    name: 'MNIST, cnn, 8,000 images, a tenth split off',
    file: inFolder('mnist10k/train-images-idx3-ubyte.gz'),
    flags: [
      ...['--model', 'cnn', '--test', inFolder('mnist10k/test-images-idx3-ubyte.gz')],
      ...['--epochs', isFull ? '10' : '1'],
    ],
    metric: 'accuracy',
    target: isFull ? 0.97 : 0.92,
  },
  {
    name: 'tinyshakespeare, gpt nano, context 64',
    file: inFolder('text/tinyshakespeare.txt'),
    flags: ['--model', 'gpt', ...(isFull ? ['--epochs', '3'] : ['--local-steps', '100'])],
    metric: 'loss',
    target: isFull ? 2.2 : 2.8,
  },
];

/** Of the JSON document of `train`. */
interface Trained {
  readonly metrics: { readonly loss: number; readonly accuracy: number };
  readonly steps: number;
  readonly seconds: number;
  readonly samplesPerSec: number;
  readonly engine: string;
}

export async function bench(): Promise<BenchResult> {
  const rows: object[] = [];
  const targets: BenchTarget[] = [];
  for (const { name, file, flags, metric, target } of trainings) {
    if (folder === '' || !existsSync(file)) {
      const skip = 'SKIP: NMKT_TEST_DATA names no folder with it';
      rows.push({ what: name, steps: skip, seconds: '', samplesPerSec: '', loss: '', accuracy: '', load: '' });
      continue;
    }
    const { steps, seconds, samplesPerSec, metrics } = await train(file, flags);
    rows.push({ what: name, steps, seconds, samplesPerSec, ...metrics, load: loadavg()[0] });
    const [sign, ok] = metric === 'loss' ? ['<=', metrics.loss <= target] : ['>=', metrics.accuracy >= target];
    const got = metrics[metric].toFixed(4);
    targets.push({ name: `datasets: ${name}`, target: `${metric} ${sign} ${target}`, got, ok });
  }
  return { rows, targets };
}

async function train(file: string, flags: readonly string[]): Promise<Trained> {
  const out = await mkdtemp(join(tmpdir(), 'nmkt-bench-'));
  try {
    const nmkt = fileURLToPath(new URL('../bin/nmkt.js', import.meta.url));
    const args = [nmkt, 'train', file, ...flags, '--engine', 'wasm', '--out', join(out, 'model'), '--json', '--quiet'];
    const home = { NMKT_HOME: join(out, 'home') };
    return JSON.parse(
      execFileSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, ...home } }),
    ) as Trained;
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
