import { expect, test } from 'vitest';
import type { DataSchema } from '../../src/learning/types.js';
import { buildSnapshot } from '../../src/protocol/dataset.js';
import { sha256Hex } from '../../src/hash.js';
import { requireSmallManifest } from '../../src/roles/manifest-size.js';

const digits: DataSchema = {
  ...{ task: 'classification', shape: [28, 28, 1], inputs: 784, dtype: 'U8', scale: 255, outputs: 10 },
  classes: Array.from({ length: 10 }, (_, i) => String(i)),
};
const counts = (shards: number): number[] => new Array<number>(shards).fill(120);

test('500 shards of MNIST fit into one event, and the estimate is not below what the snapshot takes', () => {
  expect(() => requireSmallManifest('digits', digits, counts(500))).not.toThrow();
  const shard = { examples: 120, size: 95_360, chunks: 2, commit: sha256Hex('commit') };
  const most = { name: 'digits', part: 'train', schema: digits, salt: new Uint8Array(32), listing: 'private' } as const;
  const { content } = buildSnapshot({ ...most, shards: counts(500).map(() => shard), locator: sha256Hex('') }, 0);
  expect(content.length).toBeLessThan(64_000);
});

test('too many shards are refused before anything is sealed, with what is too much', () => {
  expect(() => requireSmallManifest('digits', digits, counts(600))).toThrow(/does not fit/);
  const columns = Array.from({ length: 700 }, (_, i) => {
    return {
      kind: 'numeric',
      name: `column ${i}`,
      mean: '0.000000000',
      stdDev: '1.000000000',
      fill: '0.000000000',
    } as const;
  });
  const wide: DataSchema = { ...digits, shape: [700], inputs: 700, dtype: 'F32', scale: 1, columns };
  expect(() => requireSmallManifest('wide', wide, counts(10))).toThrow(/does not fit/);
});
