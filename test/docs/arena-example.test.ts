import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { leaderboards } from '../../src/market/arena/leaderboard.js';
import { rankShares } from '../../src/market/arena/rank.js';
import { scriptArena } from '../support/arena-script.js';
import { people } from '../support/job-contents.js';

const page = readFileSync('docs/market.md', 'utf8');
const keysOf = (from: number) => people.slice(from, from + 3).map(({ pubkey }) => pubkey);
const [trainers, validators] = [keysOf(0), keysOf(4)];

/** By trainer, in ppm: what Vera, Will and Xia measure. */
const SAID = [
  [100_000, 100_200, 100_400],
  [200_000, 200_200, 200_400],
  [300_000, 300_000, 300_000],
] as const;
const score = (trainer: Pubkey, _stage: number, validator: Pubkey) =>
  SAID[trainers.indexOf(trainer)]![validators.indexOf(validator)]!;

const rowOf = (...cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
const loss = (ppm: number) => (ppm / 1_000_000).toFixed(4);
const sat = (msat: bigint) => `${Number(msat) / 1_000} sat`;

describe('the example of an arena in docs/market.md', () => {
  const [interim] = leaderboards(scriptArena({ score }).state);

  it('has the scores, ranks and rewards that the rules come to', () => {
    for (const [at, name] of ['Ann', 'Ben', 'Cleo'].entries()) {
      const { scorePpm, rank, weightPpm, rewardMsat, trainer } = interim!.rows[at]!;
      expect(trainer).toBe(trainers[at]);
      const part = `${(weightPpm! / 10_000).toFixed(2)} %`;
      expect(page).toContain(rowOf(name, ...SAID[at]!.map(loss), loss(scorePpm!), rank!, part, sat(rewardMsat!)));
    }
  });

  it('has the distances, weights and fees of validators', () => {
    // Of Ann's model 200 of 200 + 100 ppm, of Ben's 200 of 200 + 200, of Cleo's none; the mean is rounded down.
    const off = '2/3, 1/2, 0';
    for (const [at, [name, distances]] of [
      ['Vera', off],
      ['Will', '0, 0, 0'],
      ['Xia', off],
    ].entries()) {
      const { validator, deviationMillionths, rewardMsat } = interim!.validators[at]!;
      expect([validator, deviationMillionths]).toEqual([validators[at], at === 1 ? 0n : 388_888n]);
      const mean = Number(deviationMillionths) / 1_000_000;
      expect(page).toContain(rowOf(name!, distances!, mean.toFixed(4), Math.exp(-mean).toFixed(4), sat(rewardMsat!)));
    }
  });

  it('has the rewards where one stake is twice the others', () => {
    const ranked = trainers.map((key, i) => [key, { scorePpm: i, stakeMsat: i === 0 ? 2n : 1n }] as const);
    const shares = rankShares(80_000n, new Map(ranked), { qPpm: 500_000, best: null, minMsat: 1n });
    const [ann, ben, cleo] = trainers.map((key) => sat(shares.get(key)!));
    expect(page).toContain(`is 12 : 2 : 1, ${ann}, ${ben} and ${cleo}.`);
    const copy = 'f'.repeat(64) as Pubkey;
    const halves = ranked.map(([key, one]) => [key, { ...one, stakeMsat: 1n }] as const);
    const split = rankShares(80_000n, new Map([...halves, [copy, { scorePpm: 0, stakeMsat: 1n }]]), {
      ...{ qPpm: 500_000, best: null, minMsat: 1n },
    });
    expect(split.get(trainers[0]!)! + split.get(copy)!).toBe(shares.get(trainers[0]!));
  });
});
