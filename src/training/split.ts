import { NmktError } from '../errors.js';
import type { Bytes } from '../hash.js';
import { subset } from '../learning/examples.js';
import { iid, labelK, stratified, stratifiedSplit, type Partition } from '../learning/partition.js';
import { byOwner, dirichlet, sizeSkew } from '../learning/skew.js';
import type { Examples } from '../learning/types.js';

export interface RowSplitOptions {
  readonly shards: number;
  /** The dataset's 32-byte seed. */
  readonly seed: Bytes;
  /** Share of the examples for A, and for B unless it is there already; in (0, 0.5), default 0.1. */
  readonly evalFraction?: number;
  /** Evaluation set B is from a file of its own. */
  readonly hasTest?: boolean;
  /** Default `iid`: every shard is a uniform sample. */
  readonly partition?: PartitionChoice;
  /** Of `by-column`: whose each example is. */
  readonly owners?: Int32Array;
}

export interface SplitOptions extends Omit<RowSplitOptions, 'hasTest'> {
  /** Evaluation set B from a file of its own. */
  readonly test?: Examples;
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

/** What a split follows from. */
export type Labelled = Pick<Examples, 'rows' | 'labels'>;

/** Numbers of rows, in the order in which each part has them. */
export interface SplitRows {
  readonly shards: readonly Uint32Array[];
  readonly a: Uint32Array;
  /** Absent where B is from a file of its own. */
  readonly b?: Uint32Array;
}

function partition(
  { rows, labels }: Labelled,
  { shards, seed, owners, partition: of = { name: 'iid' } }: RowSplitOptions,
): Partition {
  if (of.name === 'by-column') {
    if (owners === undefined) throw new RangeError('a partition by column of examples without owners');
    return byOwner(owners, shards, seed);
  }
  if (of.name === 'iid') return iid(rows, shards, seed);
  if (of.name === 'size-skew') return sizeSkew(rows, shards, of.alpha, seed);
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

function pick<A extends Int32Array | Float32Array | Uint32Array>(from: A, rows: Uint32Array, to: A): A {
  rows.forEach((row, i) => (to[i] = from[row]!));
  return to;
}

/** Labels of these rows, in this order. */
export function labelsOf(labels: Examples['labels'], rows: Uint32Array): Examples['labels'] {
  return labels instanceof Int32Array
    ? pick(labels, rows, new Int32Array(rows.length))
    : pick(labels, rows, new Float32Array(rows.length));
}

/**
 * Sets the evaluation sets apart (stratified by class), then cuts the rest into shards. Follows from labels, owners and seed.
 *
 * @throws NmktError `bad-dataset` when a set or shard would be empty
 */
export function splitRows({ rows, labels }: Labelled, options: RowSplitOptions): SplitRows {
  const { seed, owners, evalFraction = 0.1, hasTest = false } = options;
  if (!(evalFraction > 0 && evalFraction < 0.5))
    throw new NmktError('bad-usage', 'the evaluation fraction is out of range', {
      remedy: '--eval-fraction 0.1',
      expected: 'above 0 and below 0.5',
      got: `${evalFraction}`,
    });
  const strata = labels instanceof Int32Array ? labels : rows;
  const parts = stratifiedSplit(strata, hasTest ? [evalFraction] : [evalFraction, evalFraction], seed);
  const empty = parts.findIndex((part) => part.length === 0);
  if (empty >= 0)
    throw new NmktError('bad-dataset', 'there are too few examples to set some apart for evaluation', {
      remedy: 'give more examples or raise --eval-fraction',
      expected: `at least ${Math.ceil(0.5 / evalFraction)} examples`,
      got: `${rows}`,
    });
  const train = parts.at(-1)!;
  const own = owners && { owners: pick(owners, train, new Int32Array(train.length)) };
  const shards = partition({ rows: train.length, labels: labelsOf(labels, train) }, { ...options, ...own });
  return {
    shards: shards.map((shard) => pick(train, shard, new Uint32Array(shard.length))),
    a: parts[0]!,
    ...(!hasTest && { b: parts[1]! }),
  };
}

/** The examples themselves, cut as splitRows says. @throws NmktError `bad-dataset` */
export function splitDataset(examples: Examples, { test, ...options }: SplitOptions): Split {
  const { shards, a, b } = splitRows(examples, { ...options, hasTest: test !== undefined });
  return {
    shards: shards.map((rows) => subset(examples, rows)),
    a: subset(examples, a),
    b: test ?? subset(examples, b!),
  };
}
