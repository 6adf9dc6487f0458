import { fromHex, hmacSha256, sha256Hex, utf8, type Bytes } from '../hash.js';
import { encodeExamples } from '../learning/examples.js';
import { checkOwnSize } from '../learning/own-limits.js';
import { paramsHash } from '../learning/params.js';
import type { DataSchema, Examples, HyperParameters, ModelSpec, ParamSet } from '../learning/types.js';
import { jobFields, type JobFile } from '../roles/job-file.js';
import { hyperParameters } from '../roles/job-hyper.js';
import { modelSpec } from '../roles/job-terms.js';
import { readLayersWeights } from '../training/layers-file.js';
import { splitDataset } from '../training/split.js';
import type { Context } from './command.js';
import type { DataChoices } from './data-flags.js';
import { jobFromFlags, readJobFile } from './job-flags.js';
import { readModelOf } from './model-file.js';
import { describeTask } from './publish-plan.js';

/** What is trained, on what and how: all that `nmkt train` decides before it begins. */
export interface Plan {
  readonly schema: DataSchema;
  readonly model: ModelSpec;
  readonly hyper: HyperParameters;
  readonly examples: Examples;
  readonly test: Examples;
  /** Everything the model follows from, but for the engine. */
  readonly request: string;
  readonly seed: Bytes;
  /** Where the model's file has weights: what the training begins with, instead of what the seed gives. */
  readonly initial?: ParamSet;
}

/** Fields of a job file that say what is traded, or that have flags of their own here. */
const NOT_TRAINING = ['title', 'dataset', 'rounds', 'trainers', 'shardsPerTrainer', 'epochs', 'localSteps', 'proximal'];
const LAST_TRAINING_FIELD = 'decay';
export const EPOCHS = 10;

/** Fields that say how a model is trained, not how it is paid. */
export function trainingFields(): string[] {
  const names = jobFields().map(({ name }) => name);
  return names.slice(0, names.indexOf(LAST_TRAINING_FIELD) + 1).filter((name) => !NOT_TRAINING.includes(name));
}

/** Without a proximal term: one trainer has nobody to stay near to. */
export async function jobOf(options: Readonly<Record<string, unknown>>): Promise<JobFile> {
  const file = typeof options['job'] === 'string' ? await readJobFile(options['job']) : undefined;
  const { proximal: _, ...job } = jobFromFlags(file ?? {}, options);
  const isNamed = options['epochs'] !== undefined || options['localSteps'] !== undefined;
  if (isNamed) return job;
  if (file === undefined) return { ...job, epochs: EPOCHS };
  const rounds = job.rounds;
  return job.localSteps === undefined
    ? { ...job, epochs: (job.epochs ?? 2) * rounds }
    : { ...job, localSteps: job.localSteps * rounds };
}

export async function readPlan(data: DataChoices, job: JobFile, { progress }: Context): Promise<Plan> {
  progress.start(`reading ${data.path}`);
  const { schema, examples, test } = await data.read();
  const file = await readModelOf(job);
  const model = modelSpec(job, schema, file?.content);
  const hyper = hyperParameters(job);
  checkOwnSize(model, Math.min(hyper.batch, examples.rows));
  const initial = file && (await readLayersWeights(file.path, file.content, schema));
  if (initial !== undefined) progress.note(`going on from the weights beside ${file!.path}`);
  const digest = (one: Examples) => sha256Hex(encodeExamples(one, schema));
  const { evalFraction } = data;
  const parts = [schema, digest(examples), test === undefined ? null : digest(test), evalFraction];
  const own = fromHex(sha256Hex(JSON.stringify(parts)));
  const split = splitDataset(examples, {
    shards: 1,
    seed: hmacSha256(utf8('nmkt/1/split'), own),
    evalFraction,
    ...(test !== undefined && { test }),
  });
  progress.note(describeTask(schema));
  return {
    ...{ schema, model, hyper, ...(initial && { initial }) },
    examples: split.shards[0]!,
    test: split.b,
    request: sha256Hex(JSON.stringify([...parts, model, hyper, ...(initial ? [paramsHash(initial)] : [])])),
    seed: hmacSha256(utf8('nmkt/1/train'), own),
  };
}
