import { join } from 'node:path';
import { replaceFile } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';
import { sha256Hex } from '../hash.js';
import { initialParams, parameterCount } from '../learning/params.js';
import { encodeParams } from '../learning/safetensors.js';
import { initialisationSeed } from '../learning/seeds.js';
import { stepCount } from '../learning/train-state.js';
import type { HyperParameters, TrainState } from '../learning/types.js';
import type { Engine, TrainResult } from '../ports.js';
import { describeStep } from '../roles/pace.js';
import { describeMetrics, measureModel } from '../roles/model-metrics.js';
import { table } from '../terminal/table.js';
import { readCheckpoint, removeCheckpoint, writeCheckpoint } from '../training/checkpoint.js';
import { writeModelFiles } from '../training/model-files.js';
import type { Context } from './command.js';
import { engineWords } from './threads.js';
import type { Plan } from './train-plan.js';
import { metricsOf, trainedCard, type TrainReport } from './train-report.js';

/** Checkpoints in a whole training, unless --checkpoint-every says otherwise. */
const CHECKPOINTS = 20;
/** A loss so many times that of the model before training comes back in no training we saw. */
export const DIVERGED_RATIO = 20;
/** The model and the machine are the user's own. */
const LIMITS = { maxParams: 250_000_000, maxBytes: 2 ** 34, maxMinutes: 60 * 24 * 365 };

/** From the last checkpoint, if there is one, to the model in its folder. */
export async function trainPlan(
  plan: Plan,
  dir: string,
  options: Readonly<Record<string, unknown>> & { readonly every: number | undefined; readonly threads: number },
  context: Context,
): Promise<{ report: TrainReport; text: string }> {
  const { model, hyper, examples, request } = plan;
  const { progress, deps } = context;
  const kept = options['fresh'] === true ? undefined : await readCheckpoint(nodeDisk, dir, request, plan);
  if (kept === undefined && options['resume'] === true)
    throw new NmktError('not-ready', `there is no checkpoint of this training in ${dir}`, {
      expected: 'a checkpoint of the same data, model and hyper-parameters',
      got: 'none',
      remedy: 'leave out --resume to begin anew',
    });
  const engine = await deps.engine({ limits: LIMITS, threads: options.threads });
  const words = engineWords(engine.id, options.threads);
  if (kept === undefined) progress.note(`training on ${words}`);
  else {
    progress.note(`going on after step ${kept.state.step} on ${words}`);
    if (kept.engine !== engine.id)
      progress.warn(`it began on ${kept.engine}: the bytes will be those of neither alone`);
  }
  const initial = plan.initial ?? initialParams(model, initialisationSeed(plan.seed));
  const before = metricsOf(await engine.evaluate(model, initial, plan.test));
  const total = stepCount(hyper, examples.rows);
  const from = kept?.state.step ?? 0;
  const keep = keeper(plan, dir, engine, kept);
  const startMs = deps.clock.nowMs();
  let told = Math.floor((10 * from) / total);
  const result = await engine
    .train(
      {
        ...{ model, hyper, examples, weights: initial, seed: plan.seed },
        stateEvery: options.every ?? Math.max(1, Math.ceil(total / CHECKPOINTS)),
        ...(Number.isFinite(before.loss) && { lossLimit: DIVERGED_RATIO * Math.max(1, before.loss) }),
        ...(kept !== undefined && { from: kept.state }),
      },
      (done, all, loss) => {
        const elapsedMs = deps.clock.nowMs() - startMs;
        const line = describeStep({ from, done, total: all, loss, batch: hyper.batch, elapsedMs });
        progress.update(line);
        // Without a terminal `update` is silent: a line for each tenth.
        const tenth = Math.floor((10 * done) / all);
        if (tenth > told && done < all) progress.note(line);
        told = Math.max(told, tenth);
      },
      context.signal,
      keep.take,
    )
    .finally(() => keep.settled());
  return finish(plan, dir, { engine, result, before, from, wallMs: (kept?.wallMs ?? 0) + result.wallMs }, context);
}

/** Writes checkpoints one after the other while the training goes on; only the newest of those that wait. */
function keeper(
  plan: Plan,
  dir: string,
  engine: Engine,
  kept: { readonly wallMs: number } | undefined,
): { readonly take: (state: TrainState) => void; readonly settled: () => Promise<void> } {
  const startMs = performance.now();
  let waiting: TrainState | undefined;
  let writing: Promise<void> | undefined;
  let failed: Promise<never> | undefined;
  const drain = async (): Promise<void> => {
    while (waiting !== undefined) {
      const state = waiting;
      waiting = undefined;
      const wallMs = (kept?.wallMs ?? 0) + Math.round(performance.now() - startMs);
      await writeCheckpoint(nodeDisk, dir, { state, request: plan.request, engine: engine.id, wallMs });
    }
    writing = undefined;
  };
  return {
    take(state) {
      waiting = state;
      writing ??= drain().catch((cause: Error) => {
        failed ??= Promise.reject(cause);
        failed.catch(() => undefined); // it is awaited in `settled`
      });
    },
    async settled() {
      await writing;
      await failed;
    },
  };
}

async function finish(
  plan: Plan,
  dir: string,
  run: {
    readonly engine: Engine;
    readonly result: TrainResult;
    readonly before: TrainReport['metrics'];
    readonly from: number;
    readonly wallMs: number;
  },
  { progress }: Context,
): Promise<{ report: TrainReport; text: string }> {
  const { model, hyper, schema, examples, test } = plan;
  const { engine, result, before, from, wallMs } = run;
  const metrics = await measureModel(engine, { spec: model, weights: result.weights }, schema, test);
  const report: TrainReport = {
    dir,
    model: model.model,
    parameters: parameterCount(model),
    examples: { train: examples.rows, test: test.rows },
    steps: result.steps,
    resumedAt: from === 0 ? null : from,
    metrics,
    initialMetrics: before,
    finalLoss: result.lossLast,
    engine: engine.id,
    seconds: wallMs / 1000,
    samplesPerSec: Math.round(((result.steps - from) * hyper.batch * 1000) / Math.max(1, result.wallMs)),
    weights: sha256Hex(encodeParams(result.weights)),
  };
  await writeModelFiles(dir, model, result.weights, { request: plan.request, schema });
  await replaceFile(nodeDisk, join(dir, 'README.md'), trainedCard(report, describeHyper(hyper)), 0o666);
  await removeCheckpoint(nodeDisk, dir);
  const measured = metrics.accuracy === null ? `loss ${metrics.loss}` : `accuracy ${metrics.accuracy}`;
  const more = describeMetrics(metrics);
  progress.done([`${report.steps} steps`, measured, ...more].join(', '));
  return {
    report,
    text: table([
      ['model', `${dir} (${report.model}, ${report.parameters} parameters)`],
      [
        metrics.accuracy === null ? 'loss' : 'accuracy',
        `${metrics.accuracy ?? metrics.loss} on ${test.rows} held-out examples`,
      ],
      ...(more.length > 0 ? [['also', more.join(', ')]] : []),
      ['before', before.accuracy ?? before.loss],
      ['trained', `${report.steps} steps in ${report.seconds.toFixed(1)} s, ${report.samplesPerSec} examples/s`],
      ['engine', report.engine],
    ]),
  };
}

function describeHyper({ optimizer, learningRate, batch }: HyperParameters): string {
  return `${optimizer} ${learningRate}, batch ${batch}`;
}
