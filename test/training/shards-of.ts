import { sha256 } from '../../src/hash.js';
import { encodeExamples } from '../../src/learning/examples.js';
import type { Dataset } from '../../src/training/dataset.js';
import { splitDataset } from '../../src/training/split.js';

/** What would be sealed and sent of a dataset: its schema, and the bytes of each shard and evaluation set. */
export function shardsOf({ schema, examples, test }: Dataset, shards = 2): unknown {
  const split = splitDataset(examples, { shards, seed: sha256('seed'), evalFraction: 0.2, ...(test && { test }) });
  const parts = [...split.shards, split.a, split.b].map((part) =>
    Buffer.from(encodeExamples(part, schema)).toString('hex'),
  );
  return { schema, parts };
}
