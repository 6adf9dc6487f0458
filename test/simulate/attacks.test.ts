import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/hash.js';
import type { Examples, ModelSpec, ParamSet } from '../../src/learning/types.js';
import {
  boosted,
  innerProduct,
  labelsFlipped,
  littleIsEnough,
  moved,
  noise,
  noisyCopy,
  signFlipped,
} from '../../src/simulate/attacks.js';

const params = (...values: number[]): ParamSet => [
  { name: 'w', shape: [values.length], data: Float32Array.from(values) },
];
const valuesOf = ([tensor]: ParamSet): number[] => [...tensor!.data];

const base = params(1, 1, 1);
const update = params(3, 0, 1);

describe('an attack', () => {
  it('turns the sign of the change around', () => expect(valuesOf(signFlipped(base, update))).toEqual([-1, 2, 1]));

  it('sends ten times the change', () => expect(valuesOf(boosted(base, update))).toEqual([21, -9, 1]));

  it('sends the change of another round again', () =>
    expect(valuesOf(moved(params(10, 10, 10), base, update))).toEqual([12, 9, 10]));

  it('moves the mean of the honest updates by 1.5 standard deviations', () => {
    // Means 2 and 5, standard deviations 1 and 0.
    expect(valuesOf(littleIsEnough([params(1, 5), params(3, 5)]))).toEqual([0.5, 5]);
  });

  it('sends half of the mean honest change the other way', () => {
    // Mean changes 2 and -1.
    expect(valuesOf(innerProduct(params(1, 1), [params(2, 0), params(4, 0)]))).toEqual([0, 1.5]);
  });

  it('turns labels around within the classes, and numbers to their negatives', () => {
    const examples = (labels: Examples['labels']) => ({ rows: 3, labels }) as Examples;
    const model = { outputs: 10 } as ModelSpec;
    expect([...labelsFlipped(model, examples(Int32Array.of(0, 4, 9))).labels]).toEqual([9, 5, 0]);
    expect([...labelsFlipped(model, examples(Float32Array.of(0.5, -2, 3))).labels]).toEqual([-0.5, 2, -3]);
  });

  it('sends noise as long as an honest change, the same for the same seed', () => {
    const many = (value: number) => params(...new Array<number>(2_000).fill(value));
    const made = noise(many(0), many(2), sha256('a'));
    const rms = Math.sqrt(valuesOf(made).reduce((sum, value) => sum + value * value, 0) / 2_000);
    expect(rms).toBeGreaterThan(1.9);
    expect(rms).toBeLessThan(2.1);
    expect(noise(many(0), many(2), sha256('a'))).toEqual(made);
    expect(noise(many(0), many(2), sha256('b'))).not.toEqual(made);
  });

  it('copies an update but for a twentieth of the change', () => {
    const copy = valuesOf(noisyCopy(base, update, sha256('a')));
    copy.forEach((value, index) => expect(Math.abs(value - update[0]!.data[index]!)).toBeLessThan(6 * 0.05 * 1.3));
    expect(copy).not.toEqual(valuesOf(update));
  });
});
