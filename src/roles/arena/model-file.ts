import { z } from 'zod';
import { sealBlob } from '../../blob/blob.js';
import { CHUNK_BYTES } from '../../blob/chunk.js';
import { labelContext, uploadSecret } from '../../blob/keys.js';
import { indexChunks } from '../../blob/pointer.js';
import { uploadBlob } from '../../blob/transfer.js';
import { NmktError } from '../../errors.js';
import { fromHex, hkdfExpand32, u32be, type Bytes, type EventId } from '../../hash.js';
import { parameterShapes } from '../../learning/params.js';
import { decodeParams, encodeParams } from '../../learning/safetensors.js';
import type { ModelSpec, ParamSet } from '../../learning/types.js';
import type { ArenaTerms } from '../../protocol/arena/job.js';
import { publishedChunks } from '../../protocol/arena/submission.js';
import { parseJson } from '../../protocol/json.js';
import { modelSpec } from '../../protocol/model.js';
import type { Pointer } from '../../protocol/pointer.js';
import type { Relays } from '../../ports.js';
import { chunkExpiry } from '../round-blobs.js';

/** A model of an arena as one file: what it is, and its weights; one hash names both. */

/** Of the JSON. */
const MAX_SPEC_BYTES = 65_536;

export interface ArenaModel {
  readonly spec: ModelSpec;
  readonly params: ParamSet;
}

/** u32 length of JSON, the JSON of the model, canonical safetensors. */
export function encodeModelFile({ spec, params }: ArenaModel): Bytes {
  const json = Buffer.from(JSON.stringify(z.encode(modelSpec, spec)));
  return Buffer.concat([u32be(json.length), json, encodeParams(params)]);
}

/** @throws NmktError `bad-blob`, `shape-mismatch`, `too-large` */
export function decodeModelFile(file: Bytes): ArenaModel {
  const expected = `u32, JSON of at most ${MAX_SPEC_BYTES} bytes, weights`;
  if (file.length < 4) throw noModel(expected, `${file.length} bytes`);
  const view = Buffer.from(file.buffer, file.byteOffset, file.length);
  const length = view.readUInt32BE(0);
  if (length > Math.min(MAX_SPEC_BYTES, file.length - 4)) throw noModel(expected, `JSON of ${length} bytes`);
  const text = view.toString('utf8', 4, 4 + length);
  const result = z.safeDecode(modelSpec, parsed(text));
  if (!result.success) throw noModel(result.error.issues[0]?.message ?? 'a model', text.slice(0, 80));
  return { spec: result.data, params: decodeParams(file.subarray(4 + length), parameterShapes(result.data)) };
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}

function noModel(expected: string, got: string): NmktError {
  return new NmktError('bad-blob', 'a file holds no model', { expected, got, remedy: 'nothing: it has no rank' });
}

/** Names nobody: a validator opens it without learning whose it is. */
export const modelLabel = (job: EventId, stage: number) => `model/${job}/${stage}`;

const chunksOf = (bytes: number): number => {
  const data = Math.max(1, Math.ceil(bytes / CHUNK_BYTES));
  return data + indexChunks(data);
};

/**
 * Seals and uploads a model file, with as many chunks of nothing as hide its size. Deterministic given its arguments, so a repetition
 * stores nothing twice.
 *
 * @param secret   32 bytes, of this submission alone
 * @param dateSec  the same for all of a stage
 */
export async function publishModelFile(
  relays: Relays,
  file: Bytes,
  of: {
    readonly job: EventId;
    readonly terms: ArenaTerms;
    readonly stage: number;
    readonly secret: Bytes;
    readonly dateSec: number;
  },
  signal?: AbortSignal,
): Promise<{ readonly key: Bytes; readonly pointer: Pointer }> {
  const { job, terms, stage, secret, dateSec } = of;
  const key = hkdfExpand32(secret, 'nmkt/1/model/key');
  const sealing = {
    uploadSecret: uploadSecret(hkdfExpand32(secret, 'nmkt/1/model/upload')),
    ...{ context: labelContext(modelLabel(job, stage)), part: 0, baseTimeSec: dateSec },
    ...{ expirationSec: chunkExpiry(terms.arena.finalUntil), inline: 'never' as const },
  };
  const sealed = sealBlob(file, { key, ...sealing });
  const fill = publishedChunks(sealed.events.length, chunksOf(terms.arena.maxModelBytes)) - sealed.events.length;
  const nothing = Array.from(
    { length: fill },
    (_, i) => sealBlob(fromHex('00'), { key: hkdfExpand32(secret, 'nmkt/1/model/fill', u32be(i)), ...sealing }).events,
  );
  await uploadBlob(relays, [...sealed.events, ...nothing.flat()], signal === undefined ? {} : { signal });
  return { key, pointer: { ...sealed.pointer, ids: [...sealed.pointer.ids] } };
}
