import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { NmktError } from '../errors.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { readIdx, type Idx } from './idx.js';

/** Images and labels in two IDX files, as MNIST, Fashion-MNIST and EMNIST are. */

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/**
 * `labels-idx1` beside `images-idx3` (or `.idx1` and `.idx3`), with or without .gz.
 *
 * @throws NmktError `label-missing` naming the files looked for
 */
async function labelsBeside(images: string): Promise<string> {
  const name = basename(images).replace(/images([-.])idx\d/, 'labels$1idx1');
  const plain = name.replace(/\.gz$/, '');
  const candidates =
    name === basename(images) ? [] : [name, plain, `${plain}.gz`].map((file) => join(dirname(images), file));
  for (const candidate of candidates) if (await isFile(candidate)) return candidate;
  throw new NmktError('label-missing', `the labels of ${images} are not there`, {
    remedy: '--labels FILE',
    expected: candidates[0] ?? 'an IDX file of labels',
    got: 'no such file',
  });
}

async function readPair(
  images: string,
  labels: string | undefined,
  maxBytes: number,
): Promise<{ images: Idx; labels: Idx }> {
  const pair = {
    images: await readIdx(images, maxBytes),
    labels: await readIdx(labels ?? (await labelsBeside(images)), maxBytes),
  };
  checkImages(images, pair.images);
  if (pair.labels.shape.length !== 1)
    throw new NmktError('bad-dataset', `the labels of ${images} are no list`, {
      remedy: 'give an idx1 file with --labels',
      expected: 'rank 1',
      got: `rank ${pair.labels.shape.length}`,
    });
  if (pair.labels.shape[0] !== pair.images.shape[0])
    throw new NmktError('bad-dataset', `${images} and its labels differ in length`, {
      remedy: 'give the label file that belongs to it with --labels',
      expected: `${pair.images.shape[0]!} labels`,
      got: `${pair.labels.shape[0]!}`,
    });
  return pair;
}

function checkImages(path: string, { shape, data }: Idx): void {
  if (shape.length < 2 || data.length === 0)
    throw new NmktError('bad-dataset', `${path} holds no images`, {
      remedy: 'give an idx3 file',
      expected: '[rows, height, width], none 0',
      got: `[${shape.join(', ')}]`,
    });
}

function toExamples(images: Idx, labels: Int32Array, scale: number): Examples {
  const rows = images.shape[0]!;
  return { rows, inputs: images.data.length / rows, features: images.data, scale, labels };
}

/**
 * Standard deviation of all pixels, rounded, at least 1: divided by it, inputs have unit variance and black stays 0.
 * On MNIST that is 79, and a federated MLP learns in four rounds what it learns in five at 255.
 */
export function unitScale(pixels: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const pixel of pixels) counts[pixel]!++;
  let sum = 0;
  let squares = 0;
  counts.forEach((count, value) => {
    sum += count * value;
    squares += count * value * value;
  });
  const mean = sum / pixels.length;
  return Math.max(1, Math.round(Math.sqrt(Math.max(0, squares / pixels.length - mean * mean))));
}

function inferSchema(images: Idx, labels: Idx): DataSchema {
  const classes = [...new Set(labels.data)].sort((a, b) => a - b).map(String);
  if (classes.length < 2)
    throw new NmktError('bad-dataset', 'all labels are the same', {
      remedy: 'check the label file',
      expected: 'at least 2 classes',
      got: classes.join(),
    });
  const shape = images.shape.slice(1);
  const inputs = images.data.length / images.shape[0]!;
  const scale = unitScale(images.data);
  return { task: 'classification', shape, inputs, dtype: 'U8', scale, outputs: classes.length, classes };
}

function classIndices(labels: Idx, schema: DataSchema): Int32Array {
  const classes = schema.classes ?? [];
  return Int32Array.from(labels.data, (label, row) => {
    const index = classes.indexOf(`${label}`);
    if (index < 0)
      throw new NmktError('bad-dataset', `the label of example ${row} is no class of the model`, {
        remedy: 'give data with the same classes',
        expected: classes.slice(0, 20).join(', '),
        got: `${label}`,
      });
    return index;
  });
}

export async function readIdxDataset(
  images: string,
  labels: string | undefined,
  maxBytes: number,
): Promise<{ schema: DataSchema; examples: Examples }> {
  const pair = await readPair(images, labels, maxBytes);
  const schema = inferSchema(pair.images, pair.labels);
  return { schema, examples: toExamples(pair.images, classIndices(pair.labels, schema), schema.scale) };
}

/** `isLabelled` is false when there is no label file and `labelsOptional`; the labels are 0 then. */
export async function readIdxWithSchema(
  path: string,
  schema: DataSchema,
  options: { readonly labels?: string; readonly labelsOptional?: boolean; readonly maxBytes: number },
): Promise<{ examples: Examples; isLabelled: boolean }> {
  const images = await readIdx(path, options.maxBytes);
  checkImages(path, images);
  const shape = images.shape.slice(1);
  if (schema.dtype !== 'U8' || shape.join() !== schema.shape.join())
    throw new NmktError('bad-dataset', `${path} holds examples of another shape`, {
      remedy: 'give data like those the model was trained on',
      expected: `${schema.dtype} [${schema.shape.join(', ')}]`,
      got: `U8 [${shape.join(', ')}]`,
    });
  const labelFile =
    options.labels ??
    (await labelsBeside(path).catch((error: unknown) => {
      if (options.labelsOptional === true) return undefined;
      throw error;
    }));
  if (labelFile === undefined)
    return { examples: toExamples(images, new Int32Array(images.shape[0]!), schema.scale), isLabelled: false };
  const pair = await readPair(path, labelFile, options.maxBytes);
  return { examples: toExamples(images, classIndices(pair.labels, schema), schema.scale), isLabelled: true };
}

const TRAIN = 'train';
const TEST = 't10k|test';
const namePattern = (stem: string) => new RegExp(`^(${stem})-images[-.]idx3-ubyte(\\.gz)?$`);

/** Is it one of the names that MNIST's files have? */
export function isIdxName(name: string): boolean {
  return namePattern(`${TRAIN}|${TEST}`).test(name);
}

/**
 * The usual names in a folder: train-images and, if there, t10k-images or test-images.
 *
 * @throws NmktError `bad-dataset` listing what is there
 */
export async function imagesInFolder(folder: string): Promise<{ train: string; test?: string }> {
  const files = (await readdir(folder)).sort();
  const find = (stem: string) => files.find((file) => namePattern(stem).test(file));
  const [train, test] = [find(TRAIN), find(TEST)];
  if (train === undefined)
    throw new NmktError('bad-dataset', `${folder} holds no dataset of known names`, {
      remedy: 'name the file itself',
      expected: 'train-images-idx3-ubyte or train-images-idx3-ubyte.gz',
      got: files.slice(0, 20).join(', ') || 'an empty folder',
    });
  return { train: join(folder, train), ...(test === undefined ? {} : { test: join(folder, test) }) };
}
