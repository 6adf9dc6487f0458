import { sha256, type Pubkey } from '../../hash.js';
import { arenaSeats } from '../arena/seat-rules.js';
import { validatorWeights, WEIGHTS, type Conduct } from '../arena/weights.js';
import { largestRemainder } from '../stake-reward.js';
import { numberedKey, seedOf, shareRow, type AttackRow } from './row.js';

/** What colluding or splitting validators come to by the draw of seats in an arena. */

/** Of a stage in these simulations. */
const SUBMISSIONS = 20;

export interface Field {
  readonly validators: number;
  readonly colluders: number;
  readonly seats: number;
}

/** Of each share of the stake, all stakes being equal: as many validators as have that share or more. */
export function collusionFields(sharePercent: number, validators: number): readonly Field[] {
  const colluders = Math.ceil((sharePercent * validators) / 100);
  return [3, 5, 7].map((seats) => ({ validators, colluders, seats }));
}

/**
 * The probability that colluders get more than half of the seats of a submission, stakes being equal: hypergeometric, exact.
 *
 * @returns  a fraction
 */
export function majorityChance({ validators, colluders, seats }: Field): readonly [over: bigint, under: bigint] {
  let over = 0n;
  for (let taken = (seats + 1) / 2; taken <= seats; taken++)
    over += choose(colluders, taken) * choose(validators - colluders, seats - taken);
  return [over, choose(validators, seats)];
}

function choose(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n;
  let ways = 1n;
  for (let i = 1; i <= k; i++) ways = (ways * BigInt(n - k + i)) / BigInt(i);
  return ways;
}

/** The same by draws, beside it. @param draws  of a stage of 20 submissions each */
export function drawnMajorities(field: Field, draws: number): AttackRow {
  const { validators, colluders, seats } = field;
  const setting = `${colluders} of ${validators} validators, ${seats} seats`;
  const isBad = new Set(Array.from({ length: colluders }, (_, i) => numberedKey(i)));
  const stakes = equalStakes(validators);
  let majorities = 0;
  for (let draw = 0; draw < draws; draw++) {
    const bad = new Map<number, number>();
    for (const [key, aliases] of seatsOf(setting, draw, stakes, seats))
      if (isBad.has(key)) for (const alias of aliases) bad.set(alias, (bad.get(alias) ?? 0) + 1);
    majorities += [...bad.values()].filter((taken) => 2 * taken > seats).length;
  }
  const [over, under] = majorityChance(field);
  const n = draws * SUBMISSIONS;
  return shareRow('collusion', setting, { measured: majorities / n, computed: Number(over) / Number(under), n });
}

const equalStakes = (count: number) =>
  new Map(Array.from({ length: count }, (_, i) => [numberedKey(i), 1_000n] as const));

function seatsOf(name: string, draw: number, stakes: ReadonlyMap<Pubkey, bigint>, seats: number) {
  const aliases = Array.from({ length: SUBMISSIONS }, (_, alias) => alias);
  return arenaSeats(sha256(seedOf(name, draw)), aliases, stakes, seats);
}

/** What a validator weighs by, all being equally close. */
export const PAY_RULES = {
  /** The rule: stake times scores. */
  'stake * count': (stake: bigint, count: number) => ({ stake, count }),
  count: (_stake: bigint, count: number) => ({ stake: 1n, count }),
  stake: (stake: bigint, _count: number) => ({ stake, count: 1 }),
} as const;

/**
 * What of the validators' part goes to who has a stake of 3 in `keys` keys, against 12 validators with 1 each: a fifth of the stake. All
 * score what they have seats for, and say the same.
 *
 * @param draws  of a stage of 20 submissions each
 * @returns      mean share
 */
export function shareOfSplit(rule: keyof typeof PAY_RULES, keys: number, seats: number, draws: number): number {
  const own = Array.from({ length: keys }, (_, i) => [numberedKey(i), 30_000n / BigInt(keys)] as const);
  const others = Array.from({ length: 12 }, (_, i) => [numberedKey(100 + i), 10_000n] as const);
  const stakes = new Map([...own, ...others]);
  let sum = 0;
  for (let draw = 0; draw < draws; draw++) {
    const counted = [...seatsOf(`split in ${keys}`, draw, stakes, seats)].map(([key, aliases]) => {
      return [key, PAY_RULES[rule](stakes.get(key)!, aliases.length)] as const;
    });
    const conduct = new Map(counted.map(([key, { count }]): [Pubkey, Conduct] => [key, { count, deviation: 0n }]));
    const weights = validatorWeights(conduct, new Map(counted.map(([key, { stake }]) => [key, stake])), WEIGHTS);
    const paid = largestRemainder(1_000_000n, weights);
    for (const [key] of own) sum += Number(paid.get(key) ?? 0n);
  }
  return sum / draws / 1_000_000;
}
