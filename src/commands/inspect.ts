import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NmktError } from '../errors.js';
import { kindOf, modelBytes, modelCost, type ModelKind } from '../learning/model-cost.js';
import { OWN_LIMITS } from '../learning/own-limits.js';
import type { JobFile } from '../roles/job-file.js';
import { modelSpec } from '../roles/job-terms.js';
import { estimateSeconds } from '../roles/time-estimate.js';
import { table } from '../terminal/table.js';
import { readModelSize, type ModelSize } from '../training/model-files.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { optionalInteger } from './customer-ports.js';
import { addDataFlags, dataChoices } from './data-flags.js';
import { addJobFlags, jobFromFlags, readJobFile } from './job-flags.js';
import { readModelOf } from './model-file.js';

const MIB = 2 ** 20;

export const command: CommandModule = {
  configure(program) {
    program.argument('<path>', 'a model folder, a model.json, or a data file whose model --model and --size choose');
    addJobFlags(program, ['model', 'size', 'hidden', 'batch']);
    program.option('--job <file>', 'the model that this job file asks for');
    addDataFlags(program);
    program
      .option('--max-params <n>', `refuse more parameters (default ${OWN_LIMITS.maxParams})`)
      .option('--max-memory <bytes>', `refuse a training that takes more (default ${OWN_LIMITS.maxBytes})`)
      .addHelpText(
        'before',
        '$ nmkt inspect model\n$ nmkt inspect story.txt --model gpt --size small --batch 16\n$ nmkt inspect keras/model.json --json\n',
      )
      .addHelpText('after', HELP);
  },

  async run([path], options, context) {
    const maxParams = optionalInteger(options['maxParams'], '--max-params', 1, 2 ** 40) ?? OWN_LIMITS.maxParams;
    const maxMemory = optionalInteger(options['maxMemory'], '--max-memory', 1, 2 ** 50) ?? OWN_LIMITS.maxBytes;
    const job = jobFromFlags(typeof options['job'] === 'string' ? await readJobFile(options['job']) : {}, options);
    const data = dataChoices(path!, options);
    const size = (await isModel(path!)) ? await readModelSize(path!) : await wished(data, job);
    const { parameters, activations, flops } = size.cost;
    const report = {
      model: size.name,
      parameters,
      weightBytes: 4 * parameters,
      activationBytes: 4 * activations,
      flops,
      batch: job.batch,
      trainingBytes: modelBytes(size.cost, job.batch),
    };
    const refuse = (what: string, flag: string, most: number, got: number): never => {
      throw new NmktError('too-large', `the model takes too many ${what}`, {
        expected: `at most ${most}`,
        got: `${got}`,
        remedy: `a smaller model, or ${flag} ${got} if this machine can bear it`,
        value: { value: report, text: describe(report) },
      });
    };
    if (parameters > maxParams) refuse('parameters', '--max-params', maxParams, parameters);
    if (report.trainingBytes > maxMemory) refuse('bytes of memory', '--max-memory', maxMemory, report.trainingBytes);
    return timed(report, size.kind, context);
  },
};

const HELP = `
Reads descriptions only: no layer is built and no weight read, whatever sizes a file asks for. The time comes from small models of the same kind
that are trained for a moment on the engine of this home; it is an estimate.
A LayersModel may be Sequential with layers InputLayer, Dense, Conv2D, MaxPooling2D, AveragePooling2D, Flatten, Dropout, Activation, ReLU and BatchNormalization.
With --json one document (too large: without the last two, beside error):
  model, parameters, weightBytes
  activationBytes, flops       per example: kept on the way to its outputs; of products, forwards
  batch, trainingBytes         memory of a training with this batch, without its data
  secondsPer1000, engine       estimated time to train on 1,000 examples, and where`;

interface Report {
  readonly model: string;
  readonly parameters: number;
  readonly weightBytes: number;
  readonly activationBytes: number;
  readonly flops: number;
  readonly batch: number;
  readonly trainingBytes: number;
}

async function isModel(path: string): Promise<boolean> {
  if (path.endsWith('.json')) return true;
  return stat(join(path, 'model.json')).then(
    () => true,
    () => false,
  );
}

async function wished(data: ReturnType<typeof dataChoices>, job: JobFile): Promise<ModelSize> {
  const file = await readModelOf(job);
  const spec = modelSpec(job, (await data.read()).schema, file?.content);
  return { name: spec.model, kind: kindOf(spec), cost: modelCost(spec) };
}

async function timed(report: Report, kind: ModelKind, { deps, progress }: Context): Promise<Outcome> {
  const engine = await deps.engine({ limits: OWN_LIMITS });
  progress.start(`measuring ${engine.id}`);
  const seconds = await estimateSeconds(engine, kind, report, report.batch);
  progress.done();
  const secondsPer1000 = Number(seconds.toPrecision(3));
  return {
    value: { ...report, secondsPer1000, engine: engine.id },
    text: describe(report, [['1,000 examples', `${secondsPer1000} s to train, estimated on ${engine.id}`]]),
  };
}

function describe(report: Report, more: readonly string[][] = []): string {
  const mib = (bytes: number) => `${(bytes / MIB).toFixed(bytes < MIB ? 3 : 1)} MiB`;
  return table([
    ['model', report.model],
    ['parameters', `${report.parameters} (${mib(report.weightBytes)})`],
    ['activations', `${mib(report.activationBytes)} per example`],
    ['products', `${(report.flops / 1e6).toPrecision(3)} MFLOP per example, forwards`],
    ['memory', `${mib(report.trainingBytes)} to train, ${report.batch} examples at a time`],
    ...more,
  ]);
}
