import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldArena } from '../../src/market/arena/fold.js';
import { foldJob } from '../../src/market/fold.js';
import { EVENT_TYPES, parseJobEvent, type ContentOf } from '../../src/protocol/events.js';
import { lockId } from '../../src/protocol/stake.js';
import { signEvent } from '../../src/schnorr.js';
import {
  ARENA_TERMS,
  scriptArena,
  submissionOf,
  type ArenaOptions,
  type ArenaScript,
} from '../support/arena-script.js';
import { customer, hashOf, people, person, START_SEC, type Person } from '../support/job-contents.js';

const whole = scriptArena();
const planOf = (script: ArenaScript, stage: number) =>
  script.at(`settlement/${stage}`, 'arena-settlement').content.plan;
const ruleOf = (options: ArenaOptions) => {
  const { phase, firstBad } = scriptArena(options).folded;
  return `${phase}: ${firstBad?.rule}`;
};

describe('an arena', () => {
  it('pays 4 : 2 : 1 by rank and equal parts to equal validators, in both stages', () => {
    expect(whole.folded).toMatchObject({ phase: 'finished', firstBad: null, missing: [] });
    const amounts = (stage: number) =>
      planOf(whole, stage).map(({ purpose, amountMsat }) => `${purpose} ${amountMsat}`);
    // 80,000 in sevenths, the msat over to the largest rest, then 20,000 in thirds.
    expect(amounts(0)).toEqual(['trainer 45714', 'trainer 22857', 'trainer 11429', 'fee 6667', 'fee 6667', 'fee 6666']);
    expect(amounts(1)).toEqual([
      'trainer 411429',
      'trainer 205714',
      'trainer 102857',
      'fee 60000',
      'fee 60000',
      'fee 60000',
    ]);
    for (const stage of [0, 1]) {
      const { plan, totalMsat } = whole.at(`settlement/${stage}`, 'arena-settlement').content;
      expect(plan.reduce((sum, { amountMsat }) => sum + amountMsat, 0n)).toBe(totalMsat);
    }
  });

  it('is the same in any order of arrival, and however often events came', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(whole.parsed, { minLength: whole.parsed.length }), (events) => {
        const { phase, state } = foldArena(whole.jobId, [...events, ...events.slice(0, 5)]);
        expect({ phase, stages: state!.stages }).toEqual({ phase: 'finished', stages: whole.state.stages });
      }),
      { numRuns: 10 },
    );
  });

  it('without one of its events is incomplete or the same, and no rule is broken', () => {
    for (const one of whole.parsed.slice(1)) {
      const { phase, missing } = foldArena(
        whole.jobId,
        whole.parsed.filter((event) => event !== one),
      );
      const isLast = one.author === customer.pubkey && one.type === 'arena-settlement' && one.content.stage === 1;
      expect(isLast ? 'ranked' : phase === 'incomplete' || missing.length > 0, one.type).toEqual(isLast ? phase : true);
    }
  });

  it('names a seen submission that is left out', () => {
    const alter = { 'list/0': (list: ContentOf<'arena-list'>) => ({ ...list, ids: list.ids.slice(1) }) };
    expect(ruleOf({ alter })).toBe('frozen: omission');
  });

  it('names a listed submission that was never seen', () => {
    const alter = { 'seen/0': (seen: ContentOf<'arena-seen'>) => ({ ...seen, ids: seen.ids.slice(1) }) };
    expect(ruleOf({ alter })).toBe('frozen: list');
  });

  it('names a table of aliases that is not what its root promised', () => {
    const swapped = (table: ContentOf<'alias-table'>) => ({ ...table, entries: [...table.entries].reverse() });
    expect(ruleOf({ alter: { 'table/0': swapped } })).toBe('frozen: alias-table');
    const other = (table: ContentOf<'alias-table'>) => ({
      ...table,
      entries: table.entries.map((entry, i) => (i === 0 ? { ...entry, model: hashOf('another') } : entry)),
    });
    expect(ruleOf({ alter: { 'table/0': other } })).toBe('frozen: alias-table');
  });

  it('names a nonce that was seen and is left out of the draw', () => {
    const alter = { 'draw/0': (draw: ContentOf<'draw'>) => ({ ...draw, nonces: draw.nonces!.slice(1) }) };
    expect(ruleOf({ alter })).toBe('frozen: omission');
  });

  it('names a wrong rank', () => {
    const alter = { 'ranking/0': (of: ContentOf<'ranking'>) => ({ ...of, ranks: of.ranks.slice(1) }) };
    expect(ruleOf({ alter })).toBe('frozen: ranking');
  });

  it('names a payout that is a msat off', () => {
    const more = (of: ContentOf<'arena-settlement'>) => ({
      ...of,
      plan: of.plan.map((line, i) => (i === 0 ? { ...line, amountMsat: line.amountMsat + 1n } : line)),
    });
    expect(ruleOf({ alter: { 'settlement/0': more } })).toBe('frozen: settlement');
    const less = (of: ContentOf<'arena-settlement'>) => ({ ...of, totalMsat: of.totalMsat - 1n });
    expect(ruleOf({ alter: { 'settlement/0': less } })).toBe('frozen: settlement');
  });

  it('takes no validator that submits', () => {
    expect(ruleOf({ validators: people.slice(2, 5) })).toBe('frozen: alias-root');
  });

  it('counts the first two submissions of a day, and of those the last', () => {
    const three = (ids: (so: ArenaScript) => readonly string[]): ArenaOptions => ({
      after: {
        'submit/0/0': (so) => {
          for (const step of ['second', 'third']) so.say(people[0]!, 'submit', step, submissionOf(so, people[0]!, 0));
        },
      },
      alter: {
        'seen/0': (seen: ContentOf<'arena-seen'>, so: ArenaScript) => ({
          ...seen,
          ids: [...seen.ids, so.raw('second').id, so.raw('third').id],
        }),
        'list/0': (list: ContentOf<'arena-list'>, so: ArenaScript) => ({
          ...list,
          ids: [...list.ids, ...ids(so).map((step) => so.raw(step).id)],
        }),
      },
    });
    expect(ruleOf(three(() => []))).toBe('frozen: omission');
    expect(ruleOf(three(() => ['second', 'third']))).toBe('frozen: list');
    const two = scriptArena(three(() => ['second']));
    expect(two.state.stages[0]!.submissions.get(people[0]!.pubkey)!.id).toBe(two.raw('second').id);
  });

  it('draws seats again where too few revealed, and before any name is told', () => {
    const silent = { 'scores/0/0': () => null, 'scores/0/1': () => null };
    const again = scriptArena({ alter: silent });
    expect(again.folded.phase).toBe('finished');
    expect(again.state.stages.map(({ rounds }) => rounds.length)).toEqual([2, 1]);
    const never = { ...silent, 'draw/0/again1': () => null, 'draw/0/again2': () => null };
    expect(ruleOf({ alter: never })).toBe('frozen: redraw');
  });

  it('gives all of it back where nobody scores, and no seat to who was silent three times', () => {
    const silent = Object.fromEntries(
      ['scores/0', 'scores/0/again1', 'scores/0/again2']
        .flatMap((step) => [`${step}/0`, `${step}/1`])
        .map((step) => [step, () => null]),
    );
    const script = scriptArena({ alter: silent });
    expect(script.folded.phase).toBe('finished');
    for (const [stage, amountMsat] of [100_000n, 900_000n].entries())
      expect(planOf(script, stage)).toMatchObject([{ payee: customer.pubkey, purpose: 'refund', amountMsat }]);
    expect([...script.stage.rounds[0]!.seats.keys()]).toEqual([people[6]!.pubkey]);
  });

  it('cannot be ended by a trainer that forks its chain afterwards', () => {
    const content = submissionOf(whole, people[0]!, 0);
    const link = { job: whole.jobId, seq: 0, prev: null };
    const fork = signEvent(EVENT_TYPES.submit.build(link, content, START_SEC - 1), people[0]!.secret);
    const { phase, forks } = foldArena(whole.jobId, [...whole.parsed, parseJobEvent(fork)]);
    expect(phase).toBe('finished');
    expect(forks).toMatchObject([{ author: people[0]!.pubkey, seq: 0 }]);
  });
});

describe('copies of the best model', () => {
  const honest = people.slice(0, 3);
  const copies = Array.from({ length: 10 }, (_, i) => person(`copy ${i}`));
  const terms = {
    stake: { trainerMsat: 1_000n, validatorMsat: 0n, delegatedPpm: 0, maxDelegated: 0, intervalSec: 3_600 },
  };
  const earned = (best: readonly Person[], stakeMsat: bigint) => {
    const trainers = [...honest, ...best];
    const isBest = new Set(best.map(({ pubkey }) => pubkey));
    const stakeAll = (so: ArenaScript) => {
      const rows = trainers.map((who) => {
        const amountMsat = isBest.has(who.pubkey) ? stakeMsat : 1_000n;
        const lock = lockId(so.jobId, who.pubkey, who.pubkey, 0);
        so.say(who, 'stake', `stake/${who.pubkey}`, { lock, amountMsat, role: 'trainer', sigmaPpm: 0 });
        return { operator: who.pubkey, role: 'trainer' as const, ownMsat: amountMsat, delegatedMsat: 0n, sigmaPpm: 0 };
      });
      const events = trainers.map(({ pubkey }) => so.raw(`stake/${pubkey}`).id);
      rows.sort((a, b) => (a.operator < b.operator ? -1 : 1));
      so.say(customer, 'stake-table', 'table', { interval: 0, events, rows });
    };
    const score = (trainer: Person['pubkey']) =>
      isBest.has(trainer) ? 50_000 : 100_000 + 1_000 * people.findIndex(({ pubkey }) => pubkey === trainer);
    const script = scriptArena({ terms, trainers, score, after: { job: stakeAll } });
    expect(script.folded).toMatchObject({ phase: 'finished', firstBad: null });
    return [0, 1].map((stage) =>
      planOf(script, stage)
        .filter(({ payee }) => isBest.has(payee))
        .reduce((sum, { amountMsat }) => sum + amountMsat, 0n),
    );
  };

  it('earn under ten keys what the same stake earns under one', () => {
    const [one, ten] = [earned(copies.slice(0, 1), 10_000n), earned(copies, 1_000n)];
    expect(ten).toEqual(one);
  });

  it('earn what one copy earns, where the job pays one rank', () => {
    expect(ARENA_TERMS.arena.bestStakes).toBeNull();
    const [single] = earned(copies.slice(0, 1), 1_000n);
    // 80,000 over four ranks: 8/15.
    expect(single).toBe(42_667n);
  });
});

describe('who reads federated jobs', () => {
  it('refuses an arena, and finds no job in its events', () => {
    expect(() => EVENT_TYPES.job.parse(whole.events[0]!)).toThrow(
      expect.objectContaining({ code: 'bad-event', expected: 'phase none', got: 'arena' }) as Error,
    );
    expect(foldJob(whole.jobId, whole.parsed)).toMatchObject({ job: null, phase: 'unknown' });
  });

  it('is told what it expected where a job without a phase says that it is one', () => {
    const { tags, ...job } = whole.events[0]!;
    const bare = signEvent({ ...job, tags: tags.filter(([name]) => name !== 'phase') }, customer.secret);
    expect(() => parseJobEvent(bare)).toThrow(
      expect.objectContaining({ code: 'bad-event', expected: expect.stringContaining('federated') as string }) as Error,
    );
  });
});
