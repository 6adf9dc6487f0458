import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  combine,
  defaultAttackers,
  defaultRule,
  ruleFor,
  RULES,
  takesAttackers,
  type Rule,
} from '../../src/learning/aggregate/rule.js';
import type { Update } from '../../src/learning/aggregate/update.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import type { ParamSet } from '../../src/learning/types.js';

interface Vector {
  readonly rule: Rule;
  readonly kind: string;
  readonly base: readonly number[];
  readonly updates: readonly { readonly examples: number; readonly params: readonly number[] }[];
  readonly root?: readonly number[];
  readonly combined: readonly number[];
}
const { rules } = JSON.parse(readFileSync('test/vectors/learning/rules.json', 'utf8')) as { rules: Vector[] };

/** bias [3], kernel [4, 3] */
const model = (values: readonly number[]): ParamSet => [
  { name: 'bias', shape: [3], data: Float32Array.from(values.slice(0, 3)) },
  { name: 'kernel', shape: [4, 3], data: Float32Array.from(values.slice(3)) },
];
const one = (...values: number[]): ParamSet => [{ name: 'w', shape: [values.length], data: Float32Array.from(values) }];
const valuesOf = (params: ParamSet): number[] => params.flatMap(({ data }) => [...data]);
const hex = (params: ParamSet): string => Buffer.from(encodeParams(params)).toString('hex');
const updatesOf = (rows: readonly { readonly examples: number; readonly params: ParamSet }[]): Update[] =>
  rows.map((row, shard) => ({ shard, trainer: `key ${shard}`, ...row }));

const relativeError = (got: number, expected: number): number =>
  got === expected ? 0 : Math.abs(got - expected) / Math.abs(expected);

describe('against other implementations, to a millionth of each value', () => {
  test.each(
    rules.map(
      (vector, i) => [`${i}: ${vector.rule.name} of ${vector.updates.length}, ${vector.kind}`, vector] as const,
    ),
  )('%s', (_, { rule, base, updates, root, combined }) => {
    const rows = updatesOf(updates.map((row) => ({ examples: row.examples, params: model(row.params) })));
    const got = valuesOf(combine(rule, model(base), rows, root && model(root)));
    got.forEach((value, i) => expect(relativeError(value, combined[i]!), `value ${i}`).toBeLessThan(1e-6));
  });
  test('of every rule, three or more', () => {
    for (const name of RULES) expect(rules.filter(({ rule }) => rule.name === name).length, name).toBeGreaterThan(2);
  });
});

const anyUpdates = (least: number, most: number) =>
  fc.array(
    fc.record({
      examples: fc.integer({ min: 1, max: 1_000 }),
      values: fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 6, maxLength: 6 }),
    }),
    { minLength: least, maxLength: most },
  );

describe.each(RULES)('%s', (name) => {
  const base = one(1, 2, 3, 4, 5, 6);
  const root = one(1.5, 2, 3, 4, 5, 5);

  test('gives equal bytes in any order of arrival, whatever f asks of so few', () => {
    fc.assert(
      fc.property(anyUpdates(1, 9), fc.integer({ min: 0, max: 9 }), fc.infiniteStream(fc.nat()), (rows, f, keys) => {
        const updates = updatesOf(rows.map(({ examples, values }) => ({ examples, params: one(...values) })));
        const order = updates.map(() => keys.next().value);
        const mixed = [...updates].sort((a, b) => order[a.shard]! - order[b.shard]! || b.shard - a.shard);
        const rule = { name, f, m: 0 };
        expect(hex(combine(rule, base, mixed, root))).toBe(hex(combine(rule, base, updates, root)));
      }),
      { numRuns: 60 },
    );
  });

  test('of equal updates is that update', () => {
    const params = one(1.5, 2.5, 2.75, 4, 5, 5.5);
    const updates = updatesOf(Array.from({ length: 7 }, (_, i) => ({ examples: i + 1, params })));
    const got = valuesOf(combine(ruleFor(name, 2, 7), base, updates, params));
    got.forEach((value, i) => expect(value).toBeCloseTo(params[0]!.data[i]!, 5));
  });
});

/** f attackers say the same huge thing; the rest are near 1. */
const attacked = (n: number, f: number, far: number): Update[] =>
  updatesOf(
    Array.from({ length: n }, (_, i) => ({
      examples: 10,
      params: i < f ? one(far, -far) : one(1 + i / 1_000, 1 - i / 1_000),
    })),
  );

test('robust rules stay near the honest, however far attackers go; the mean does not', () => {
  for (const far of [10, 1e4, 1e12]) {
    for (const name of ['median', 'trimmed-mean', 'krum', 'multi-krum', 'bulyan'] as const) {
      const f = name === 'bulyan' ? 2 : 4;
      const rule = ruleFor(name, f, 11);
      expect(rule.f, name).toBe(takesAttackers(name) ? f : 0);
      for (const value of valuesOf(combine(rule, one(0, 0), attacked(11, f, far)))) {
        expect(value, name).toBeGreaterThan(0.98);
        expect(value, name).toBeLessThan(1.02);
      }
    }
    for (const name of ['geometric-median', 'centred-clip', 'norm-clip'] as const)
      for (const value of valuesOf(combine(ruleFor(name, 0, 11), one(0, 0), attacked(11, 4, far))))
        expect(Math.abs(value), name).toBeLessThan(3);
    expect(Math.abs(valuesOf(combine(ruleFor('fedavg', 0, 11), one(0, 0), attacked(11, 4, far)))[0]!)).toBeGreaterThan(
      3,
    );
  }
});

test('Krum takes the update nearest to the others, by hand', () => {
  // distances to the two nearest others, squared: of 0: 1 + 4, of 1: 1 + 1, of 2: 1 + 4, of 9: 49 + 64
  const updates = updatesOf([0, 1, 2, 9].map((value) => ({ examples: 1, params: one(value) })));
  expect(valuesOf(combine({ name: 'krum', f: 0, m: 0 }, one(0), updates))).toEqual([1]);
  // n 4 allows f 0: n - f - 2 = 2 nearest others; all four are averaged
  expect(valuesOf(combine({ name: 'multi-krum', f: 1, m: 3 }, one(0), updates))).toEqual([3]);
});

test('of equal scores the lower shard counts, not who came first', () => {
  // three nearest others of each, squared: 0 + 4 + 4
  const updates = updatesOf([1, 1, 3, 3, 5, 5].map((value) => ({ examples: 1, params: one(value) })));
  const rule = ruleFor('krum', 1, 6);
  expect(valuesOf(combine(rule, one(0), updates))).toEqual([1]);
  expect(valuesOf(combine(rule, one(0), [...updates].reverse()))).toEqual([1]);
});

test('an update pointing away from the root counts for nothing in FLTrust', () => {
  const updates = updatesOf([one(4, 0), one(-100, 0)].map((params) => ({ examples: 1, params })));
  const rule = { name: 'fltrust', f: 0, m: 0 } as const;
  // brought to the length of the root's change, 2
  expect(valuesOf(combine(rule, one(0, 0), updates, one(2, 0)))).toEqual([2, 0]);
  expect(valuesOf(combine(rule, one(0, 0), updates.slice(1), one(2, 0)))).toEqual([0, 0]);
  expect(() => combine(rule, one(0, 0), updates)).toThrow(/root/);
});

test('f stays within what the number of updates allows', () => {
  expect(ruleFor('multi-krum', 4, 15)).toEqual({ name: 'multi-krum', f: 4, m: 11 });
  expect(ruleFor('multi-krum', 4, 5)).toEqual({ name: 'multi-krum', f: 1, m: 4 });
  expect(ruleFor('multi-krum', 4, 2)).toEqual({ name: 'multi-krum', f: 0, m: 2 });
  expect(ruleFor('bulyan', 9, 11)).toEqual({ name: 'bulyan', f: 2, m: 0 });
  expect(ruleFor('trimmed-mean', 9, 4)).toEqual({ name: 'trimmed-mean', f: 1, m: 0 });
  expect(ruleFor('median', 9, 9)).toEqual({ name: 'median', f: 0, m: 0 });
});

test('the default shortens updates from five seats on; where attackers are counted, they are three of ten', () => {
  expect([1, 4, 5, 15].map(defaultRule)).toEqual(['fedavg', 'fedavg', 'norm-clip', 'norm-clip']);
  expect([5, 6, 7, 10, 15, 100].map((n) => defaultAttackers('multi-krum', n))).toEqual([1, 1, 2, 3, 4, 30]);
  expect(defaultAttackers('fedavg', 100)).toBe(0);
});

test('a lone update beside nothing else is taken as it is', () => {
  for (const name of RULES) {
    const params = one(2, 3);
    expect(
      valuesOf(combine(ruleFor(name, 3, 1), one(1, 1), updatesOf([{ examples: 3, params }]), params)),
      name,
    ).toEqual([2, 3]);
  }
});
