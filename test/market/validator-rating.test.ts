import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { rate, type ReaderTrust } from '../../src/market/reputation.js';
import { NEW_SKILL } from '../../src/market/skill.js';
import { customer, people, scriptJob, spotTerms, type ScriptOptions } from '../support/job-script.js';
import { inOrder } from '../support/validator-contents.js';

const play = (options: ScriptOptions = {}) =>
  scriptJob({ trainers: 2, rounds: 1, validators: 3, terms: spotTerms(1), ...options });
const trust = (...keys: Pubkey[]): ReaderTrust => ({ trusted: new Set(keys), network: 'sandbox' });

describe('a validator', () => {
  const rated = (script: ReturnType<typeof play>, place: number) => {
    const { pubkey } = inOrder(script, 3)[place]!;
    return rate([script.state], pubkey, 'validator', trust(customer.pubkey));
  };

  it('rises with scores that count and are paid, falls without scores, and most with such as others contradict', () => {
    const honest = rated(play(), 0);
    expect(honest.matches).toMatchObject([{ rank: 'done', why: 'paid', issuer: customer.pubkey, weight: 1 }]);
    expect(honest.rating).toBeGreaterThan(0);
    const absent = rated(play({ alter: { 'score-commit/0/2': () => null, 'score-reveal/0/2': () => null } }), 2);
    expect(absent.matches).toMatchObject([{ rank: 'absent', why: 'no scores' }]);
    const liar = play({
      sheets: {
        1: (sheet) => ({ ...sheet, scores: sheet.scores.map((one) => ({ ...one, lossPpm: one.lossPpm + 1 })) }),
      },
    });
    expect(liar.state.rounds[0]!.liars.size).toBe(1);
    const proven = rated(liar, 1);
    expect(proven.matches).toMatchObject([{ rank: 'proven', why: 'false scores' }]);
    expect([proven.mu < absent.mu, absent.mu < NEW_SKILL.mu]).toEqual([true, true]);
  });

  it('and whoever else is accused lose against all, as far as the reader trusts the complainant; each complains once', () => {
    const script = play({
      after: {
        'score-reveals/0': (so) => {
          const subject = so.raw('score-reveal/0/1').id;
          const { engine } = so.at('score-reveal/0/1', 'scores').content;
          const found = { what: 'score', field: 'lossPpm', ppm: 1 } as const;
          for (const step of ['c', 'c again'])
            so.say(people[0]!, 'complaint', step, { round: 0, shard: 0, subject, engine, found, detail: '' });
        },
      },
    });
    const accused = inOrder(script, 3)[1]!.pubkey;
    const seen = (...trusted: Pubkey[]) =>
      rate([script.state], accused, 'validator', trust(...trusted)).matches.filter(({ why }) => why === 'complaint');
    expect(seen(people[0]!.pubkey)).toMatchObject([
      {
        issuer: people[0]!.pubkey,
        rank: 'proven',
        weight: 1,
        events: [script.raw('c').id, script.raw('score-reveal/0/1').id],
      },
    ]);
    expect(seen(people[0]!.pubkey)[0]!.gain).toBeLessThan(-3);
    expect(seen()).toMatchObject([{ weight: 0.05 }]);
  });
});
