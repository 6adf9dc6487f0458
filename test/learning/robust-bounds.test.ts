import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combine, mostAttackers, RULES, ruleFor, type RuleName } from '../../src/learning/aggregate/rule.js';
import type { Update } from '../../src/learning/aggregate/update.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import type { ParamSet } from '../../src/learning/types.js';

/** What each rule promises of its result from the honest updates alone, whatever the others say: any finite float32. */

const WIDTH = 3;
const one = (values: readonly number[]): ParamSet => [
  { name: 'w', shape: [values.length], data: Float32Array.from(values) },
];
const valuesOf = (params: ParamSet): number[] => params.flatMap(({ data }) => [...data]);
const far = (a: readonly number[], b: readonly number[]): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));
/** Room for the one rounding to float32, at each of a few steps. */
const ROOM = 1 + 1e-5;

const vector = (value: fc.Arbitrary<number>) => fc.array(value, { minLength: WIDTH, maxLength: WIDTH });
const near = vector(fc.float({ min: -2, max: 2, noNaN: true }));
const anything = vector(fc.float({ noNaN: true, noDefaultInfinity: true }));

interface Round {
  readonly base: readonly number[];
  readonly root: readonly number[];
  readonly honest: readonly (readonly number[])[];
  readonly updates: readonly Update[];
  readonly attackers: number;
}
/** @param attackersOf  most attackers beside so many honest updates */
const rounds = (least: number, attackersOf: (honest: number) => number): fc.Arbitrary<Round> =>
  fc
    .record({ base: near, root: near, honest: fc.array(near, { minLength: least, maxLength: least + 5 }) })
    .chain(({ base, root, honest }) =>
      fc.array(anything, { maxLength: attackersOf(honest.length) }).chain((others) =>
        fc.shuffledSubarray([...honest, ...others], { minLength: honest.length + others.length }).chain((all) =>
          fc
            .array(fc.integer({ min: 1, max: 1_000 }), { minLength: all.length, maxLength: all.length })
            .map((examples) => ({
              ...{ base, root, honest, attackers: others.length },
              updates: all.map((values, shard) => ({
                ...{ shard, trainer: `key ${shard}`, examples: examples[shard]!, params: one(values) },
              })),
            })),
        ),
      ),
    );

const resultOf = (name: RuleName, { base, root, updates, attackers }: Round): number[] =>
  valuesOf(combine(ruleFor(name, attackers, updates.length), one(base), updates, one(root)));

function holds(round: fc.Arbitrary<Round>, check: (round: Round) => void): void {
  fc.assert(fc.property(round, check), { numRuns: 150 });
}

const minority = (honest: number): number => honest - 1;
/** Of n = honest + f updates the rule withstands f. */
const withstood = (name: RuleName) => (honest: number) => {
  let f = 0;
  while (mostAttackers(name, honest + f + 1) >= f + 1) f++;
  return f;
};
const columns = (rows: readonly (readonly number[])[]): number[][] =>
  Array.from({ length: WIDTH }, (_, i) => rows.map((row) => row[i]!));
const diameter = (rows: readonly (readonly number[])[]): number =>
  Math.max(...rows.flatMap((a) => rows.map((b) => far(a, b))));

describe('with any attackers within what a rule withstands', () => {
  test.each([
    ['median', minority],
    ['trimmed-mean', minority],
  ] as const)('each value of %s lies among those of the honest (Yin et al. 2018)', (name, attackersOf) => {
    holds(rounds(2, attackersOf), (round) => {
      const result = resultOf(name, round);
      for (const [i, column] of columns(round.honest).entries()) {
        expect(result[i]).toBeGreaterThanOrEqual(Math.min(...column));
        expect(result[i]).toBeLessThanOrEqual(Math.max(...column));
      }
    });
  });

  test('each value of bulyan is as near to those of the honest as they are to each other', () => {
    // Kept are as many values as there are honest ones left at least, those nearest to a median that lies among the honest.
    holds(rounds(3, withstood('bulyan')), (round) => {
      const result = resultOf('bulyan', round);
      for (const [i, column] of columns(round.honest).entries()) {
        const [low, high] = [Math.min(...column), Math.max(...column)];
        const room = (high - low) * ROOM + 1e-6;
        expect(result[i]).toBeGreaterThanOrEqual(low - room);
        expect(result[i]).toBeLessThanOrEqual(high + room);
      }
    });
  });

  test('krum takes one of the updates, near to an honest one', () => {
    // Its score is at most that of an honest one, whose n - f - 2 nearest are no farther than the honest are apart.
    holds(rounds(3, withstood('krum')), (round) => {
      const { updates, honest, attackers } = round;
      const result = resultOf('krum', round);
      expect(Math.min(...updates.map(({ params }) => far(valuesOf(params), result)))).toBe(0);
      const bound = Math.sqrt(Math.max(1, updates.length - attackers - 2)) * diameter(honest);
      expect(Math.min(...honest.map((row) => far(row, result)))).toBeLessThanOrEqual(bound * ROOM + 1e-6);
    });
  });

  test('multi-krum is a mean of updates that are each near to an honest one', () => {
    // n - f are taken, and as many honest ones have scores within that bound.
    holds(rounds(3, withstood('multi-krum')), (round) => {
      const { updates, honest, attackers } = round;
      const result = resultOf('multi-krum', round);
      const bound = (Math.sqrt(Math.max(1, updates.length - attackers - 2)) + 1) * diameter(honest);
      for (const row of honest) expect(far(row, result)).toBeLessThanOrEqual(bound * ROOM + 1e-6);
    });
  });

  test('norm-clip goes no farther from the base than the honest do (Sun et al. 2019)', () => {
    holds(rounds(2, minority), (round) => {
      const reach = Math.max(...round.honest.map((row) => far(row, round.base)));
      expect(far(resultOf('norm-clip', round), round.base)).toBeLessThanOrEqual(reach * ROOM + 1e-6);
    });
  });

  test('centred-clip goes at most seven times as far as the honest do', () => {
    // A step moves by no more than the honest are away from where it begins: 1, then 2, then 4 times their distance from the base.
    holds(rounds(2, minority), (round) => {
      const reach = Math.max(...round.honest.map((row) => far(row, round.base)));
      expect(far(resultOf('centred-clip', round), round.base)).toBeLessThanOrEqual(7 * reach * ROOM + 1e-6);
    });
  });

  test('geometric-median is bounded by the honest distances and how much of the weight is honest', () => {
    // No step makes the weighted sum of distances larger; from that, |z - base| (H - A) <= 2 sum of n_i |x_i - base| over the honest.
    holds(rounds(2, minority), (round) => {
      const { base, honest, updates } = round;
      const isHonest = ({ params }: Update) => honest.some((row) => far(row, valuesOf(params)) === 0);
      const sum = (rows: readonly Update[], of: (row: Update) => number) => rows.reduce((all, row) => all + of(row), 0);
      const good = updates.filter(isHonest);
      const margin = 2 * sum(good, ({ examples }) => examples) - sum(updates, ({ examples }) => examples);
      fc.pre(margin > 0);
      const reach = sum(good, ({ examples, params }) => examples * far(valuesOf(params), base));
      expect(far(resultOf('geometric-median', round), base)).toBeLessThanOrEqual((2 * reach * ROOM) / margin + 1e-4);
    });
  });

  test('fltrust goes no farther than the root and not against it, were all others attackers (Cao et al. 2020)', () => {
    holds(
      rounds(1, () => 8),
      (round) => {
        const { base, root } = round;
        const moved = resultOf('fltrust', round).map((value, i) => value - base[i]!);
        const way = root.map((value, i) => value - base[i]!);
        const length = far(root, base);
        expect(Math.sqrt(moved.reduce((all, value) => all + value * value, 0))).toBeLessThanOrEqual(
          length * ROOM + 1e-6,
        );
        expect(moved.reduce((all, value, i) => all + value * way[i]!, 0)).toBeGreaterThanOrEqual(-1e-6 * (1 + length));
      },
    );
  });
});

test('bulyan leaves out the one wrong value of an update that krum likes best, by hand (El Mhamdi et al. 2018)', () => {
  // four nearest, squared: of the attacker 2 (0.09 + 0.25) + 2 (0.09 + 1.44) = 3.74, of the honest at 0.5 0.34 + 0.49 + 1 + 2.25 = 4.08
  const rows = [[-0.3, 0], ...[-2, -1.2, -0.5, 0.5, 1.2, 2].map((value) => [0, value])];
  const updates = rows.map((values, shard) => ({ shard, trainer: `key ${shard}`, examples: 1, params: one(values) }));
  const of = (name: RuleName) => valuesOf(combine({ name, f: 1, m: 0 }, one([0, 0]), updates));
  expect(of('krum')).toEqual([Math.fround(-0.3), 0]);
  expect(of('bulyan')[0]).toBe(0);
});

test.each(RULES)('%s gives the same bytes in any order of arrival, with attackers of any size', (name) => {
  holds(
    rounds(1, () => 6),
    (round) => {
      const bytes = (updates: readonly Update[]) =>
        Buffer.from(encodeParams(combine(ruleFor(name, 2, updates.length), one(round.base), updates, one(round.root))));
      const half = round.updates.length >> 1;
      const { updates } = round;
      expect(bytes([...updates.slice(half), ...updates.slice(0, half)].reverse())).toEqual(bytes(updates));
    },
  );
});
