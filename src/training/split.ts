import { NmktError } from '../errors.js';
import type { Bytes } from '../hash.js';
import { subset } from '../learning/examples.js';
import { iid, labelK, stratified, stratifiedSplit, type Partition } from '../learning/partition.js';
import { byOwner, dirichlet, sizeSkew } from '../learning/skew.js';
import type { Examples } from '../learning/types.js';

export interface SplitOptions {
  readonly shards: number;
  /** The dataset's 32-byte seed. */
  readonly seed: Bytes;
  /** Share of the examples for A, and for B unless `test` is given; in (0, 0.5), default 0.1. */
  readonly evalFraction?: number;
  /** Evaluation set B from a file of its own. */
  readonly test?: Examples;
  /** Default `iid`: every shard is a uniform sample. */
  readonly partition?: PartitionChoice;
  /** Of `by-column`: whose each example is. */
  readonly owners?: Int32Array;
}

export const PARTITIONS = ['iid', 'stratified', 'label-k', 'dirichlet', 'size-skew', 'by-column'] as const;
/** How the examples are cut into shards. */
export type PartitionChoice =
  | { readonly name: 'iid' | 'stratified' }
  | { readonly name: 'label-k'; readonly labelsPerShard: number }
  /** The smaller alpha, the more shards differ. */
  | { readonly name: 'dirichlet' | 'size-skew'; readonly alpha: number }
  /** Rows with an equal value of this column stay together. */
  | { readonly name: 'by-column'; readonly column: string };

export interface Split {
  readonly shards: readonly Examples[];
  /** Evaluation set A: what the customer scores and chooses by. */
  readonly a: Examples;
  /** Evaluation set B: final, reported. */
  readonly b: Examples;
}

function partition(
  examples: Examples,
  { shards, seed, owners, partition: of = { name: 'iid' } }: SplitOptions,
): Partition {
  if (of.name === 'by-column') {
    if (owners === undefined) throw new RangeError('a partition by column of examples without owners');
    return byOwner(owners, shards, seed);
  }
  if (of.name === 'iid') return iid(examples.rows, shards, seed);
  if (of.name === 'size-skew') return sizeSkew(examples.rows, shards, of.alpha, seed);
  const { labels } = examples;
  if (!(labels instanceof Int32Array))
    throw new NmktError('bad-usage', `the partition ${of.name} needs classes`, {
      remedy: '--partition iid or size-skew: this is regression',
      expected: 'a classification task',
      got: 'regression',
    });
  switch (of.name) {
    case 'stratified':
      return stratified(labels, shards, seed);
    case 'label-k':
      return labelK(labels, shards, of.labelsPerShard, seed);
    case 'dirichlet':
      return dirichlet(labels, shards, of.alpha, seed);
  }
}

/**
 * Sets the evaluation sets apart (stratified by class), then cuts the rest into shards. Follows from examples and seed.
 *
 * @throws NmktError `bad-dataset` when a set or shard would be empty
 */
export function splitDataset(examples: Examples, options: SplitOptions): Split {
  const { seed, test, evalFraction = 0.1 } = options;
  if (!(evalFraction > 0 && evalFraction < 0.5))
    throw new NmktError('bad-usage', 'the evaluation fraction is out of range', {
      remedy: '--eval-fraction 0.1',
      expected: 'above 0 and below 0.5',
      got: `${evalFraction}`,
    });
  const strata = examples.labels instanceof Int32Array ? examples.labels : examples.rows;
  const parts = stratifiedSplit(strata, test === undefined ? [evalFraction, evalFraction] : [evalFraction], seed);
  const empty = parts.findIndex((part) => part.length === 0);
  if (empty >= 0)
    throw new NmktError('bad-dataset', 'there are too few examples to set some apart for evaluation', {
      remedy: 'give more examples or raise --eval-fraction',
      expected: `at least ${Math.ceil(0.5 / evalFraction)} examples`,
      got: `${examples.rows}`,
    });
  const sets = parts.map((part) => subset(examples, part));
  const train = sets.at(-1)!;
  const own = options.owners;
  const owners = own && Int32Array.from(parts.at(-1)!, (index) => own[index]!);
  const shards = partition(train, owners === undefined ? options : { ...options, owners });
  return { shards: shards.map((part) => subset(train, part)), a: sets[0]!, b: test ?? sets[1]! };
}
