import { createHash } from 'node:crypto';
import { brotliDecompressSync } from 'node:zlib';
import { refuse } from './json.js';
import { fromBase64 } from './scalars.js';

/** The section "Blobs": consistency of pointers, padding, index and Merkle tree, from the page. */

export interface Pointer {
  readonly sha256: string;
  readonly size: number;
  readonly packed: number;
  readonly chunks: number;
  readonly root: string;
  readonly commit: string;
  readonly ids: readonly string[];
}

/** "Consistency, which a reader MUST check before it fetches or allocates", in exact integers. */
export function consistent(pointer: Pointer): Pointer {
  const [size, packed, chunks] = [BigInt(pointer.size), BigInt(pointer.packed), BigInt(pointer.chunks)];
  if (size > 2n ** 40n) refuse('a large size');
  if (packed < 1n || packed > (size * 11n) / 10n + 1_024n) refuse('packed');
  const needed = (packed + 47_999n) / 48_000n;
  if (chunks !== needed && !(chunks === 0n && packed <= 24_000n)) refuse('chunks');
  const index = (chunks * 64n + 47_999n) / 48_000n;
  const wanted = chunks === 0n ? 0n : chunks === 1n ? 1n : index;
  if (BigInt(pointer.ids.length) !== wanted) refuse('the number of ids');
  if (new Set(pointer.ids).size !== pointer.ids.length) refuse('an id twice');
  return pointer;
}

const hash = (...parts: readonly Uint8Array[]): Buffer => {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part);
  return sum.digest();
};
const leafOf = (sealed: Uint8Array): Buffer => hash(Uint8Array.of(0), sealed);

/** RFC 6962 section 2.1: split at the largest power of two below the number of leaves. */
export function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return hash(Uint8Array.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

function unpad(padded: Uint8Array, length: number): Uint8Array {
  if (padded.length < length) refuse('too short');
  for (let i = length; i < padded.length; i++) if (padded[i] !== 0) refuse('padding that is not zero');
  return padded.slice(0, length);
}

export function readIndex(padded: Uint8Array, pointer: Pointer): { readonly id: string; readonly leaf: Uint8Array }[] {
  const bytes = Buffer.from(unpad(padded, pointer.chunks * 64));
  const records = [];
  for (let at = 0; at < bytes.length; at += 64)
    records.push({ id: bytes.toString('hex', at, at + 32), leaf: Uint8Array.from(bytes.subarray(at + 32, at + 64)) });
  if (new Set(records.map(({ id }) => id)).size !== records.length) refuse('an id twice');
  const root = Buffer.from(rootOf(records.map(({ leaf }) => leaf))).toString('hex');
  return root === pointer.root ? records : refuse('another root');
}

/** Brotli is not written again here: what the product gave must be the whole stream, of the declared size. */
export function unpacked(packed: Uint8Array, size: number): Uint8Array {
  const bytes = brotliDecompressSync(packed);
  return bytes.length === size ? new Uint8Array(bytes) : refuse(`${bytes.length} bytes`);
}

/** What can be said of an inline blob without its key: spelling, length, leaf, and the hash of what came out. */
export function checkInline(pointer: Pointer, inline: string, plain: Uint8Array): Uint8Array {
  consistent(pointer);
  if (pointer.chunks !== 0) refuse('chunks');
  const sealed = fromBase64(inline);
  if (sealed.length !== Math.ceil(pointer.packed / 1_024) * 1_024 + 28) refuse('length');
  if (leafOf(sealed).toString('hex') !== pointer.root) refuse('root');
  if (plain.length !== pointer.size || hash(plain).toString('hex') !== pointer.sha256) refuse('sha256');
  return plain;
}
