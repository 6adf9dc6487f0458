import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sha256Hex, type Pubkey } from '../../src/hash.js';
import { sideOf } from '../../src/market/alliance/list-rules.js';
import { roundReward } from '../../src/market/alliance/reward.js';
import { tally } from '../../src/market/alliance/vote.js';

const page = readFileSync('docs/market.md', 'utf8');
const [PROPOSERS, VOTERS] = [
  ['Ann', 'Ben'],
  ['Cleo', 'Dan', 'Eve'],
] as const;
const roles = { proposers: [...PROPOSERS] as string[] as Pubkey[], voters: [...VOTERS] as string[] as Pubkey[] };

/** A third of 600 sat, by losses before and after in ppm, in the order of the voters. */
function round(losses: readonly (readonly [number, number])[], eve = 1n) {
  const stakes = new Map(
    [...roles.proposers, ...roles.voters].map((key) => [key, (key as string) === 'Eve' ? eve : 1n]),
  );
  const reveals = new Map(
    roles.voters.map((key, i) => {
      const [beforePpm, afterPpm] = losses[i]!;
      const vote = sideOf({ tolerancePpm: 10_000 }, { beforePpm, afterPpm });
      return [key, { aggregate: sha256Hex('aggregate'), vote, beforePpm, afterPpm }] as const;
    }),
  );
  const counted = tally(new Map(roles.voters.map((key) => [key, stakes.get(key)!])), reveals);
  const { lines } = roundReward(600_000n, 3, { roles, proposed: new Set(roles.proposers), tally: counted, stakes });
  const gets = (name: string) =>
    Number(lines.find(({ payee }) => (payee as string) === name)?.amountMsat ?? 0n) / 1_000;
  return { counted, gets, votes: roles.voters.map((key) => reveals.get(key)!.vote) };
}
const FIRST = [
  [900_000, 700_000],
  [800_000, 804_000],
  [500_000, 700_000],
] as const;
const word = (vote: 1 | -1) => (vote === 1 ? '+1' : '-1');
const loss = (ppm: number) => (ppm / 1_000_000).toFixed(4);

describe('the example of an alliance in docs/market.md', () => {
  it('has the votes and what each gets where the aggregate is accepted', () => {
    const { counted, gets, votes } = round(FIRST);
    expect([counted.isAccepted, counted.sumMsat]).toEqual([true, 1n]);
    for (const name of PROPOSERS) expect(page).toContain(`| ${name} | proposes | | | | ${gets(name)} sat |`);
    for (const [i, name] of VOTERS.entries())
      expect(page).toContain(
        `| ${name} | votes | ${FIRST[i]!.map(loss).join(' | ')} | ${word(votes[i]!)} | ${gets(name)} sat |`,
      );
  });

  it('has what a poisoned round pays, and one that a large stake decides', () => {
    const poisoned = round([
      [700_000, 1_900_000],
      [804_000, 2_000_000],
      [700_000, 1_800_000],
    ]);
    expect([poisoned.counted.isAccepted, ...PROPOSERS.map(poisoned.gets)]).toEqual([false, 0, 0]);
    expect(page).toContain(VOTERS.map((name) => `${name} ${poisoned.gets(name)} sat`).join(', '));
    const rich = round(FIRST, 3n);
    expect([rich.counted.isAccepted, rich.counted.sumMsat]).toEqual([false, -1n]);
    expect(page).toContain(`all ${rich.gets('Eve')} sat`);
  });
});
