import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { conductOf, validatorWeights } from '../../src/market/arena/weights.js';
import { explainArenaPayout } from '../../src/market/arena/explain.js';
import { consensusOf } from '../../src/market/arena/consensus.js';
import { rankShares } from '../../src/market/arena/rank.js';
import { largestRemainder } from '../../src/market/stake-reward.js';
import { lockId } from '../../src/protocol/stake.js';
import { scriptArena, type ArenaOptions, type ArenaScript } from '../support/arena-script.js';
import { customer, people, person, type Person } from '../support/job-contents.js';
import * as second from '../support/second/arena.js';
import { expOf, powerOf } from '../support/second/powers.js';
import { portions } from '../support/second/stakes.js';

/** The arena of docs/protocol.md worked out twice: by the fold, and from raw events apart, with powers taken another way. */

const key = (i: number) => `key ${i}` as Pubkey;
const keyed = <T>(list: readonly T[]) => new Map(list.map((one, i) => [key(i), one]));
const sorted = <T>(rows: Iterable<readonly [string, T]>) => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));

describe('shares of a pot', () => {
  it('by rank are those of exact powers and roots, to the msat', () => {
    const rows = fc.array(fc.record({ scorePpm: fc.nat(3), stakeMsat: fc.bigInt(4n, 24n) }), {
      minLength: 1,
      maxLength: 6,
    });
    const best = fc.option(fc.integer({ min: 1, max: 6 }), { nil: null });
    const q = fc.integer({ min: 1, max: 999_999 });
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 12n), rows, q, best, (pot, trainers, qPpm, k) => {
        const first = rankShares(pot, keyed(trainers), { qPpm, best: k, minMsat: 4n });
        const staked = trainers.map(({ scorePpm: c, stakeMsat: msat }, i) => ({ key: key(i), c, msat }));
        const again = new Map(second.rankParts(pot, staked, qPpm, k, 4n));
        expect(sorted(first)).toEqual(staked.map((one) => [one.key, again.get(one.key)!]));
      }),
      { numRuns: 60 },
    );
  });

  it('by closeness are those of a long series, to the msat', () => {
    const near = fc.integer({ min: 199_000, max: 201_000 });
    const sheet = fc.array(fc.option(near, { nil: null }), { minLength: 5, maxLength: 5 });
    const stakes = fc.array(fc.bigInt(0n, 9n), { minLength: 5, maxLength: 5 });
    const terms = fc.record({
      lambdaPpm: fc.integer({ min: 0, max: 9_000_000 }),
      best: fc.option(fc.integer({ min: 1, max: 5 }), { nil: null }),
    });
    fc.assert(
      fc.property(
        fc.array(sheet, { minLength: 1, maxLength: 4 }),
        stakes,
        terms,
        (sheets, staked, { lambdaPpm, best }) => {
          const rowsOf = (one: (typeof sheets)[0]) =>
            one.flatMap((scorePpm, i) => (scorePpm === null ? [] : [[key(i), { scorePpm }] as const]));
          const scored = sheets.map((one) => ({
            seats: 5,
            scoresPpm: new Map(rowsOf(one).map(([name, { scorePpm }]) => [name, scorePpm])),
          }));
          const weights = validatorWeights(conductOf(scored), keyed(staked), { lambdaPpm, best });
          const scores = sheets.flatMap((one, i) => {
            const c = consensusOf(scored[i]!.scoresPpm, 5);
            return c === null ? [] : [{ c, rows: rowsOf(one) }];
          });
          const again = second.validatorWeights(scores, keyed(staked), { lambdaPpm, bestValidators: best });
          expect(sorted(largestRemainder(10n ** 9n, weights))).toEqual(sorted(portions(10n ** 9n, again)));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('are taken from powers that one can check by hand', () => {
    const ONE = 1n << 128n;
    expect([powerOf(500_000, 3n, 1n), powerOf(250_000, 1n, 2n), powerOf(900_000, 0n, 7n)]).toEqual([
      ONE / 8n,
      ONE / 2n,
      ONE,
    ]);
    // 0.6^(1/2) = 0.774596669241483377, e^-0.1 = 0.904837418035959573, e^-30 = 9.3576229688e-14
    expect((powerOf(600_000, 1n, 2n) * 10n ** 18n) >> 128n).toBe(774_596_669_241_483_377n);
    expect((expOf(1n, 10n) * 10n ** 18n) >> 128n).toBe(904_837_418_035_959_573n);
    expect((expOf(30n, 1n) * 10n ** 24n) >> 128n).toBe(93_576_229_688n);
  });
});

describe('whole arenas', () => {
  const delegator = person('delegator');

  /** Own stakes in msat, the minimum being 4; somebody stands behind the first trainer and the first validator. */
  function staking(trainers: readonly Person[], validators: readonly Person[], amounts: readonly number[]) {
    const all = [
      ...trainers.map((who) => ({ who, role: 'trainer' as const })),
      ...validators.map((who) => ({ who, role: 'validator' as const })),
    ];
    const amount = (i: number) => BigInt(amounts[i % amounts.length]!);
    const behind = [trainers[0]!, validators[0]!];
    return (so: ArenaScript) => {
      all.forEach(({ who, role }, i) => {
        const lock = lockId(so.jobId, who.pubkey, who.pubkey, 0);
        so.say(who, 'stake', `stake/${i}`, { lock, amountMsat: amount(i), role, sigmaPpm: 100_000 * i });
      });
      behind.forEach(({ pubkey: operator }, i) => {
        const lock = lockId(so.jobId, delegator.pubkey, operator, i);
        so.say(delegator, 'delegate', `delegate/${i}`, { lock, amountMsat: 6n, operator });
      });
      const rows = all
        .map(({ who, role }, i) => ({
          ...{ operator: who.pubkey, role, ownMsat: amount(i), sigmaPpm: 100_000 * i },
          delegatedMsat: behind.includes(who) ? 6n : 0n,
        }))
        .sort((a, b) => (a.operator < b.operator ? -1 : 1));
      const events = [...all.map((_, i) => `stake/${i}`), 'delegate/0', 'delegate/1'].map((step) => so.raw(step).id);
      so.say(customer, 'stake-table', 'stakes', { interval: 0, events, rows });
      so.say(customer, 'stake-table', 'later', { interval: 3, events: [], rows });
    };
  }

  const arena = fc.record({
    trainers: fc.integer({ min: 1, max: 3 }),
    validators: fc.integer({ min: 3, max: 5 }),
    scores: fc.array(fc.nat(3), { minLength: 7, maxLength: 7 }),
    noise: fc.array(fc.nat(400), { minLength: 5, maxLength: 5 }),
    silent: fc.subarray(['scores/0/0', 'scores/0/1', 'scores/0/again1/1', 'scores/1/2'], { maxLength: 3 }),
    stakes: fc.option(fc.array(fc.integer({ min: 4, max: 11 }), { minLength: 5, maxLength: 5 }), { nil: null }),
    terms: fc.record({
      seats: fc.constantFrom(3, 5),
      sides: fc.constantFrom(
        { sides: 'fixed' as const, validatorSharePpm: 200_000 },
        { sides: 'byStake' as const, gPpm: 120_000 },
      ),
      qPpm: fc.constantFrom(500_000, 730_001),
      bestStakes: fc.constantFrom(null, 2),
      bestValidators: fc.constantFrom(null, 2),
      lambdaPpm: fc.constantFrom(1_000_000, 2_500_000),
      interimSharePpm: fc.constantFrom(100_000, 333_333),
    }),
  });

  it('come to the same seats, ranks and lines in both, and every line is explained to the msat', () => {
    fc.assert(
      fc.property(arena, ({ scores, noise, silent, stakes, terms, ...count }) => {
        const trainers = people.slice(0, count.trainers);
        const validators = people.slice(3, 3 + count.validators);
        const score: ArenaOptions['score'] = (trainer, stage, validator) => {
          const [t, v] = [trainer, validator].map((of) => people.findIndex(({ pubkey }) => pubkey === of)) as [
            number,
            number,
          ];
          return 100_000 * (1 + scores[(t + stage) % 7]!) + noise[(t + v) % 5]!;
        };
        const stake = {
          trainerMsat: 4n,
          validatorMsat: 4n,
          delegatedPpm: 500_000,
          maxDelegated: 1,
          intervalSec: 3_600,
        };
        const script = scriptArena({
          ...{ trainers, validators, score, arena: terms },
          alter: Object.fromEntries(silent.map((step) => [step, () => null])),
          ...(stakes !== null && { terms: { stake }, after: { job: staking(trainers, validators, stakes) } }),
        });
        const { folded, state } = script;
        expect(folded).toMatchObject({ phase: 'finished', firstBad: null });
        const first = state.stages.map(({ root, rounds, ranks, settlement }) => ({
          seats: rounds.map(({ seats }) =>
            Array.from({ length: root!.content.count }, (_, alias) =>
              [...seats].filter(([, aliases]) => aliases.includes(alias)).map(([validator]) => validator),
            ),
          ),
          ranks: ranks.map(({ trainer, scorePpm }) => [trainer, scorePpm]),
          plan: settlement!.content.plan.map(({ payee, purpose, amountMsat }) => [payee, purpose, amountMsat]),
        }));
        expect(second.playArena(script.events, script.jobId)).toEqual(first);
        for (const { payout, amountMsat } of state.stages.flatMap(({ payouts }) => payouts)) {
          const added = explainArenaPayout(state, payout)!.causes.map(
            ({ adds }) => (adds as { msat: bigint } | null)?.msat ?? 0n,
          );
          expect(added.reduce((sum, msat) => sum + msat, 0n)).toBe(amountMsat);
        }
      }),
      { numRuns: 8 },
    );
  });
});
