import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { collusionFields, drawnMajorities, majorityChance, shareOfSplit } from '../../src/market/attacks/majority.js';

const page = readFileSync('docs/market.md', 'utf8');

describe('colluding validators in docs/market.md', () => {
  it('have the seats that counting all draws gives', () => {
    // Of 35 draws of 3 among 7, 1 has all of the 3 colluders and 3 * 4 have two of them.
    expect(majorityChance({ validators: 7, colluders: 3, seats: 3 })).toEqual([13n, 35n]);
    for (const share of [10, 20, 30, 40])
      for (const validators of [7, 15, 30]) {
        const fields = collusionFields(share, validators);
        const chances = fields.map((field) => {
          const [over, under] = majorityChance(field);
          return `${(Number((over * 1_000_000n) / under) / 10_000).toFixed(2)} %`;
        });
        const cells = [`${share} %`, validators, fields[0]!.colluders, ...chances];
        expect(page).toContain(`| ${cells.join(' | ')} |`);
      }
  });

  it('get about as many by the draw of an arena, and never what is impossible', () => {
    for (const field of [...collusionFields(30, 15), ...collusionFields(20, 7)]) {
      const row = drawnMajorities(field, 20);
      expect(row.fits, `${row.setting}: ${row.measured}`).toBe(true);
    }
  });

  it('earn less of their fees under three keys than under one, by the rule that there is', () => {
    const [one, three] = [1, 3].map((keys) => shareOfSplit('stake * count', keys, 3, 20)) as [number, number];
    expect(one).toBeGreaterThan(0.3);
    expect(three).toBeLessThan(0.23);
    expect(Math.abs(shareOfSplit('stake', 1, 7, 20) - 0.2)).toBeLessThan(0.01);
  });
});
