import { readFileSync } from 'node:fs';
import type { ModelSpec } from '../../src/learning/types.js';

/** Computed by an independent Python implementation of the docstrings. */
export interface CoreVectors {
  file: string;
  initial: { spec: ModelSpec; seed: string; sizeBytes: number; sha256: string }[];
  fedavg: { updates: { shard: number; trainer: string; examples: number; values: number[] }[]; mean: number[] };
  iid: { seed: string; n: number; shards: number; parts: number[][] };
  sample: { seed: string; round: number; shard: number; n: number; max: number; indices: number[] };
}

export const vectors = JSON.parse(
  readFileSync(new URL('../vectors/learning/core.json', import.meta.url), 'utf8'),
) as CoreVectors;
