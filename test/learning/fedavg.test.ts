import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fedAvg } from '../../src/learning/aggregate/fedavg.js';
import type { Update } from '../../src/learning/aggregate/update.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import { vectors } from './vectors.js';

function update(shard: number, trainer: string, examples: number, values: readonly number[]): Update {
  return { shard, trainer, examples, params: [{ name: 'w', shape: [values.length], data: Float32Array.from(values) }] };
}
const meanOf = (updates: readonly Update[]) => [...fedAvg(updates)[0]!.data];

const updates = fc.uniqueArray(
  fc.record({
    shard: fc.nat(5),
    trainer: fc.constantFrom('aa', 'ab', 'b0', 'ff'),
    examples: fc.integer({ min: 1, max: 1e9 }),
    values: fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 4, maxLength: 4 }),
  }),
  { selector: ({ shard, trainer }) => `${shard}/${trainer}`, minLength: 1, maxLength: 8 },
);

describe('fedAvg', () => {
  it('weights by examples: 1 x 10 and 3 x 2 give 4', () => {
    expect(meanOf([update(0, 'aa', 1, [10]), update(1, 'bb', 3, [2])])).toEqual([4]);
  });

  it('gives the numbers of the vector', () => {
    const { updates: list, mean } = vectors.fedavg;
    expect(meanOf(list.map((u) => update(u.shard, u.trainer, u.examples, u.values)))).toEqual(mean);
  });

  it('gives equal bytes in any arrival order', () => {
    fc.assert(
      fc.property(updates, fc.infiniteStream(fc.nat()), (list, stream) => {
        const all = list.map((u) => update(u.shard, u.trainer, u.examples, u.values));
        const keys = new Map(all.map((u) => [u, stream.next().value as number]));
        const arrived = [...all].sort((a, b) => keys.get(a)! - keys.get(b)!);
        expect(encodeParams(fedAvg(arrived))).toEqual(encodeParams(fedAvg(all)));
      }),
    );
  });

  it('stays between the smallest and the largest update, and leaves a single one as it is', () => {
    fc.assert(
      fc.property(updates, (list) => {
        const all = list.map((u) => update(u.shard, u.trainer, u.examples, u.values));
        meanOf(all).forEach((mean, i) => {
          const values = all.map((u) => u.params[0]!.data[i]!);
          expect(mean).toBeGreaterThanOrEqual(Math.min(...values));
          expect(mean).toBeLessThanOrEqual(Math.max(...values));
        });
        expect(meanOf([all[0]!])).toEqual([...all[0]!.params[0]!.data].map((x) => x + 0));
      }),
    );
  });

  it('refuses updates of other shapes, naming the tensor', () => {
    const pair = [update(0, 'aa', 1, [1, 2]), update(1, 'bb', 1, [1])];
    expect(() => fedAvg(pair)).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', expected: 'F32 w [2]', got: 'F32 w [1]' }),
    );
  });

  it('refuses no updates, weights that are no positive integers, and one (shard, trainer) twice', () => {
    expect(() => fedAvg([])).toThrow(RangeError);
    for (const examples of [0, -1, 1.5, NaN])
      expect(() => fedAvg([update(0, 'aa', examples, [1])])).toThrow(RangeError);
    expect(() => fedAvg([update(0, 'aa', 1, [1]), update(0, 'aa', 1, [2])])).toThrow(RangeError);
  });
});
