import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256, type Pubkey } from '../../src/hash.js';
import { foldArena } from '../../src/market/arena/fold.js';
import { leaderboards, type Leaderboard } from '../../src/market/arena/leaderboard.js';
import { arenaScoreCommitment, WORST_SCORE_PPM } from '../../src/protocol/arena/scores.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { scriptArena, type ArenaScript } from '../support/arena-script.js';
import { customer, ENGINE, hashOf, people } from '../support/job-contents.js';

const [best, second, third] = people.slice(0, 3).map(({ pubkey }) => pubkey);
const validators = people.slice(4, 7).map(({ pubkey }) => pubkey);
const whole = scriptArena();
const nothing = (): null => null;

/** Of the last stage as it was when nothing after the step was said. */
function until(script: ArenaScript, step: string): Leaderboard {
  const last = script.parsed.findIndex(({ id }) => id === script.raw(step).id);
  return leaderboards(foldArena(script.jobId, script.parsed.slice(0, last + 1)).state!).at(-1)!;
}

describe('the leaderboard of an arena', () => {
  it('ranks by score and pays 4 : 2 : 1, to the msat of the settlement', () => {
    const [interim, final] = leaderboards(whole.state);
    expect(interim!.rows).toMatchObject([
      // 80,000 in sevenths; of them 4/7, 2/7 and 1/7 to the msat, in ppm rounded down.
      {
        rank: 1,
        trainer: best,
        scorePpm: 100_000,
        stakeMsat: 1n,
        rewardMsat: 45_714n,
        weightPpm: 571_425,
        noRank: null,
      },
      { rank: 2, trainer: second, scorePpm: 200_000, rewardMsat: 22_857n, weightPpm: 285_712 },
      { rank: 3, trainer: third, scorePpm: 300_000, rewardMsat: 11_429n, weightPpm: 142_862 },
    ]);
    expect(interim).toMatchObject({ stage: 0, isFinal: false, potMsat: 100_000n, refundMsat: 0n });
    expect(final).toMatchObject({ stage: 1, isFinal: true, potMsat: 900_000n, settledBy: [customer.pubkey] });
    for (const { potMsat, rows, validators: own } of [interim!, final!])
      expect([...rows, ...own].reduce((sum, { rewardMsat }) => sum + rewardMsat!, 0n)).toBe(potMsat);
    // Three seats of each of three models, and nobody said another number than the others.
    expect(
      interim!.validators.map(({ seats, revealed, counted, deviationMillionths }) => [
        seats,
        revealed,
        counted,
        deviationMillionths,
      ]),
    ).toEqual(validators.map(() => [3, 3, 3, 0n]));
  });

  it('shows what is scored before it shows whose it is', () => {
    const blind = until(whole, 'score-reveals/0');
    expect(blind).toMatchObject({ potMsat: null, refundMsat: null, settledBy: [] });
    expect(blind.rows.map(({ alias }) => alias)).toEqual([0, 1, 2]);
    for (const row of blind.rows) {
      const { rank, trainer, submission, stakeMsat, weightPpm, rewardMsat, noRank, said } = row;
      expect([rank, trainer, submission, stakeMsat, weightPpm, rewardMsat, noRank]).toEqual(Array(7).fill(null));
      expect(said.map((one) => [one.validator, one.scorePpm, one.counts])).toEqual(
        validators.map((key) => [key, row.scorePpm, true]),
      );
    }
    expect(blind.rows.map(({ scorePpm }) => scorePpm!).sort()).toEqual([100_000, 200_000, 300_000]);
    expect(blind.validators.map(({ rewardMsat, counted }) => [rewardMsat, counted])).toEqual(
      validators.map(() => [null, null]),
    );
  });

  it('names what will be paid once the names are told, and who has not settled', () => {
    const open = until(whole, 'table/0');
    expect(open.settledBy).toEqual([]);
    expect(open.rows).toEqual(leaderboards(whole.state)[0]!.rows);
  });

  it('has no numbers before anybody was drawn', () => {
    expect(until(whole, 'list/0').rows).toEqual([]);
    expect(until(whole, 'root/0').rows).toMatchObject(Array(3).fill({ scorePpm: null, said: [], draws: 0 }));
    expect(until(whole, 'draw/0').rows[0]!.said).toMatchObject(
      validators.map((validator) => ({ validator, scorePpm: null, counts: false })),
    );
  });

  it('names a validator that revealed nothing, and pays it nothing', () => {
    const [interim] = leaderboards(scriptArena({ alter: { 'scores/0/1': nothing } }).state);
    expect(interim!.validators[1]).toMatchObject({
      validator: validators[1],
      seats: 3,
      revealed: 0,
      counted: null,
      rewardMsat: 0n,
    });
    expect(interim!.validators[0]).toMatchObject({ seats: 3, revealed: 3, counted: 3, rewardMsat: 10_000n });
    expect(interim!.rows[0]!.said.map(({ scorePpm, counts }) => [scorePpm, counts])).toEqual([
      [100_000, true],
      [null, false],
      [100_000, true],
    ]);
  });

  it('counts of two draws the scores of the one that gave enough', () => {
    const script = scriptArena({ alter: { 'scores/0/0': nothing, 'scores/0/1': nothing } });
    const [interim] = leaderboards(script.state);
    for (const { draws, said, scorePpm } of interim!.rows) {
      expect(draws).toBe(2);
      expect(said.map(({ draw, scorePpm: own, counts }) => [draw, own, counts])).toEqual([
        ...[
          [0, null, false],
          [0, null, false],
          [0, scorePpm, false],
        ],
        ...[
          [1, scorePpm, true],
          [1, scorePpm, true],
          [1, scorePpm, true],
        ],
      ]);
    }
    expect(interim!.validators.map(({ seats, revealed }) => [seats, revealed])).toEqual([
      [6, 3],
      [6, 3],
      [6, 6],
    ]);
    // Nothing counts while the second draw is open.
    expect(until(script, 'score-commits/0/again1').rows[0]!.said.some(({ counts }) => counts)).toBe(false);
  });

  it('says why somebody has no rank', () => {
    const bad = (trainer: string) => (trainer === third ? WORST_SCORE_PPM : 100_000);
    expect(leaderboards(scriptArena({ score: bad }).state)[0]!.rows.at(-1)).toMatchObject({
      rank: null,
      trainer: third,
      noRank: 'worst-score',
      rewardMsat: 0n,
      weightPpm: 0,
    });
    const silent = Object.fromEntries(
      ['scores/0', 'scores/0/again1', 'scores/0/again2'].flatMap((step) => [
        [`${step}/0`, nothing],
        [`${step}/1`, nothing],
      ]),
    );
    const [none] = leaderboards(scriptArena({ alter: silent }).state);
    expect(none!.rows).toMatchObject(Array(3).fill({ rank: null, noRank: 'no-score', draws: 3 }));
    expect(none!.refundMsat).toBe(100_000n);
  });

  it('counts nobody as whose model most validators opened another one', () => {
    const sheet = (script: ArenaScript, i: number) =>
      script.stage.rounds[0]!.seats.get(validators[i]!)!.map((alias) => ({
        alias,
        model: hashOf('another model'),
        scorePpm: 50_000,
      }));
    const salt = sha256('another salt');
    const commit = (i: number) => (of: ContentOf<'score-commit'>, script: ArenaScript) => {
      const { evalA } = script.state.job.content;
      const under = { job: script.jobId, round: 0, draw: of.list, validator: validators[i]!, engine: ENGINE, salt };
      return {
        ...of,
        commitment: arenaScoreCommitment({ ...under, data: evalA.commitment, scores: sheet(script, i) }),
      };
    };
    const open = (i: number) => (of: ContentOf<'arena-scores'>, script: ArenaScript) => ({
      ...of,
      ...{ salt, scores: sheet(script, i) },
    });
    const alter = Object.fromEntries(
      [0, 1].flatMap((i) => [
        [`score-commit/0/${i}`, commit(i)],
        [`scores/0/${i}`, open(i)],
      ]),
    );
    const [interim] = leaderboards(scriptArena({ alter }).state);
    expect(interim!.rows).toMatchObject(
      Array(3).fill({ rank: null, noRank: 'contradicted', scorePpm: null, draws: 1 }),
    );
    expect(interim!.rows.flatMap(({ said }) => said.map(({ counts }) => counts))).toEqual(Array(9).fill(false));
    expect(interim!.validators.map(({ revealed, counted }) => [revealed, counted])).toEqual(Array(3).fill([3, null]));
    expect(interim!.refundMsat).toBe(100_000n);
  });

  it('pays what the pot has, whatever is said and whoever is silent', () => {
    const scores = fc.array(fc.constantFrom(100_000, 100_150, 250_000, WORST_SCORE_PPM), {
      minLength: 9,
      maxLength: 9,
    });
    const silent = fc.subarray([0, 1, 2]);
    fc.assert(
      fc.property(scores, silent, (said, quiet) => {
        const trainers = [best, second, third];
        const score = (trainer: Pubkey, _stage: number, validator: Pubkey) =>
          said[3 * trainers.indexOf(trainer) + validators.indexOf(validator)]!;
        const alter = Object.fromEntries(quiet.map((i) => [`scores/0/${i}`, nothing]));
        const script = scriptArena({ score, alter });
        const { plan } = script.at('settlement/0', 'arena-settlement').content;
        const { rows, validators: own, refundMsat, potMsat } = leaderboards(script.state)[0]!;
        const paid = (key: Pubkey | null) =>
          plan.filter(({ payee }) => payee === key).reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
        for (const { trainer, rewardMsat } of rows) expect(rewardMsat).toBe(paid(trainer));
        for (const { validator, rewardMsat } of own) expect(rewardMsat).toBe(paid(validator));
        const sum = [...rows, ...own].reduce((all, { rewardMsat }) => all + rewardMsat!, refundMsat!);
        expect(sum).toBe(potMsat);
        // A better score is never ranked below a worse one.
        const ranked = rows.flatMap(({ rank, scorePpm }) => (rank === null ? [] : [scorePpm!]));
        expect(ranked).toEqual([...ranked].sort((a, b) => a - b));
      }),
      { numRuns: 8 },
    );
  });
});
