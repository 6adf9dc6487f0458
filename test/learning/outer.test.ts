import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { OUTER_DEFAULTS, OUTERS, outerStep, type Outer } from '../../src/learning/outer/outer.js';
import type { ParamSet } from '../../src/learning/types.js';

interface Vector {
  readonly outer: Outer;
  readonly base: readonly number[];
  readonly combined: readonly (readonly number[])[];
  readonly models: readonly (readonly number[])[];
}
const { outers } = JSON.parse(readFileSync('test/vectors/learning/rules.json', 'utf8')) as { outers: Vector[] };

const model = (values: readonly number[]): ParamSet => [
  { name: 'bias', shape: [3], data: Float32Array.from(values.slice(0, 3)) },
  { name: 'kernel', shape: [4, 3], data: Float32Array.from(values.slice(3)) },
];
const one = (...values: number[]): ParamSet => [{ name: 'w', shape: [values.length], data: Float32Array.from(values) }];
const valuesOf = (params: ParamSet): number[] => params.flatMap(({ data }) => [...data]);

const relativeError = (got: number, expected: number): number =>
  got === expected ? 0 : Math.abs(got - expected) / Math.abs(expected);

describe('against other implementations, four steps, to a millionth of each value', () => {
  test.each(outers.map((vector) => [vector.outer.name, vector] as const))(
    '%s',
    (_, { outer, base, combined, models }) => {
      let params = model(base);
      let state: ParamSet | null = null;
      combined.forEach((next, step) => {
        const result = outerStep(outer, params, model(next), state);
        ({ params, state } = result);
        valuesOf(params).forEach((value, i) =>
          expect(relativeError(value, models[step]![i]!), `step ${step}`).toBeLessThan(1e-6),
        );
      });
    },
  );
});

test('none takes what the rule made, bit by bit', () => {
  const combined = one(0.1, 0.2);
  expect(outerStep({ name: 'none' }, one(7, 7), combined, null)).toEqual({ params: combined, state: null });
});

test('sgd goes a part of the way', () => {
  const { params, state } = outerStep({ name: 'sgd', learningRate: 0.5 }, one(2, 4), one(4, 0), null);
  expect([valuesOf(params), state]).toEqual([[3, 2], null]);
});

test('DiLoCo by hand: m 0.5, lr 1', () => {
  const outer: Outer = { name: 'diloco', learningRate: 1, momentum: 0.5 };
  // d = 8 - 4 = 4, v = 4, step 0.5 * 4 + 4 = 6
  const first = outerStep(outer, one(8), one(4), null);
  expect(valuesOf(first.params)).toEqual([2]);
  // d = 2 - 0 = 2, v = 0.5 * 4 + 2 = 4, step 0.5 * 4 + 2 = 4
  expect(valuesOf(outerStep(outer, first.params, one(0), first.state).params)).toEqual([-2]);
});

test('what is kept has the names and sizes of the model, in order of names', () => {
  const names = OUTERS.map(
    (name) =>
      outerStep({ name }, model(Array(15).fill(1)), model(Array(15).fill(0)), null).state?.map((t) => t.name) ?? [],
  );
  const of = (...kept: string[]) => kept.flatMap((one) => [`${one}/bias`, `${one}/kernel`]);
  expect(names).toEqual([
    [],
    [],
    of('velocity'),
    of('square'),
    of('mean', 'square'),
    of('mean', 'square'),
    of('velocity'),
  ]);
});

test('a job may leave out what has a default', () => {
  for (const name of OUTERS) {
    const [base, combined] = [one(1, 2), one(2, 0)];
    expect(outerStep({ name }, base, combined, null)).toEqual(
      outerStep({ name, ...OUTER_DEFAULTS[name] }, base, combined, null),
    );
  }
});
