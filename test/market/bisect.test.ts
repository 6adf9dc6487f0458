import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { firstDivergence } from '../../src/market/bisect.js';

const ends = (names: string) => [...names].map((name) => sha256Hex(name));

it('names the first segment that ends elsewhere, and none where all agree', () => {
  expect(firstDivergence(ends('abcdef'), ends('abcxyz'))).toBe(3);
  expect(firstDivergence(ends('abcdef'), ends('uvwxyz'))).toBe(0);
  expect(firstDivergence(ends('abcdef'), ends('abcdez'))).toBe(5);
  expect(firstDivergence(ends('abc'), ends('abc'))).toBeNull();
  expect(firstDivergence([], ends('abc'))).toBeNull();
});

it('finds a made-up state that the list leaves again', () => {
  expect(firstDivergence(ends('abxdef'), ends('abcdef'))).toBe(2);
});

it('starts where both agree and ends where they do not, whatever the lists', () => {
  const letters = fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(letters, letters, (a, b) => {
      const [committed, repeated] = [ends(a.join('')), ends(b.join(''))];
      const at = firstDivergence(committed, repeated);
      const count = Math.min(a.length, b.length);
      if (at === null) {
        expect(a.slice(0, count)).toEqual(b.slice(0, count));
        return;
      }
      expect(a[at]).not.toBe(b[at]);
      if (at > 0) expect(a[at - 1]).toBe(b[at - 1]);
    }),
  );
});
