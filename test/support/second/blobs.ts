import { createDecipheriv } from 'node:crypto';
import { brotliDecompressSync, type BrotliOptions } from 'node:zlib';
import { expand, fromHex, hex, must, sha256, u32, type Events, type Pointer } from './wire.js';

/** Blobs, opened by docs/protocol.md: key, index, leaves, root, seal, padding, size and hash. */

export interface Sealed {
  readonly pointer: Pointer;
  readonly key: string;
  readonly inline?: string | undefined;
  /** SHA-256 of the label; of a shard that of salt and prefix. */
  readonly context: Uint8Array;
  readonly part?: number;
}

const CHUNK = 48_000;
const labelled = (label: string): Buffer => sha256(label);
export const baseContext = (job: string, round: number): Buffer => labelled(`base/${job}/${round}`);
export const updateContext = (job: string, round: number, shard: number, trainer: string): Buffer =>
  labelled(`update/${job}/${round}/${shard}/${trainer}`);
export const stateContext = (job: string, round: number, shard: number, trainer: string): Buffer =>
  labelled(`state/${job}/${round}/${shard}/${trainer}`);
export const rootContext = (job: string, round: number): Buffer => labelled(`root/${job}/${round}`);
export const artifactContext = (job: string): Buffer => labelled(`artifact/${job}`);
export const shardContext = (salt: string): Buffer => sha256('nmkt/1/dataset', fromHex(salt));

const leafOf = (sealed: Uint8Array): Buffer => sha256(Uint8Array.of(0), sealed);
/** RFC 6962, 2.1: the left tree takes the largest power of two below n. */
function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha256(Uint8Array.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** With how many bytes the decoder took: what follows the stream is no part of it. Node has `info`, its types do not. */
const unpack = (packed: Uint8Array) =>
  brotliDecompressSync(packed, { info: true } as BrotliOptions) as unknown as {
    readonly buffer: Buffer;
    readonly engine: { readonly bytesWritten: number };
  };

/** @throws Bad that names `owner`, or Error */
export function openBlob(events: Events, owner: string, sealed: Sealed): Buffer {
  const { pointer, inline } = sealed;
  const key = fromHex(sealed.key);
  const holds = (is: boolean, why: string): void => must(is, owner, why);
  holds(hex(expand(key, 'nmkt/1/commit')) === pointer.commit, 'another key');
  const bytesOf = (id: string): Buffer => {
    const event = events.byId.get(id);
    must(event !== undefined, owner, `chunk ${id} is missing`);
    return Buffer.from(event.content, 'base64');
  };
  let padded: Buffer;
  if (pointer.chunks === 0) {
    holds(inline !== undefined && pointer.ids.length === 0, 'nothing inline');
    const bytes = Buffer.from(inline!, 'base64');
    holds(hex(leafOf(bytes)) === pointer.root, 'another leaf');
    holds(bytes.length - 28 === Math.ceil(pointer.packed / 1_024) * 1_024, 'another length');
    padded = openChunk(bytes, key, sealed, 0, 1, 2);
  } else {
    holds(pointer.chunks === Math.ceil(pointer.packed / CHUNK), 'another number of chunks');
    const records = pointer.chunks === 1 ? null : indexOf(pointer, key, sealed, bytesOf);
    const ids = records?.map(({ id }) => id) ?? pointer.ids;
    const data = ids.map(bytesOf);
    const leaves = data.map(leafOf);
    holds(hex(rootOf(leaves)) === pointer.root, 'another root');
    records?.forEach(({ leaf }, at) => holds(leaf === hex(leaves[at]!), 'another leaf in the index'));
    padded = Buffer.concat(data.map((bytes, at) => openChunk(bytes, key, sealed, at, data.length, 0)));
  }
  holds(
    padded.subarray(pointer.packed).every((byte) => byte === 0),
    'padding that is not zero',
  );
  const { buffer: plain, engine } = unpack(padded.subarray(0, pointer.packed));
  holds(engine.bytesWritten === pointer.packed, 'a stream that ends earlier');
  holds(plain.length === pointer.size, 'another size');
  holds(hex(sha256(plain)) === pointer.sha256, 'another hash');
  return plain;
}

function indexOf(pointer: Pointer, key: Uint8Array, sealed: Sealed, bytesOf: (id: string) => Buffer) {
  const { ids, chunks } = pointer;
  const of = expand(key, 'nmkt/1/index');
  const bytes = Buffer.concat(ids.map((id, at) => openChunk(bytesOf(id), of, sealed, at, ids.length, 1)));
  return Array.from({ length: chunks }, (_, at) => ({
    id: hex(bytes.subarray(64 * at, 64 * at + 32)),
    leaf: hex(bytes.subarray(64 * at + 32, 64 * at + 64)),
  }));
}

/** nonce (12) || ciphertext || tag (16); data 0, index 1, inline 2. */
function openChunk(
  bytes: Buffer,
  key: Uint8Array,
  { context, part = 0 }: Sealed,
  at: number,
  count: number,
  purpose: number,
): Buffer {
  const place = [Buffer.from('nmkt/1/chunk'), context, u32(part), u32(at), u32(count), Buffer.from([purpose])];
  const body = bytes.subarray(12, -16);
  const cipher = createDecipheriv('chacha20-poly1305', expand(key, 'nmkt/1/enc'), bytes.subarray(0, 12), {
    authTagLength: 16,
  });
  cipher.setAAD(Buffer.concat(place), { plaintextLength: body.length });
  cipher.setAuthTag(bytes.subarray(-16));
  return Buffer.concat([cipher.update(body), cipher.final()]);
}
