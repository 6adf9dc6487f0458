import { NmktError } from '../errors.js';
import type { Bytes } from '../hash.js';
import { checkShapes, decodeCanonical, dtypeOf, encodeSafetensors, type SizeLimits } from './safetensors.js';
import { badFile, writeHeader } from './safetensors-header.js';
import type { DataSchema, Examples } from './types.js';

/** A shard: a canonical safetensors file with `features` [rows, ...shape] U8 or F32 and `labels` [rows] I32 or F32. */

/** @throws RangeError (a bug of the caller) when the examples are not of the schema */
export function encodeExamples(examples: Examples, schema: DataSchema): Bytes {
  const { rows, features, labels } = examples;
  const isU8 = features instanceof Uint8Array;
  const isClasses = labels instanceof Int32Array;
  if (
    isU8 !== (schema.dtype === 'U8') ||
    isClasses !== (schema.task !== 'regression') ||
    examples.inputs !== schema.inputs
  ) {
    throw new RangeError('examples and schema differ in dtype, task or inputs');
  }
  return encodeSafetensors([
    { name: 'features', shape: [rows, ...schema.shape], data: features },
    { name: 'labels', shape: [rows], data: labels },
  ]);
}

/** Bytes of the features of one example in its file. */
export function rowBytes({ inputs, dtype }: DataSchema): number {
  return inputs * (dtype === 'U8' ? 1 : 4);
}

/** What stands before the features in the file of `rows` examples, for who has them not in memory; the labels end it, 4 bytes each. */
export function examplesHeader(schema: DataSchema, rows: number): Bytes {
  const begin = rows * rowBytes(schema);
  const labels = schema.task === 'regression' ? 'F32' : 'I32';
  return writeHeader([
    { name: 'features', dtype: schema.dtype, shape: [rows, ...schema.shape], begin: 0, end: begin },
    { name: 'labels', dtype: labels, shape: [rows], begin, end: begin + 4 * rows },
  ]);
}

/** Examples that wait on disk; their canonical file is made when it is asked for. */
export interface StoredExamples {
  readonly rows: number;
  readonly labels: Examples['labels'];
  file(): Promise<Bytes>;
}

/** The canonical file of these examples, wherever they are. */
export async function fileOf(examples: Examples | StoredExamples, schema: DataSchema): Promise<Bytes> {
  return 'file' in examples ? examples.file() : encodeExamples(examples, schema);
}

/** Longest canonical file of `rows` examples of this schema, header included. */
export function maxShardBytes(schema: DataSchema, rows: number): number {
  return rows * (rowBytes(schema) + 4) + 1024;
}

/** How many different labels an example may have: classes, or sets of labels. */
export function labelCount({ task, outputs }: Pick<DataSchema, 'task' | 'outputs'>): number {
  return task === 'multilabel' ? 2 ** outputs : outputs;
}

function checkClasses(labels: Int32Array, count: number): void {
  const at = labels.findIndex((label) => label < 0 || label >= count);
  if (at >= 0)
    throw badFile(`the label of example ${at} is no class`, { expected: `0 to ${count - 1}`, got: `${labels[at]!}` });
}

function checkTokens(tokens: Uint8Array | Float32Array, vocabulary: number): void {
  const at = tokens.findIndex((token) => !(Number.isInteger(token) && token >= 0 && token < vocabulary));
  if (at >= 0)
    throw badFile(`token ${at} is not in the vocabulary`, {
      expected: `0 to ${vocabulary - 1}`,
      got: `${tokens[at]!}`,
    });
}

/**
 * @throws NmktError `bad-blob` for bytes that are not canonical or a label out of range, `shape-mismatch` when they are
 *         not of the schema, `too-large`
 */
export function decodeExamples(file: Bytes, schema: DataSchema, limits: SizeLimits): Examples {
  const tensors = decodeCanonical(file, limits);
  const rows = tensors.find(({ name }) => name === 'labels')?.shape[0] ?? 0;
  const labelType = schema.task === 'regression' ? 'F32' : 'I32';
  checkShapes(
    tensors.map(({ name, shape, data }) => ({ name, shape, dtype: dtypeOf(data) })),
    [
      { name: 'features', shape: [rows, ...schema.shape], dtype: schema.dtype },
      { name: 'labels', shape: [rows], dtype: labelType },
    ],
  );
  const features = tensors[0]!.data as Uint8Array | Float32Array;
  const labels = tensors[1]!.data as Int32Array | Float32Array;
  if (rows === 0)
    throw new NmktError('bad-blob', 'the shard holds no examples', {
      remedy: 'ask its author to publish it again',
      expected: 'at least 1 row',
      got: '0',
    });
  if (labels instanceof Int32Array) checkClasses(labels, labelCount(schema));
  if (schema.text !== undefined) checkTokens(features, schema.outputs);
  return { rows, inputs: schema.inputs, features, scale: schema.scale, labels };
}

function pickRows<A extends Uint8Array | Float32Array>(from: A, to: A, width: number, indices: ArrayLike<number>): A {
  for (let i = 0; i < indices.length; i++) {
    const row = indices[i]!;
    to.set(from.subarray(row * width, (row + 1) * width), i * width);
  }
  return to;
}

/** A copy of these examples in this order. @throws RangeError for an index outside [0, rows) */
export function subset(examples: Examples, indices: Uint32Array): Examples {
  const outside = indices.find((index) => index >= examples.rows);
  if (outside !== undefined) throw new RangeError(`example ${outside} of ${examples.rows}`);
  const { inputs, features, labels } = examples;
  const picked =
    features instanceof Uint8Array
      ? pickRows(features, new Uint8Array(indices.length * inputs), inputs, indices)
      : pickRows(features, new Float32Array(indices.length * inputs), inputs, indices);
  const pickedLabels = labels instanceof Int32Array ? new Int32Array(indices.length) : new Float32Array(indices.length);
  indices.forEach((index, i) => (pickedLabels[i] = labels[index]!));
  return { rows: indices.length, inputs, features: picked, scale: examples.scale, labels: pickedLabels };
}
