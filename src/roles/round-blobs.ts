import { labelContext, uploadSecret } from '../blob/keys.js';
import { sealBlob, type SealedBlob } from '../blob/blob.js';
import { downloadBlob, downloadByFile, uploadBlob, type ChunkFile } from '../blob/transfer.js';
import { hkdfExpand32, u32be, type Bytes, type EventId, type Pubkey } from '../hash.js';
import { parameterShapes } from '../learning/params.js';
import { decodeParams, encodeParams, type NamedShape } from '../learning/safetensors.js';
import type { ModelSpec, ParamSet } from '../learning/types.js';
import type { Pointer } from '../protocol/pointer.js';
import type { Relays } from '../ports.js';

/** Models, updates and states on the wire: canonical bytes, sealed as a blob under a label of their own. */

export const baseLabel = (job: EventId, round: number) => `base/${job}/${round}`;
export const updateLabel = (job: EventId, round: number, shard: number, trainer: Pubkey) =>
  `update/${job}/${round}/${shard}/${trainer}`;
export const stateLabel = (job: EventId, round: number, shard: number, trainer: Pubkey) =>
  `state/${job}/${round}/${shard}/${trainer}`;
export const rootLabel = (job: EventId, round: number) => `root/${job}/${round}`;
export const artifactLabel = (job: EventId) => `artifact/${job}`;

/** Blobs of a job outlive its deadline by 30 days: time for audits. */
export function chunkExpiry(deadline: number): number {
  return deadline + 30 * 86_400;
}

/** Keys of one owner for one purpose, from its 32-byte secret: what opens the blob, and what signs its chunks. */
export function blobSecrets(
  secret: Bytes,
  purpose: string,
  index: number,
): { readonly key: Bytes; readonly upload: Bytes } {
  return {
    key: hkdfExpand32(secret, `nmkt/1/${purpose}/key`, u32be(index)),
    upload: uploadSecret(hkdfExpand32(secret, `nmkt/1/${purpose}/upload`, u32be(index))),
  };
}

export interface PublishedBlob {
  readonly pointer: Pointer;
  readonly inline?: string;
  /** Of its data chunks, in order. */
  readonly chunks: readonly EventId[];
}

interface BlobAbout {
  readonly label: string;
  readonly dateSec: number;
  readonly expirationSec: number;
  /** Beside another blob in one event there is room for one only. */
  readonly inline?: 'never';
}

/** Seals and uploads; deterministic given its arguments, so a repetition stores nothing twice. */
export function publishBytes(
  relays: Relays,
  bytes: Bytes,
  of: BlobAbout & { readonly secret: Bytes; readonly purpose: string; readonly index: number },
  signal?: AbortSignal,
): Promise<PublishedBlob> {
  return publishSealed(relays, bytes, { ...of, ...blobSecrets(of.secret, of.purpose, of.index) }, signal);
}

/** As `publishBytes`, under a key that follows from something else. @param of  `upload` signs its chunks */
export async function publishSealed(
  relays: Relays,
  bytes: Bytes,
  of: BlobAbout & { readonly key: Bytes; readonly upload: Bytes },
  signal?: AbortSignal,
): Promise<PublishedBlob> {
  const sealed: SealedBlob = sealBlob(bytes, {
    key: of.key,
    uploadSecret: of.upload,
    context: labelContext(of.label),
    part: 0,
    baseTimeSec: of.dateSec,
    expirationSec: of.expirationSec,
    inline: of.inline ?? 'allow',
  });
  await uploadBlob(relays, sealed.events, signal === undefined ? {} : { signal });
  const pointer = { ...sealed.pointer, ids: [...sealed.pointer.ids] };
  const chunks = sealed.events.slice(0, pointer.chunks).map(({ id }) => id);
  return { pointer, chunks, ...(sealed.inline !== undefined && { inline: sealed.inline }) };
}

export function publishParams(
  relays: Relays,
  params: ParamSet,
  of: Parameters<typeof publishBytes>[2],
  signal?: AbortSignal,
): Promise<PublishedBlob> {
  return publishBytes(relays, encodeParams(params), of, signal);
}

/** The most canonical bytes that tensors of these shapes can take: header included. */
function maxCanonicalBytes(shapes: readonly NamedShape[]): number {
  const count = shapes.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const names = shapes.reduce((sum, { name }) => sum + name.length, 0);
  return count * 4 + names + shapes.length * 160 + 64;
}

export interface BlobPlace {
  readonly pointer: Pointer;
  readonly inline?: string | undefined;
  readonly key: Bytes;
  readonly label: string;
}

/** Fetches, checks and decodes; shapes must be those of the model. @param file  keeps what was fetched for the next run */
export async function fetchParams(
  relays: Relays,
  source: BlobPlace,
  spec: ModelSpec,
  signal?: AbortSignal,
  file?: ChunkFile,
): Promise<ParamSet> {
  const shapes = parameterShapes(spec);
  return decodeParams(await fetchCanonical(relays, source, shapes, signal, file), shapes);
}

/** Canonical bytes of tensors of these shapes; whether they are is for who decodes them. */
export function fetchCanonical(
  relays: Relays,
  source: BlobPlace,
  shapes: readonly NamedShape[],
  signal?: AbortSignal,
  file?: ChunkFile,
): Promise<Bytes> {
  return fetchBytes(relays, source, maxCanonicalBytes(shapes), signal, file);
}

/** @param maxBytes  a blob that says it is longer is not fetched */
export function fetchBytes(
  relays: Relays,
  source: BlobPlace,
  maxBytes: number,
  signal?: AbortSignal,
  file?: ChunkFile,
): Promise<Bytes> {
  const options = {
    key: source.key,
    context: labelContext(source.label),
    part: 0,
    maxBytes,
    inline: source.inline,
    ...(signal === undefined ? {} : { signal }),
  };
  return file === undefined
    ? downloadBlob(relays, source.pointer, options)
    : downloadByFile(relays, source.pointer, options, file);
}
