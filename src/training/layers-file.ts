import { dirname, join } from 'node:path';
import { NmktError } from '../errors.js';
import { sequentialSpec, type GivenModel } from '../learning/layers-model-spec.js';
import { checkParams, parameterShapes } from '../learning/params.js';
import type { DataSchema, ParamSet } from '../learning/types.js';
import { fileSize, parseJson, readAtMost, MAX_JSON_BYTES } from './model-files.js';

/** A LayersModel on disk: what `--model FILE.json` names. */

/** @throws NmktError `bad-usage` where there is none, `too-large`, `bad-job` */
export async function readLayersFile(path: string): Promise<unknown> {
  return parseJson(await readAtMost(path, MAX_JSON_BYTES), path);
}

interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
}
const MAX_FILES = 256;

/**
 * The weights that lie beside the file, in the order and under the names of our model; undefined when it names none.
 *
 * @throws NmktError `bad-job` for weights that are not float32, `shape-mismatch`, `bad-blob` for what is not finite
 */
export async function readLayersWeights(
  path: string,
  file: unknown,
  schema: DataSchema,
): Promise<ParamSet | undefined> {
  const given = sequentialSpec(file, schema);
  const groups = list(field(file, 'weightsManifest') ?? []);
  if (groups.length === 0) return undefined;
  const wanted = parameterShapes(given.spec);
  const expectedBytes = wanted.reduce((sum, { shape }) => sum + 4 * volume(shape), 0);
  const found = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
  let left = expectedBytes;
  for (const group of groups) {
    const entries = list(field(group, 'weights')).map(entryOf);
    const size = entries.reduce((sum, { shape }) => sum + 4 * volume(shape), 0);
    if (!(size <= left)) throw bad(`${expectedBytes} bytes of weights`, 'more');
    left -= size;
    const bytes = await readShards(dirname(path), list(field(group, 'paths')), size);
    let at = 0;
    for (const { name, shape } of entries) {
      const end = at + 4 * volume(shape);
      found.set(name, { shape, data: new Float32Array(bytes.slice(at, end).buffer) });
      at = end;
    }
  }
  const weights = wanted.map(({ name, shape }) => {
    const data = weightOf(given, name, found);
    if (data?.shape.join() === shape.join()) return { name, shape, data: data.data };
    throw new NmktError('shape-mismatch', `the weights of ${path} are not those of its layers`, {
      expected: `one of shape ${shape.join(' x ')} for ${fileName(given, name)}`,
      got: data === undefined ? 'none' : `one of shape ${data.shape.join(' x ')}`,
      remedy: 'export the model again, or take weightsManifest out of the file to start from the seed',
    });
  });
  checkParams(weights, given.spec);
  return weights;
}

/** `layer_3/kernel` of ours is `NAME/kernel`, where NAME is what the file calls that layer; Keras may put more before it. */
function fileName({ names }: GivenModel, own: string): string {
  const [, index, part] = /^layer_(\d+)\/(\w+)$/.exec(own)!;
  return `${names[Number(index)]!}/${part!}`;
}

function weightOf<Weight>(given: GivenModel, own: string, found: ReadonlyMap<string, Weight>): Weight | undefined {
  const name = fileName(given, own);
  const fitting = [...found.keys()].filter((one) => one === name || one.endsWith(`/${name}`));
  return fitting.length === 1 ? found.get(fitting[0]!) : undefined;
}

/** Their sizes are added up before any memory is taken: the file may claim what it likes. */
async function readShards(dir: string, paths: readonly unknown[], size: number): Promise<Uint8Array> {
  const files: string[] = [];
  let there = 0;
  for (const path of paths) {
    if (typeof path !== 'string' || !/^[^/\\]+$/.test(path)) throw bad('names of files beside it', shown(path));
    const file = join(dir, path);
    there += await fileSize(file);
    files.push(file);
  }
  if (there !== size) throw bad(`${size} bytes of weights`, `${there}`);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const file of files) {
    const part = await readAtMost(file, size - at);
    bytes.set(part, at);
    at += part.length;
  }
  if (at !== size) throw bad(`${size} bytes of weights`, `${at}`);
  return bytes;
}

function entryOf(value: unknown): Entry {
  const [name, dtype, shape] = ['name', 'dtype', 'shape'].map((one) => field(value, one));
  if (dtype !== 'float32' || field(value, 'quantization') !== undefined)
    throw bad('weights in float32, not quantized', shown(dtype));
  const isShape = Array.isArray(shape) && shape.every((one) => Number.isInteger(one) && one >= 1 && one <= 2 ** 24);
  if (typeof name !== 'string' || !isShape) throw bad('weights with a name and a shape', shown(name));
  return { name, shape: shape as number[] };
}

const volume = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value) && value.length <= MAX_FILES) return value;
  throw bad(`a weightsManifest of lists of at most ${MAX_FILES}`, Array.isArray(value) ? `${value.length}` : 'none');
}

function field(value: unknown, name: string): unknown {
  const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return isThere ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

const shown = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 80) : typeof value);

function bad(expected: string, got: string): NmktError {
  return new NmktError('bad-job', 'the weights of the LayersModel cannot be read', {
    expected,
    got,
    remedy: 'export the model again, or take weightsManifest out of the file to start from the seed',
  });
}
