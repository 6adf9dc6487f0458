import { NmktError } from '../errors.js';
import type { DatasetOptions } from './dataset.js';

/** Flags that only one kind of data understands: given for another, they would be ignored in silence. */

export type DataKind = 'table' | 'text' | 'IDX' | 'images' | 'safetensors';

const NAMES = { table: 'tables', text: 'text', images: 'images' } as const;

const FLAGS: Readonly<Record<keyof typeof NAMES, readonly (readonly [keyof DatasetOptions, string])[]>> = {
  table: [
    ['label', 'label'],
    ['features', 'features'],
    ['drop', 'drop'],
    ['categorical', 'categorical'],
    ['numeric', 'numeric'],
    ['owner', 'partition-column'],
  ],
  text: [
    ['tokenizer', 'tokenizer'],
    ['vocabulary', 'vocabulary'],
    ['context', 'context'],
  ],
  images: [
    ['imageSize', 'image-size'],
    ['grayscale', 'grayscale'],
  ],
};

const CLASSES: Readonly<Partial<Record<DataKind, string>>> = {
  IDX: 'IDX labels are classes',
  text: 'the tokens of a text are classes',
  images: 'the folders of images are classes',
};

const isGiven = (value: unknown): boolean => value !== undefined && !(Array.isArray(value) && value.length === 0);

/** @throws NmktError `bad-usage` */
export function refuseOtherFlags(path: string, options: DatasetOptions, kind: DataKind): void {
  refuseLabelFile(path, options.labels, kind);
  for (const of of ['table', 'text', 'images'] as const) {
    const flag = of === kind ? undefined : FLAGS[of].find(([name]) => isGiven(options[name]))?.[1];
    if (flag !== undefined)
      throw new NmktError(
        'bad-usage',
        `--${flag} is for ${NAMES[of]}, this is ${kind === 'table' ? 'a table' : kind}`,
        {
          remedy: `leave out --${flag}${of === 'table' && kind === 'IDX' ? '; a label file is named with --labels' : ''}`,
          expected: `no flags of ${NAMES[of]}`,
          got: `--${flag}`,
        },
      );
  }
  const classes = CLASSES[kind];
  const isOther = options.task === 'regression' ? classes !== undefined : options.task === 'multilabel';
  if (kind !== 'table' && isOther)
    throw new NmktError('bad-usage', classes ?? 'several labels are columns of a table', {
      remedy: 'leave out --task',
      expected: '--task classification',
      got: `--task ${options.task!}`,
    });
}

/** A table has its label in a column, a text in the token that follows: a file of labels beside them would be ignored. */
export function refuseLabelFile(path: string, labels: string | undefined, kind: DataKind): void {
  if (labels === undefined || kind === 'IDX') return;
  const what = kind === 'images' ? 'folder of images' : kind === 'safetensors' ? 'file of tensors' : kind;
  throw new NmktError('bad-usage', `${path} is a ${what}, and a ${what} has no file of labels`, {
    expected: 'IDX images beside a file of labels',
    got: `a ${what}, and ${labels}`,
    remedy: 'leave the file of labels out; for a table --label COLUMN names the label',
  });
}
