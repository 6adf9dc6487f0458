import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../src/hash.js';
import { subset } from '../../src/learning/examples.js';
import { prng } from '../../src/learning/prng.js';
import type { Examples } from '../../src/learning/types.js';
import { readDataset } from '../../src/training/dataset.js';

/** Real digits, cut as a federation has them. */

const folder = process.env['NMKT_TEST_DATA'] ?? '';
const digits = (part: string): string => join(folder, `mnist10k/${part}-images-idx3-ubyte.gz`);

/** Why nothing is measured on MNIST here; null when it is there. */
export function noDigits(): string | null {
  return folder !== '' && existsSync(digits('train')) ? null : 'SKIP: NMKT_TEST_DATA names no folder with mnist10k';
}

/** 8,000 images to train on and 2,000 to test. */
export async function readDigits(): Promise<{ readonly train: Examples; readonly test: Examples }> {
  const { examples: train } = await readDataset(digits('train'));
  const { examples: test } = await readDataset(digits('test'));
  return { train, test };
}

/** Tinyshakespeare; null when it is not there. */
export function shakespeare(): string | null {
  const path = join(folder, 'text/tinyshakespeare.txt');
  return folder !== '' && existsSync(path) ? path : null;
}

/**
 * Each class is shared out by a draw from a Dirichlet distribution of concentration 0.5 (Hsu et al. 2019, arXiv:1909.06335): half the square
 * of a normal number is a gamma variate of shape 0.5. Drawn again until each shard has 10 examples.
 */
export function dirichletHalf(examples: Examples, shards: number, seed: string): Examples[] {
  for (let attempt = 0; ; attempt++) {
    const random = prng(sha256(seed), `dirichlet/${attempt}`);
    const parts: number[][] = Array.from({ length: shards }, () => []);
    for (let label = 0; label < 10; label++) {
      const weights = Array.from({ length: shards }, () => random.normal() ** 2 / 2);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const members = [...random.shuffle(examples.rows)].filter((row) => examples.labels[row] === label);
      let [at, share] = [0, 0];
      weights.forEach((weight, shard) => {
        share += weight / total;
        const end = shard === shards - 1 ? members.length : Math.round(share * members.length);
        parts[shard]!.push(...members.slice(at, end));
        at = Math.max(at, end);
      });
    }
    if (parts.every((part) => part.length >= 10)) return parts.map((part) => subset(examples, Uint32Array.from(part)));
  }
}

/** Shard i holds the examples of label i, for ten shards. */
export function oneLabelEach(examples: Examples): Examples[] {
  return Array.from({ length: 10 }, (_, label) => {
    const members = Array.from({ length: examples.rows }, (__, row) => row);
    return subset(examples, Uint32Array.from(members.filter((row) => examples.labels[row] === label)));
  });
}
