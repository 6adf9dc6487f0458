import { NmktError } from '../errors.js';
import type { Bytes } from '../hash.js';
import { log } from './math.js';
import { append, indicesByLabel, type Partition } from './partition.js';
import { pow } from './pow.js';
import { prng, type Prng } from './prng.js';

/** Partitions into shards that differ, as those of real owners do. */

/** So many draws until every shard has its least; then the wish is refused. */
const ATTEMPTS = 100;

/**
 * A gamma variate of scale 1 (Marsaglia and Tsang 2000, ACM TOMS 26(3)); below shape 1 by its section 6. Normal numbers are those of the
 * stream, so it is about gamma: good enough to cut data, and the same on every machine.
 *
 * @param shape  above 0
 */
function gamma(random: Prng, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * pow(1 - random.float(), 1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) * (1 + c * x) * (1 + c * x);
    if (v > 0 && log(1 - random.float()) < (x * x) / 2 + d - d * v + d * log(v)) return d * v;
  }
}

/** `count` shares that add up to 1, from a Dirichlet distribution with all concentrations `alpha`. */
function shares(random: Prng, count: number, alpha: number): number[] {
  const weights = Array.from({ length: count }, () => gamma(random, alpha));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // All may round to 0 where alpha is tiny: one owner then has everything.
  return total > 0 ? weights.map((weight) => weight / total) : weights.map((_, i) => (i === 0 ? 1 : 0));
}

/** Cuts in the proportion of the shares; nothing is left over. */
function cut(order: Uint32Array, parts: readonly number[]): Uint32Array[] {
  let sum = 0;
  const ends = parts.map((share) => Math.min(order.length, Math.round((sum += share) * order.length)));
  ends[ends.length - 1] = order.length;
  return ends.map((end, i) => order.slice(ends[i - 1] ?? 0, end));
}

/** Every shard with fewer than this is too small to train on. */
const LEAST = 2;

function untilNoneIsEmpty(n: number, shards: number, draw: (attempt: number) => Partition): Partition {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const partition = draw(attempt);
    if (partition.every((part) => part.length >= LEAST)) return partition;
  }
  throw new NmktError('bad-dataset', `no cut of ${n} examples leaves each of ${shards} shards ${LEAST} of them`, {
    remedy: 'use fewer shards, or a larger --alpha',
    expected: `${LEAST} examples per shard`,
    got: `fewer in each of ${ATTEMPTS} draws`,
  });
}

/**
 * Each label's examples are shared out by a Dirichlet draw of its own (Hsu et al. 2019, arXiv:1909.06335; `p ~ Dir(beta)` of Li et al. 2022,
 * arXiv:2102.02079): the smaller alpha, the fewer labels a shard has. Drawn again until each shard has two examples.
 *
 * @param alpha  above 0
 * @throws NmktError `bad-dataset` when a hundred draws leave a shard too small
 */
export function dirichlet(labels: Int32Array, shards: number, alpha: number, seed: Bytes): Partition {
  return untilNoneIsEmpty(labels.length, shards, (attempt) => {
    const random = prng(seed, `partition/dirichlet/${attempt}`);
    const parts: number[][] = Array.from({ length: shards }, () => []);
    for (const members of indicesByLabel(labels, random.shuffle(labels.length)).values())
      cut(members, shares(random, shards, alpha)).forEach((own, shard) => append(parts[shard]!, own));
    return parts.map((part) => Uint32Array.from(part));
  });
}

/**
 * Shards of a uniform shuffle whose sizes are one Dirichlet draw (`q ~ Dir(beta)` of Li et al. 2022, arXiv:2102.02079).
 *
 * @param alpha  above 0
 * @throws NmktError `bad-dataset`
 */
export function sizeSkew(n: number, shards: number, alpha: number, seed: Bytes): Partition {
  return untilNoneIsEmpty(n, shards, (attempt) => {
    const random = prng(seed, `partition/size-skew/${attempt}`);
    return cut(random.shuffle(n), shares(random, shards, alpha));
  });
}

/**
 * Examples of one owner stay together (the natural partition of LEAF, Caldas et al. 2018, arXiv:1812.01097): owners, the largest first, each go
 * to the shard that has the fewest examples so far (longest processing time first, Graham 1969). Within a shard the order is shuffled.
 *
 * @param owners  one number per example; equal ones are one owner
 * @throws NmktError `bad-dataset` for fewer owners than shards, or a shard with fewer than two examples
 */
export function byOwner(owners: Int32Array, shards: number, seed: Bytes): Partition {
  const members = indicesByLabel(owners, prng(seed, 'partition/by-owner').shuffle(owners.length));
  if (shards < 1 || members.size < shards)
    throw new NmktError('bad-dataset', `${members.size} owners are too few for ${shards} shards`, {
      remedy: `--shards ${members.size}, or partition by a column with more values`,
      expected: `at least ${shards} different values`,
      got: `${members.size}`,
    });
  const parts: number[][] = Array.from({ length: shards }, () => []);
  for (const own of [...members.values()].sort((a, b) => b.length - a.length)) {
    const least = parts.reduce((best, part) => (part.length < best.length ? part : best));
    for (const index of own) least.push(index);
  }
  if (parts.some((part) => part.length < LEAST))
    throw new NmktError('bad-dataset', `the owners are too small for ${shards} shards`, {
      remedy: 'use fewer shards',
      expected: `${LEAST} examples per shard`,
      got: `${parts.map((part) => part.length).join(', ')}`.slice(0, 200),
    });
  return parts.map((part) => Uint32Array.from(part));
}
