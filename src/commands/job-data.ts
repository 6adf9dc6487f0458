import type { Command } from 'commander';
import { NmktError } from '../errors.js';
import type { Bytes } from '../hash.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { bundledDigits } from '../simulate/digits-data.js';
import { splitDataset, type PartitionChoice, type Split } from '../training/split.js';
import { addDataFlags, dataChoices, type DataChoices } from './data-flags.js';
import { addPartitionFlags, partitionChoice } from './partition-flags.js';

/** The data of a job that is not posted: a file, or the bundled digits, cut as publish-dataset cuts it. */
export interface JobData {
  /** Null: the bundled digits. */
  readonly file: DataChoices | null;
  readonly partition: PartitionChoice;
}

type Options = Readonly<Record<string, unknown>>;

export function addJobDataFlags(program: Command): void {
  program.option('--data <path>', 'as publish-dataset takes it (default: the bundled digits)');
  addDataFlags(program);
  addPartitionFlags(program);
}

/** What the flags say, before any file is read. @throws NmktError `bad-usage` */
export function jobData(options: Options): JobData {
  const path = options['data'];
  return {
    file: typeof path === 'string' ? dataChoices(path, options) : noData(options),
    partition: partitionChoice(options),
  };
}

/** Names of options of data-flags.ts, which describe a file. */
const DATA_FLAGS = ['label', 'labels', 'test', 'testLabels', 'task', 'features', 'drop', 'categorical', 'numeric'];
const TEXT_FLAGS = [
  'tokenizer',
  'vocabulary',
  'context',
  'maxBytes',
  'evalFraction',
  'partitionColumn',
  'imageSize',
  'grayscale',
];

function noData(options: Options): null {
  const given = [...DATA_FLAGS, ...TEXT_FLAGS].find((name) => options[name] !== undefined);
  if (given === undefined) return null;
  // Its own error comes first: a wrong value is wrong with a file, too.
  dataChoices('', options);
  const flag = `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new NmktError('bad-usage', `${flag} describes your own data`, {
    expected: '--data PATH beside it',
    got: 'no --data',
    remedy: `add --data PATH, or leave out ${flag}`,
  });
}

export interface CutData {
  readonly schema: DataSchema;
  readonly split: Split;
}

/**
 * @param isSmall  digits of 7 x 7 pixels, where there is no file
 * @throws NmktError of the file, or `bad-dataset` where it has too few rows
 */
export async function cutData(
  { file, partition }: JobData,
  shards: number,
  seed: Bytes,
  isSmall: boolean,
): Promise<CutData> {
  const read: { schema: DataSchema; examples: Examples; test?: Examples; owners?: Int32Array } =
    file === null ? bundledDigits(isSmall) : await file.read();
  const split = splitDataset(read.examples, {
    ...{ shards, seed, partition },
    ...(file !== null && { evalFraction: file.evalFraction }),
    ...(read.test !== undefined && { test: read.test }),
    ...(read.owners !== undefined && { owners: read.owners }),
  });
  return { schema: read.schema, split };
}
