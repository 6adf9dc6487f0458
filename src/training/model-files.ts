import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Disk } from '../disk/disk.js';
import { replaceFile } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError, type ErrorCode } from '../errors.js';
import { sha256Hex, utf8, type Bytes, type Sha256 } from '../hash.js';
import { plainSpec } from '../learning/architecture.js';
import { readLayersModel } from '../learning/layers-model.js';
import { kindOf, modelCost, type ModelCost, type ModelKind } from '../learning/model-cost.js';
import { checkParams, parameterCount, parameterShapes } from '../learning/params.js';
import { decodeParams, encodeParams } from '../learning/safetensors.js';
import type { ModelSpec, ParamSet } from '../learning/types.js';
import { checkSpec } from './model-spec.js';
import { layersModel, manifestBytes } from './model-topology.js';

/** A model on disk: for stock TensorFlow.js (model.json, weights.bin) and for everything else (model.safetensors). */
const MODEL_JSON = 'model.json';
const WEIGHTS_BIN = 'weights.bin';
const SAFETENSORS = 'model.safetensors';

/** A model is made to be given away: the user's umask decides. */
const MODE = 0o666;

/** model.json holds no weights: a larger one is not ours. */
export const MAX_JSON_BYTES = 4 * 2 ** 20;
/** Parameters of the largest model that is read back. */
const MAX_PARAMS = 250_000_000;

/** What belongs to the model and not to its layers: scale of the inputs, class names, job, round. JSON values only. */
export type ModelMeta = Readonly<Record<string, unknown>>;
export type ModelHashes = Readonly<Record<typeof MODEL_JSON | typeof WEIGHTS_BIN | typeof SAFETENSORS, Sha256>>;
export interface StoredModel {
  readonly spec: ModelSpec;
  readonly weights: ParamSet;
  readonly meta: ModelMeta;
}

/**
 * Writes the three files, each whole or not at all; equal models give equal bytes. model.json comes last and names the
 * hash of the weights, so a write that was cut short cannot be read as a mixture of two models.
 *
 * @param meta  kept in model.json as `userDefinedMetadata.nmkt.meta`, keys sorted
 */
export async function writeModelFiles(
  dir: string,
  spec: ModelSpec,
  weights: ParamSet,
  meta: ModelMeta,
  disk: Disk = nodeDisk,
): Promise<ModelHashes> {
  checkSpec(spec);
  checkParams(weights, spec);
  const safetensors = encodeParams(weights);
  const binary = manifestBytes(weights);
  const nmkt = {
    spec: plainSpec(spec),
    safetensorsSha256: sha256Hex(safetensors),
    meta: sortKeys(meta),
  };
  const file = { ...layersModel(spec, weights, WEIGHTS_BIN), userDefinedMetadata: { nmkt } };
  const json = utf8(`${JSON.stringify(file, undefined, 2)}\n`);
  await replaceFile(disk, join(dir, WEIGHTS_BIN), binary, MODE);
  await replaceFile(disk, join(dir, SAFETENSORS), safetensors, MODE);
  await replaceFile(disk, join(dir, MODEL_JSON), json, MODE);
  return { [MODEL_JSON]: sha256Hex(json), [WEIGHTS_BIN]: sha256Hex(binary), [SAFETENSORS]: sha256Hex(safetensors) };
}

/**
 * Reads what `writeModelFiles` wrote.
 *
 * @throws NmktError `bad-job` for a model.json of something else, `too-large`, `hash-mismatch` when the weights are not
 *         those of model.json, `shape-mismatch` or `bad-blob` when they do not fit the model
 */
export async function readModelFiles(dir: string): Promise<StoredModel> {
  const { spec, meta, safetensorsSha256 } = parseModelJson(await readAtMost(join(dir, MODEL_JSON), MAX_JSON_BYTES));
  checkSpec(spec);
  const params = parameterCount(spec);
  if (params > MAX_PARAMS)
    throw unreadable('too-large', 'the model is too large', `at most ${MAX_PARAMS} parameters`, `${params}`);
  const bytes = await readAtMost(join(dir, SAFETENSORS), 4 * params + 2 ** 16);
  const got = sha256Hex(bytes);
  if (got !== safetensorsSha256)
    throw unreadable(
      'hash-mismatch',
      `${SAFETENSORS} does not belong to ${MODEL_JSON}`,
      `sha256 ${safetensorsSha256}`,
      got,
    );
  const weights = decodeParams(bytes, parameterShapes(spec));
  checkParams(weights, spec);
  return { spec, weights, meta };
}

/** What a model takes, from its model.json alone: one of ours, or a LayersModel of TensorFlow.js or Keras. */
export interface ModelSize {
  readonly name: string;
  readonly kind: ModelKind;
  readonly cost: ModelCost;
}

/**
 * @param path  a model.json, or the folder of one
 * @throws NmktError `bad-job` for what is no model, or has layers that are not on the list
 */
export async function readModelSize(path: string): Promise<ModelSize> {
  const file = path.endsWith('.json') ? path : join(path, MODEL_JSON);
  const json = parseJson(await readAtMost(file, MAX_JSON_BYTES));
  const spec = field(field(field(json, 'userDefinedMetadata'), 'nmkt'), 'spec');
  if (!isObject(spec)) return readLayersModel(json);
  const own = spec as unknown as ModelSpec;
  checkSpec(own);
  return { name: own.model, kind: kindOf(own), cost: modelCost(own) };
}

function parseModelJson(bytes: Bytes): { spec: ModelSpec; meta: ModelMeta; safetensorsSha256: string } {
  const file = parseJson(bytes);
  const nmkt = field(field(file, 'userDefinedMetadata'), 'nmkt');
  const [spec, meta, safetensorsSha256] = ['spec', 'meta', 'safetensorsSha256'].map((name) => field(nmkt, name));
  if (!isObject(spec) || !isObject(meta) || typeof safetensorsSha256 !== 'string')
    throw unreadable(
      'bad-job',
      `${MODEL_JSON} is not usable`,
      'a model written by nmkt',
      'no userDefinedMetadata.nmkt of that form',
    );
  return { spec: spec as unknown as ModelSpec, meta, safetensorsSha256 };
}

export function parseJson(bytes: Bytes, path: string = MODEL_JSON): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw unreadable('bad-job', `${path} is not usable`, 'JSON in UTF-8', 'something else');
  }
}

export async function readAtMost(path: string, maxBytes: number): Promise<Bytes> {
  const size = await fileSize(path);
  if (size > maxBytes) throw unreadable('too-large', `${path} is too large`, `at most ${maxBytes} bytes`, `${size}`);
  return new Uint8Array(await readFile(path));
}

/** @throws NmktError `bad-usage` for what is no file */
export async function fileSize(path: string): Promise<number> {
  const missing = (got: string, cause?: unknown) =>
    new NmktError('bad-usage', `there is no model at ${path}`, {
      ...{
        remedy: 'name the folder that nmkt collect-model wrote, or a model.json',
        expected: 'a readable file',
        got,
        cause,
      },
    });
  const found = await stat(path).catch((cause: unknown) => {
    throw missing((cause as NodeJS.ErrnoException).code ?? 'an unreadable one', cause);
  });
  if (!found.isFile()) throw missing('a folder or a device');
  return found.size;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function field(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sortKeys(inner)]),
  );
}

function unreadable(code: ErrorCode, message: string, expected: string, got: string): NmktError {
  return new NmktError(code, message, {
    remedy: 'write or export the model again, e.g. nmkt collect-model',
    expected,
    got,
  });
}
