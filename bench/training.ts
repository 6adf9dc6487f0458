import { initialParams } from '../src/learning/params.js';
import { prng } from '../src/learning/prng.js';
import type { Examples, ModelSpec } from '../src/learning/types.js';
import type { Engine } from '../src/ports.js';
import { createEngine } from '../src/training/engine.js';

/**
 * Adam steps of a 784-128-10 network, batches of 32, on synthetic bytes: the wasm rung against the pure JavaScript one,
 * in turns in the same run, best of ROUNDS each (the machine may be busy with other things).
 */
const SPEC: ModelSpec = { model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [128] };
const BATCH = 32;
const ROUNDS = 4;
const STEPS = { wasm: 300, cpu: 40 } as const;
const MIN_RATIO = 5;
const MIN_EXAMPLES_PER_SECOND = 5000;
const MAX_COLD_MS = 1000;

type BenchRung = keyof typeof STEPS;
export interface BenchRow {
  readonly engine: string;
  readonly coldMs: number;
  readonly examplesPerSecond: number;
  /** Of the whole process, after this rung's first round. */
  readonly rssMegabytes: number;
}
export interface BenchTarget {
  readonly name: string;
  readonly target: string;
  readonly got: string;
  readonly ok: boolean;
}

export async function bench(): Promise<{
  readonly rows: readonly BenchRow[];
  readonly targets: readonly BenchTarget[];
}> {
  const examples = randomExamples(2048);
  const cpu = await started('cpu');
  const wasm = await started('wasm');
  const best = { cpu: 0, wasm: 0 };
  const rss = { cpu: 0, wasm: 0 };
  for (let round = 0; round < ROUNDS; round++)
    for (const { rung, engine } of [cpu, wasm]) {
      best[rung] = Math.max(best[rung], await examplesPerSecond(engine, examples, STEPS[rung]));
      rss[rung] ||= Math.round(process.memoryUsage.rss() / 1e6);
    }
  await Promise.all([cpu.engine.close(), wasm.engine.close()]);
  const ratio = best.wasm / best.cpu;
  return {
    rows: [cpu, wasm].map(({ rung, engine, coldMs }) => ({
      engine: engine.id,
      coldMs: Math.round(coldMs),
      examplesPerSecond: Math.round(best[rung]),
      rssMegabytes: rss[rung],
    })),
    targets: [
      {
        name: 'training: wasm against cpu',
        target: `>= ${MIN_RATIO} x`,
        got: `${ratio.toFixed(1)} x`,
        ok: ratio >= MIN_RATIO,
      },
      {
        name: 'training: MLP 784-128-10 on wasm',
        target: `>= ${MIN_EXAMPLES_PER_SECOND} examples/s`,
        got: `${Math.round(best.wasm)} examples/s`,
        ok: best.wasm >= MIN_EXAMPLES_PER_SECOND,
      },
      {
        name: 'training: cold start of wasm',
        target: `<= ${MAX_COLD_MS} ms`,
        got: `${Math.round(wasm.coldMs)} ms`,
        ok: wasm.coldMs <= MAX_COLD_MS,
      },
    ],
  };
}

async function started(rung: BenchRung): Promise<{ rung: BenchRung; engine: Engine; coldMs: number }> {
  const start = performance.now();
  const engine = await createEngine({ want: rung });
  return { rung, engine, coldMs: performance.now() - start };
}

async function examplesPerSecond(engine: Engine, examples: Examples, localSteps: number): Promise<number> {
  const seed = new Uint8Array(32);
  const { wallMs } = await engine.train({
    model: SPEC,
    weights: initialParams(SPEC, seed),
    examples,
    hyper: { optimizer: 'adam', learningRate: 0.001, batch: BATCH, localSteps },
    seed,
  });
  return (localSteps * BATCH * 1000) / wallMs;
}

function randomExamples(rows: number): Examples {
  const random = prng(new Uint8Array(32), 'bench/training');
  const features = Uint8Array.from({ length: rows * SPEC.inputs }, () => random.below(256));
  const labels = Int32Array.from({ length: rows }, () => random.below(SPEC.outputs));
  return { rows, inputs: SPEC.inputs, features, scale: 255, labels };
}
