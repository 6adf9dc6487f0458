import type { Command } from 'commander';
import { NmktError } from '../errors.js';
import type { Examples, Task } from '../learning/types.js';
import { openDataset, type OpenDataset, type OpenOptions } from '../training/dataset-open.js';
import { readDataset, readWithSchema, TOKENIZERS, type Dataset, type DatasetOptions } from '../training/dataset.js';
import { optionalInteger, optionalNumber } from './customer-ports.js';

/** The flags that say how a file becomes examples: the same wherever a dataset is read. */
export function addDataFlags(program: Command): void {
  program
    .option(
      '--label <column>',
      'table: the column to predict, by name or 0-based number; of --task multilabel several (commas)',
    )
    .option('--labels <file>', 'IDX: the label file (default: the sibling with labels-idx1 in its name)')
    .option('--test <path>', 'evaluation set B, final and reported (default: split off)')
    .option('--test-labels <file>', 'IDX: the labels of --test')
    .option('--eval-fraction <share>', 'share of the rows for evaluation set A, and for B without --test (default 0.1)')
    .option('--task <task>', 'classification, regression, or multilabel: --label a,b,c of 0 and 1 (default: inferred)')
    .option('--features <columns>', 'table: use only these columns (commas)')
    .option('--drop <columns>', 'table: leave these columns out (commas)')
    .option('--categorical <columns>', 'table: treat as categories (commas)')
    .option('--numeric <columns>', 'table: treat as numbers (commas)')
    .option('--tokenizer <name>', 'text: char, byte or bpe (default: char up to 256 different characters, else byte)')
    .option('--vocabulary <n>', 'text: tokens of --tokenizer bpe, learnt from the text (default 1024)')
    .option('--context <n>', 'text: tokens per example (default 64)')
    .option('--image-size <HxW>', 'images: stretch all to this height and width (default: they have one size)')
    .option('--grayscale', 'images: leave the colours out')
    .option('--max-bytes <n>', 'largest file, and largest size a file declares (default 1073741824)');
}

export interface DataChoices {
  readonly path: string;
  readonly evalFraction: number;
  read(): Promise<Dataset>;
  /** For data that may be larger than memory, but for the test set. */
  open(how: Pick<OpenOptions, 'scratch' | 'onRows'>): Promise<OpenDataset>;
}

/** Looks at every flag before a file is read, which may take long. @throws NmktError `bad-usage` */
export function dataChoices(path: string, options: Readonly<Record<string, unknown>>): DataChoices {
  const columns = (name: string) => (typeof options[name] === 'string' ? { [name]: options[name].split(',') } : {});
  const text = (name: string) => (typeof options[name] === 'string' ? { [name]: options[name] } : {});
  if (options['testLabels'] !== undefined && options['test'] === undefined)
    throw new NmktError('bad-usage', '--test-labels belongs to --test', {
      expected: '--test PATH beside it',
      got: 'no --test',
      remedy: 'add --test PATH, or leave out --test-labels',
    });
  const evalFraction = optionalNumber(options['evalFraction'], '--eval-fraction', 0.001, 0.499) ?? 0.1;
  const maxBytes = optionalInteger(options['maxBytes'], '--max-bytes', 1, 2 ** 40);
  const limit = maxBytes === undefined ? {} : { maxBytes };
  const task = oneOf<Task>(
    '--task',
    options['task'],
    ['classification', 'regression', 'multilabel'],
    'leave out --task: the label decides',
  );
  const tokenizer = oneOf('--tokenizer', options['tokenizer'], TOKENIZERS, '--tokenizer char');
  const vocabulary = optionalInteger(options['vocabulary'], '--vocabulary', 257, 4_096);
  const context = optionalInteger(options['context'], '--context', 1, 65_536);
  const imageSize = sizeOf(options['imageSize']);
  const testSet = async ({ schema, test }: Pick<Dataset, 'schema' | 'test'>): Promise<{ readonly test?: Examples }> => {
    if (typeof options['test'] !== 'string') return test === undefined ? {} : { test };
    const labels = typeof options['testLabels'] === 'string' ? { labels: options['testLabels'] } : {};
    return { test: (await readWithSchema(options['test'], schema, { ...labels, ...limit })).examples };
  };
  const how: DatasetOptions = {
    ...text('label'),
    ...text('labels'),
    ...(typeof options['partitionColumn'] === 'string' && { owner: options['partitionColumn'] }),
    ...(task && { task }),
    ...(tokenizer && { tokenizer }),
    ...(vocabulary !== undefined && { vocabulary }),
    ...(context !== undefined && { context }),
    ...(imageSize && { imageSize }),
    ...(options['grayscale'] === true && { grayscale: true }),
    ...columns('features'),
    ...columns('drop'),
    ...columns('categorical'),
    ...columns('numeric'),
    ...limit,
  };
  return {
    path,
    evalFraction,
    async read() {
      const dataset = await readDataset(path, how);
      return { ...dataset, ...(await testSet(dataset)) };
    },
    async open(more) {
      const dataset = await openDataset(path, { ...how, ...more });
      try {
        return { ...dataset, ...(await testSet(dataset)) };
      } catch (error) {
        await dataset.close();
        throw error;
      }
    },
  };
}

/** @throws NmktError `bad-usage` for anything but a height and a width of 1 to 4096 */
function sizeOf(value: unknown): { height: number; width: number } | undefined {
  if (value === undefined) return undefined;
  const [, height, width] = (/^(\d{1,4})x(\d{1,4})$/.exec(value as string) ?? []).map(Number);
  const fits = (size: number | undefined): size is number => size !== undefined && size >= 1 && size <= 4_096;
  if (fits(height) && fits(width)) return { height, width };
  throw new NmktError('bad-usage', '--image-size is no size', {
    expected: 'HxW, each from 1 to 4096',
    got: (value as string).slice(0, 32),
    remedy: '--image-size 28x28',
  });
}

/** @throws NmktError `bad-usage` for another word than those known */
function oneOf<Word extends string>(
  flag: string,
  value: unknown,
  known: readonly Word[],
  remedy: string,
): Word | undefined {
  const found = known.find((word) => word === value);
  if (value === undefined || found !== undefined) return found;
  const got = (value as string).slice(0, 32);
  throw new NmktError('bad-usage', `${flag} ${got} is unknown`, { expected: known.join(' or '), got, remedy });
}
