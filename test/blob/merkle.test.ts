import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, hex, sha256, u32be } from '../../src/hash.js';
import { leafHash, merkleProof, merkleRoot, verifyProof } from '../../src/merkle.js';
import { flip } from './samples.js';

const vector = JSON.parse(readFileSync(new URL('../vectors/blob/merkle.json', import.meta.url), 'utf8'));
const vectorLeaves = (vector.inputs as string[]).map((input) => leafHash(fromHex(input)));

/** The recursion of RFC 6962, 2.1: split at the largest power of two below n. */
function treeHash(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 1) return Buffer.from(leaves[0]!);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const parts = [treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split))];
  return createHash('sha256').update(Uint8Array.of(1)).update(parts[0]!).update(parts[1]!).digest();
}
const leavesOf = (count: number) => Array.from({ length: count }, (_, at) => leafHash(u32be(at)));

describe('a Merkle tree', () => {
  test('has the roots of the Certificate Transparency test data', () => {
    (vector.roots as string[]).forEach((root, at) => expect(hex(merkleRoot(vectorLeaves.slice(0, at + 1)))).toBe(root));
    expect(hex(merkleRoot([]))).toBe(hex(sha256()));
  });

  test('has the audit paths of the vector', () => {
    for (const { index, count, path } of vector.proofs) {
      const leaves = vectorLeaves.slice(0, count);
      expect(merkleProof(leaves, index).map(hex)).toEqual(path);
      expect(verifyProof(merkleRoot(leaves), leaves[index]!, index, count, path.map(fromHex))).toBe(true);
    }
  });

  test('equals the recursion of the RFC for every count up to 130', () => {
    for (let count = 1; count <= 130; count++) {
      expect(hex(merkleRoot(leavesOf(count)))).toBe(treeHash(leavesOf(count)).toString('hex'));
    }
  });

  test('proves each leaf, and nothing else', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 300 }), fc.nat(), fc.nat(), fc.nat(7), (count, a, b, bit) => {
        const leaves = leavesOf(count);
        const root = merkleRoot(leaves);
        const [index, other] = [a % count, b % count];
        const path = merkleProof(leaves, index);
        expect(verifyProof(root, leaves[index]!, index, count, path)).toBe(true);
        expect(verifyProof(root, leaves[other]!, index, count, path)).toBe(other === index);
        expect(verifyProof(root, leaves[index]!, other, count, path)).toBe(other === index);
        expect(verifyProof(root, flip(leaves[index]!, b % 32, bit), index, count, path)).toBe(false);
        expect(verifyProof(flip(root, b % 32, bit), leaves[index]!, index, count, path)).toBe(false);
        expect(verifyProof(root, leaves[index]!, index, count, path.slice(1))).toBe(false);
        expect(verifyProof(root, leaves[index]!, index, count, [...path, root])).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  test('answers no to an index outside, and to hashes of another length', () => {
    const leaves = leavesOf(3);
    const root = merkleRoot(leaves);
    for (const index of [-1, 3, 0.5, NaN]) expect(verifyProof(root, leaves[0]!, index, 3, [])).toBe(false);
    expect(verifyProof(root, leaves[0]!, 0, 3, [new Uint8Array(31), new Uint8Array(32)])).toBe(false);
    expect(() => merkleProof(leaves, 3)).toThrow(RangeError);
  });
});
