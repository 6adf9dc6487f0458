import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NmktError } from '../errors.js';
import { fromHex, type EventId } from '../hash.js';
import { initialParams } from '../learning/params.js';
import { initialisationSeed, trainingSeed } from '../learning/seeds.js';
import type { HyperParameters } from '../learning/types.js';
import { JOB } from '../protocol/job.js';
import type { Relays } from '../ports.js';
import { customerData } from '../roles/customer-data.js';
import type { JobSecrets } from '../roles/customer-env.js';
import { secretsFile } from '../roles/job-files.js';
import type { Context } from './command.js';

/** What the market's model is held against: accuracies in [0, 1] on evaluation set B. */
export interface Comparison {
  readonly initialAccuracy: number;
  /** One trainer with shard 0 alone, as many epochs (or steps) as in all rounds together. */
  readonly soloAccuracy: number;
}

export async function readSecrets(customerHome: string, jobId: EventId): Promise<JobSecrets> {
  return JSON.parse(await readFile(join(customerHome, secretsFile(jobId)), 'utf8')) as JobSecrets;
}

/** @throws NmktError `bad-usage` for regression, where there is no accuracy */
export function classesOf(secrets: JobSecrets): number {
  const { task, outputs } = JOB.parse(secrets.event).content.model;
  if (task === 'classification') return outputs;
  throw new NmktError('bad-usage', 'the demo compares accuracies, and this label is a quantity', {
    expected: 'a label column with classes',
    got: 'regression',
    remedy: 'name another column with --label; or see nmkt publish-dataset --help to train on quantities',
  });
}

/** Trains in this process, from the same initial weights, on the same shard and with the same engine as the market did. */
export async function compareAlone(
  { deps, signal }: Context,
  secrets: JobSecrets,
  relays: Relays,
): Promise<Comparison> {
  const { id, author, content: terms } = JOB.parse(secrets.event);
  const { model, hyper, rounds } = terms;
  const data = customerData(relays, secrets, signal);
  const engine = await deps.engine({ accepted: terms.acceptedEngines });
  const [examples, evaluation] = [await data.shard(0), await data.evaluationB()];
  const seed = fromHex(secrets.seed);
  const initial = initialParams(model, initialisationSeed(seed));
  const before = await engine.evaluate(model, initial, evaluation);
  const alone = await engine.train(
    {
      model,
      weights: initial,
      examples,
      hyper: allRounds(hyper, rounds),
      seed: trainingSeed(seed, 0, 0, author),
    },
    undefined,
    signal,
  );
  const after = await engine.evaluate(model, alone.weights, evaluation);
  if (before.accuracy === undefined || after.accuracy === undefined)
    throw new TypeError(`job ${id} has no accuracies to compare`);
  return { initialAccuracy: before.accuracy, soloAccuracy: after.accuracy };
}

export function allRounds(hyper: HyperParameters, rounds: number): HyperParameters {
  const { epochs, localSteps } = hyper;
  return {
    ...hyper,
    ...(epochs === undefined ? {} : { epochs: epochs * rounds }),
    ...(localSteps === undefined ? {} : { localSteps: localSteps * rounds }),
  };
}
