import { readFile } from 'node:fs/promises';
import { isNmktError, NmktError } from '../errors.js';
import { decodeSafetensors, firstNonFinite, type StoredTensor } from '../learning/safetensors.js';
import { readHeader } from '../learning/safetensors-header.js';
import { applyLabel } from '../learning/schema.js';
import type { DataSchema, Examples, Task } from '../learning/types.js';
import { unitScale } from './dataset-idx.js';
import { addCell, columnStats, trimmed } from './schema-column.js';
import { labelSchema, MAX_CLASSES } from './schema-label.js';

/**
 * A safetensors file of tensors `x` [rows, ...shape] and `y` [rows], as PyTorch, NumPy and JAX write it. Bytes in `x` are read as the pixels of
 * IDX are; other numbers are the inputs, as they are. Integers in `y` are classes, floating point is a target.
 */

const INTEGERS: ReadonlySet<string> = new Set(['U8', 'I32', 'I64']);

function badTensors(path: string, why: string, expected: string, got: string, cause?: unknown): NmktError {
  const remedy = 'write tensors x [rows, ...shape] and y [rows]';
  return new NmktError('bad-dataset', `${path} ${why}`, { remedy, expected, got, cause });
}

/** A header of less than 16 MiB, which begins like JSON. */
export function looksLikeSafetensors(start: Uint8Array): boolean {
  return start.length >= 9 && start[8] === 0x7b && start.subarray(3, 8).every((byte) => byte === 0);
}

interface Tensors {
  readonly rows: number;
  /** Of one example. */
  readonly shape: readonly number[];
  readonly features: Uint8Array | Float32Array;
  readonly labels: StoredTensor['data'] | undefined;
  readonly areIntegers: boolean;
}

async function readTensors(path: string, maxBytes: number): Promise<Tensors> {
  const { tensors, dtypes } = decoded(path, await readFile(path), maxBytes);
  const [x, y] = ['x', 'y'].map((name) => tensors.find((tensor) => tensor.name === name));
  const other = tensors.find((tensor) => tensor !== x && tensor !== y);
  if (other !== undefined || x === undefined)
    throw badTensors(
      path,
      'holds other tensors',
      'x and y',
      tensors
        .map(({ name }) => name)
        .join(', ')
        .slice(0, 200) || 'none',
    );
  const [rows = 0, ...shape] = x.shape;
  if (x.shape.length < 2 || x.shape.length > 5 || x.data.length === 0)
    throw badTensors(
      path,
      'has an x of no examples',
      '[rows, ...shape], 1 to 4 sizes in it, none 0',
      `[${x.shape.join(', ')}]`,
    );
  if (y !== undefined && y.shape.join() !== `${rows}`)
    throw badTensors(path, 'has a y of another length', `[${rows}]`, `[${y.shape.join(', ')}]`);
  const features = x.data instanceof Int32Array ? Float32Array.from(x.data) : x.data;
  const hole = features instanceof Float32Array ? firstNonFinite(features) : -1;
  if (hole >= 0)
    throw badTensors(
      path,
      `has no finite number in example ${Math.floor((hole * rows) / features.length)}`,
      'finite numbers in x',
      `${features[hole]!}`,
    );
  return { rows, shape, features, labels: y?.data, areIntegers: INTEGERS.has(dtypes.get('y') ?? '') };
}

function decoded(
  path: string,
  file: Uint8Array,
  maxBytes: number,
): { readonly tensors: readonly StoredTensor[]; readonly dtypes: ReadonlyMap<string, string> } {
  try {
    const dtypes = new Map(readHeader(file).entries.map(({ name, dtype }) => [name, dtype]));
    return { tensors: decodeSafetensors(file, { maxBytes }), dtypes };
  } catch (cause) {
    if (!isNmktError(cause) || cause.code !== 'bad-blob') throw cause;
    throw badTensors(
      path,
      `cannot be read: ${cause.message}`,
      cause.expected ?? 'safetensors',
      cause.got ?? 'other',
      cause,
    );
  }
}

function labelsOf(schema: DataSchema, { rows, labels }: Tensors): Examples['labels'] {
  const out = schema.task === 'classification' ? new Int32Array(rows) : new Float32Array(rows);
  labels?.forEach((label, row) => (out[row] = applyLabel(schema, String(label), `example ${row}`)));
  return out;
}

/** @throws NmktError `bad-dataset`, `label-missing`, `too-large` */
export async function readSafetensorsDataset(
  path: string,
  task: Task | undefined,
  maxBytes: number,
): Promise<{ schema: DataSchema; examples: Examples }> {
  const tensors = await readTensors(path, maxBytes);
  const { rows, shape, features, labels, areIntegers } = tensors;
  if (labels === undefined) throw missingLabels(path);
  const stats = columnStats('y', MAX_CLASSES, trimmed);
  labels.forEach((label, row) => addCell(stats, String(label), `example ${row}`));
  const { label: _, ...label } = labelSchema(stats, task ?? (areIntegers ? 'classification' : 'regression'));
  const inputs = features.length / rows;
  const isBytes = features instanceof Uint8Array;
  const scale = isBytes ? unitScale(features) : 1;
  const schema: DataSchema = { shape, inputs, dtype: isBytes ? 'U8' : 'F32', scale, ...label };
  return { schema, examples: { rows, inputs, features, scale, labels: labelsOf(schema, tensors) } };
}

function missingLabels(path: string): NmktError {
  return new NmktError('label-missing', `${path} has no labels`, {
    remedy: 'add a tensor y [rows]',
    expected: 'tensors x and y',
    got: 'x alone',
  });
}

/** `isLabelled` is false where there is no `y`; the labels are 0 then. */
export async function readSafetensorsWithSchema(
  path: string,
  schema: DataSchema,
  maxBytes: number,
): Promise<{ examples: Examples; isLabelled: boolean }> {
  const tensors = await readTensors(path, maxBytes);
  const { rows, shape, features, labels } = tensors;
  const dtype = features instanceof Uint8Array ? 'U8' : 'F32';
  const isSame = schema.columns === undefined && schema.text === undefined && dtype === schema.dtype;
  if (!isSame || shape.join() !== schema.shape.join())
    throw badTensors(
      path,
      'holds examples of another shape than the model takes',
      `${schema.dtype} [${schema.shape.join(', ')}]${schema.columns === undefined ? '' : ' from a table'}`,
      `${dtype} [${shape.join(', ')}]`,
    );
  const { inputs, scale } = schema;
  const examples = { rows, inputs, features, scale, labels: labelsOf(schema, tensors) };
  return { examples, isLabelled: labels !== undefined };
}
