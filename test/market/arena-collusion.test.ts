import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { leaderboards, type Leaderboard } from '../../src/market/arena/leaderboard.js';
import { auditArenaPublic } from '../../src/roles/arena/audit-public.js';
import { scriptArena, type ArenaScript } from '../support/arena-script.js';
import { person, SNAPSHOTS, START_SEC } from '../support/job-contents.js';

/** 20 trainers and 7 validators, of whom two score for a friend and one takes its seats and says nothing. */

const byKey = <T extends { readonly pubkey: Pubkey }>(list: T[]) => list.sort((a, b) => (a.pubkey < b.pubkey ? -1 : 1));
const trainers = byKey(Array.from({ length: 20 }, (_, i) => person(`arena trainer ${i}`)));
const validators = byKey(Array.from({ length: 7 }, (_, i) => person(`arena validator ${i}`)));
const colluders = new Set([validators[1]!.pubkey, validators[4]!.pubkey]);
/** The worst of all. */
const friend = trainers[7]!.pubkey;
const lossOf = (trainer: Pubkey) =>
  trainer === friend ? 900_000 : 100_000 + 10_000 * trainers.findIndex(({ pubkey }) => pubkey === trainer);

function played(seats: number, isHonest: boolean): ArenaScript {
  const silent = ['', '/again1', '/again2'].map((turn) => [`scores/0${turn}/6`, () => null] as const);
  return scriptArena({
    ...{ trainers, validators, alter: { ...Object.fromEntries(silent), 'list/1': () => null } },
    arena: { seats, interimUntil: START_SEC + 1, finalUntil: START_SEC + 2 },
    score(trainer, _stage, validator) {
      if (isHonest || !colluders.has(validator)) return lossOf(trainer);
      return trainer === friend ? 1 : 800_000;
    },
  });
}
const order = (rows: Leaderboard['rows'], without: ReadonlySet<Pubkey> = new Set()) =>
  rows.filter(({ rank, trainer }) => rank !== null && !without.has(trainer!)).map(({ trainer }) => trainer);
const paid = (boards: readonly Leaderboard[], of: (key: Pubkey) => boolean) =>
  boards
    .flatMap((board) => board.validators)
    .filter(({ validator }) => of(validator))
    .reduce((sum, { rewardMsat }) => sum + rewardMsat!, 0n);
const facts = {
  ...{ snapshots: new Map(SNAPSHOTS.map((event) => [event.id, event])), decode: () => null },
  nowSec: START_SEC + 86_400,
};

describe('two of seven validators that collude, beside one that is silent', () => {
  it.each([7, 3])(
    'move no rank but where half of the %d seats that spoke were theirs, and earn less by it',
    (seats) => {
      const [honest, bad] = [played(seats, true), played(seats, false)];
      const [ours, theirs] = [honest, bad].map(({ state }) => leaderboards(state)) as [Leaderboard[], Leaderboard[]];
      for (const script of [honest, bad]) {
        expect(script.folded).toMatchObject({ phase: 'submitting', firstBad: null });
        expect(auditArenaPublic(script.folded, facts)).toBeNull();
      }
      let moved = 0;
      for (const [stage, { rows }] of theirs.entries()) {
        const half = rows.filter(({ said }) => {
          const counting = said.filter(({ counts }) => counts);
          return 2 * counting.filter(({ validator }) => colluders.has(validator)).length >= counting.length;
        });
        const taken = new Set(half.map(({ trainer }) => trainer!));
        moved += half.length;
        for (const { trainer, scorePpm } of rows.filter((row) => !taken.has(row.trainer!)))
          expect(scorePpm).toBe(lossOf(trainer!));
        expect(order(rows, taken)).toEqual(order(ours[stage]!.rows, taken));
      }
      // With 7 seats all validators score all submissions, and two of six that speak are no half.
      expect(seats === 7 ? moved === 0 : moved > 0 && moved < 20).toBe(true);
      if (seats === 7) expect(theirs.map(({ rows }) => order(rows))).toEqual(ours.map(({ rows }) => order(rows)));

      const fees = (boards: readonly Leaderboard[]) => paid(boards, (key) => colluders.has(key));
      expect(fees(theirs)).toBeLessThan(fees(ours) / 2n);
      expect(paid(theirs, (key) => key === validators[6]!.pubkey)).toBe(0n);
    },
  );
});
