import { sha256, type Bytes } from './hash.js';

/**
 * Merkle tree hash of RFC 6962 (2.1), https://www.rfc-editor.org/rfc/rfc6962#section-2.1, computed level by level:
 * pairs are hashed, an odd last node moves up unchanged. Different prefixes stop a node from passing for a leaf.
 */
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** @param data  in parts, hashed one after the other */
export function leafHash(...data: readonly Bytes[]): Bytes {
  return sha256(LEAF, ...data);
}

/** @param leaves  leaf hashes in chunk order; none gives SHA-256 of nothing, as in the RFC */
export function merkleRoot(leaves: readonly Bytes[]): Bytes {
  const level = new Uint8Array(32 * leaves.length);
  leaves.forEach((leaf, at) => level.set(leaf, 32 * at));
  return rootOfLevel(level);
}

/** The same of leaves that lie one after the other, which it overwrites. */
export function rootOfLevel(level: Bytes): Bytes {
  let count = level.length / 32;
  if (count === 0) return sha256();
  const node = new Uint8Array(65);
  node.set(NODE);
  while (count > 1) {
    for (let at = 0; at < count - 1; at += 2) {
      node.set(level.subarray(32 * at, 32 * (at + 2)), 1);
      level.set(sha256(node), 16 * at);
    }
    if (count % 2 === 1) level.copyWithin(16 * (count - 1), 32 * (count - 1), 32 * count);
    count = Math.ceil(count / 2);
  }
  return level.slice(0, 32);
}

/**
 * Audit path of one leaf: siblings from the bottom up, none at a level where the node moved up alone.
 *
 * @throws RangeError when there is no such leaf
 */
export function merkleProof(leaves: readonly Bytes[], index: number): readonly Bytes[] {
  if (!isLeaf(index, leaves.length)) throw new RangeError(`no leaf ${index} among ${leaves.length}`);
  const path: Bytes[] = [];
  let at = index;
  for (let level = leaves; level.length > 1; level = parents(level)) {
    const sibling = level[at ^ 1];
    if (sibling !== undefined) path.push(sibling);
    at >>>= 1;
  }
  return path;
}

/** Is `leaf` number `index` of the `count` leaves under `root`? Any malformed input is `false`. */
export function verifyProof(root: Bytes, leaf: Bytes, index: number, count: number, path: readonly Bytes[]): boolean {
  const above = rootAbove(leaf, index, count, path);
  return above !== null && Buffer.compare(above, root) === 0;
}

/** The root that `path` leads to from leaf number `index` of `count`; null where it has another length. */
export function rootAbove(leaf: Bytes, index: number, count: number, path: readonly Bytes[]): Bytes | null {
  if (!isLeaf(index, count)) return null;
  let node = leaf;
  let used = 0;
  let at = index;
  for (let width = count; width > 1; width = Math.ceil(width / 2)) {
    if ((at ^ 1) < width) {
      const sibling = path[used++];
      if (sibling?.length !== 32) return null;
      node = at % 2 === 0 ? sha256(NODE, node, sibling) : sha256(NODE, sibling, node);
    }
    at >>>= 1;
  }
  return used === path.length ? node : null;
}

function isLeaf(index: number, count: number): boolean {
  return Number.isInteger(index) && Number.isInteger(count) && count <= 0x7fff_ffff && index >= 0 && index < count;
}

function parents(level: readonly Bytes[]): readonly Bytes[] {
  const up: Bytes[] = [];
  for (let at = 0; at < level.length; at += 2) {
    const right = level[at + 1];
    up.push(right === undefined ? level[at]! : sha256(NODE, level[at]!, right));
  }
  return up;
}
