import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Hex, type EventId, type Pubkey } from '../../src/hash.js';
import { ISSUER_MATCHES, STRANGER_WEIGHT, rate, type Rating } from '../../src/market/reputation.js';
import { afterMatch, NEW_SKILL, type Rank } from '../../src/market/skill.js';
import type { JobState } from '../../src/market/state.js';
import { customer, people, scriptJob } from '../support/job-script.js';

const [a, b, c] = people.map(({ pubkey }) => pubkey) as [Pubkey, Pubkey, Pubkey];
const key = (name: string) => sha256Hex('key', name) as string as Pubkey;
const friend = key('a followed customer');
const trust = { trusted: new Set([friend]), network: 'sandbox' as const };

/** The same job by another customer, at another time. */
function of(state: JobState, author: Pubkey, name = '', endedAt = 0): JobState {
  const artifact = { ...state.artifact!, createdAt: endedAt };
  return { ...state, jobId: sha256Hex(author, name) as string as EventId, job: { ...state.job!, author }, artifact };
}
const honest = scriptJob({ rounds: 2 }).state;
const lazy = scriptJob({ rounds: 2, alter: { 'commit/0/1': () => null, 'commit/1/1': () => null } }).state;
const many = (state: JobState, author: Pubkey, count: number) =>
  Array.from({ length: count }, (_, i) => of(state, author, String(i), i));
const trainer = (jobs: readonly JobState[], who: Pubkey, by = trust) => rate(jobs, who, 'trainer', by);

/** Weng & Lin 2011, Algorithm 4, for single players without ties; in the words of the paper and with Math.exp. */
function plackettLuce(mus: readonly number[], sigmas: readonly number[]): { mu: number; sigma: number }[] {
  const beta = 25 / 6;
  const total = Math.sqrt(sigmas.reduce((sum, sigma) => sum + sigma ** 2 + beta ** 2, 0));
  return mus.map((mu, i) => {
    let [omega, delta] = [0, 0];
    for (let q = 0; q <= i; q++) {
      const left = mus.slice(q).reduce((sum, other) => sum + Math.exp(other / total), 0);
      const p = Math.exp(mu / total) / left;
      omega += (q === i ? 1 : 0) - p;
      delta += p * (1 - p);
    }
    const variance = sigmas[i]! ** 2;
    const gamma = sigmas[i]! / total;
    const shrink = 1 - gamma * (variance / total ** 2) * delta;
    return { mu: mu + (variance / total) * omega, sigma: Math.sqrt(variance * shrink) };
  });
}

describe('a match', () => {
  it('against the bar alone is the two-player game that OpenSkill documents', () => {
    const { mu, sigma } = afterMatch(NEW_SKILL, 'done', new Set(), 1);
    expect(mu).toBeCloseTo(27.63523138347365, 12);
    expect(sigma).toBeCloseTo(8.065506316323548, 12);
  });

  it.each<[Rank, Rank[], number]>([
    ['done', ['rejected'], 0],
    ['done', ['late', 'rejected', 'absent'], 0],
    ['absent', ['done', 'rejected'], 3],
    ['proven', ['done', 'late', 'rejected', 'absent'], 5],
  ])('%s, beside %j, is the one of Weng and Lin', (rank, others, place) => {
    const skill = { mu: 29, sigma: 5 };
    const count = others.length + 2;
    const all = Array.from({ length: count }, (_, i) => (i === place ? skill : NEW_SKILL));
    const expected = plackettLuce(
      all.map(({ mu }) => mu),
      all.map(({ sigma }) => sigma),
    )[place]!;
    const got = afterMatch(skill, rank, new Set(others), 1);
    expect(got.mu).toBeCloseTo(expected.mu, 10);
    expect(got.sigma).toBeCloseTo(expected.sigma, 10);
  });

  it('of no weight changes nothing', () => {
    expect(afterMatch(NEW_SKILL, 'absent', new Set(['done']), 0)).toEqual(NEW_SKILL);
  });
});

describe('a rating', () => {
  it('of a new key is 0, and so is that of a bad one', () => {
    expect(trainer([of(honest, friend)], key('nobody'))).toEqual({ ...NEW_SKILL, rating: 0, matches: [] });
    const bad = trainer([of(lazy, friend)], b);
    expect(bad).toMatchObject({ rating: 0 });
    expect(bad.mu).toBeLessThan(NEW_SKILL.mu);
    expect(bad.matches.map(({ rank, why }) => `${rank} ${why}`)).toEqual(['absent absent', 'absent absent']);
  });

  it('is the same for any order of arrival and any repetition, to the bit', () => {
    const jobs = [...many(honest, friend, 3), ...many(lazy, key('stranger'), 3), of(lazy, friend, 'last', 9)];
    const expected = JSON.stringify(trainer(jobs, b));
    fc.assert(
      fc.property(fc.shuffledSubarray([...jobs, ...jobs.slice(2)], { minLength: jobs.length * 2 - 2 }), (order) => {
        expect(JSON.stringify(trainer(order, b))).toBe(expected);
      }),
      { numRuns: 30 },
    );
  });

  it('follows from the own jobs alone: what a reader knows besides changes nothing', () => {
    const mine = many(honest, friend, 2);
    const others = many(scriptJob({ trainers: 2, rounds: 1 }).state, friend, 3);
    expect(trainer([...others, ...mine], c)).toEqual(trainer(mine, c));
  });

  it('is told by gains that add up to it', () => {
    const { mu, sigma, matches } = trainer([...many(honest, friend, 3), of(lazy, friend, 'x', 1)], b);
    expect(matches).toHaveLength(8);
    expect(matches.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(mu - 3 * sigma, 9);
  });

  it('rises with every accepted and paid round, so that no new key stands above an honest old one', () => {
    const stories = [honest, lazy].flatMap((state) =>
      [friend, key('s1'), key('s2')].flatMap((who) => many(state, who, 9)),
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(stories, { maxLength: 12 }), (jobs) => {
        const { rating, matches } = trainer(jobs, a);
        expect(matches.every(({ rank, gain }) => rank === 'done' && gain > 0)).toBe(true);
        expect(rating).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 30 },
    );
  });

  it('counts the worst of a key’s seats, unpaid work not at all, and a grant that was never opened neither', () => {
    const unpaid = scriptJob({ rounds: 1, alter: { 'receipt/0/0': () => null } }).state;
    const unopened = scriptJob({ rounds: 1, alter: { 'ready/1': () => null, 'commit/0/1': () => null } }).state;
    expect(trainer([of(unpaid, friend)], a).matches).toEqual([]);
    expect(trainer([of(unopened, friend)], b).matches).toEqual([]);
  });

  it('falls for a fork without anybody’s word: both signatures prove it', () => {
    const forked = scriptJob({
      rounds: 1,
      after: { 'received/0/1': (script) => script.fork(people[1]!, 'commit/0/1', 'resign', { reason: 'fork' }) },
    }).state;
    const { mu, matches } = rate([of(forked, key('nobody'))], b, 'trainer', { ...trust, trusted: new Set() });
    expect(matches[0]).toMatchObject({ rank: 'proven', issuer: null, weight: 1, events: forked.forks[0]!.ids });
    expect(mu).toBeLessThan(NEW_SKILL.mu - 3);
  });
});

describe('self-dealt receipts', () => {
  const gain = ({ rating }: Rating) => rating;

  it.each([1, 40, 400])('of %i keys made for it move nobody further than one match of a twentieth each', (keys) => {
    const dealt = Array.from({ length: keys }, (_, i) => of(honest, key(`shill ${i}`), '', i));
    const { matches } = trainer(dealt, a);
    const sum = matches.reduce((total, { weight }) => total + weight, 0);
    expect(sum).toBeLessThanOrEqual(ISSUER_MATCHES * STRANGER_WEIGHT + 1e-9);
    expect(gain(trainer(dealt, a))).toBeLessThan(gain(trainer([of(honest, friend)], a)));
  });

  it('of one trusted issuer gain at most what its matches in full gain', () => {
    const capped = gain(trainer(many(honest, friend, ISSUER_MATCHES / 2), a));
    for (const jobs of [11, 50, 200]) expect(gain(trainer(many(honest, friend, jobs), a))).toBeLessThan(capped * 1.02);
    const second = { ...trust, trusted: new Set([friend, key('second')]) };
    const both = [...many(honest, friend, 10), ...many(honest, key('second'), 10)];
    expect(gain(trainer(both, a, second))).toBeGreaterThan(capped * 1.1);
  });

  it('of the key itself are worth nothing', () => {
    const own = { ...trust, trusted: new Set([a]) };
    expect(trainer([of(honest, a)], a, own).matches.every(({ weight }) => weight === 0)).toBe(true);
  });
});

describe('a customer', () => {
  const rated = (state: JobState, trusted: readonly Pubkey[] = [a, b, c]) =>
    rate([state], customer.pubkey, 'customer', { ...trust, trusted: new Set(trusted) });

  it('rises with payouts that their payees countersigned', () => {
    const { rating, matches } = rated(honest);
    expect(matches.map(({ why, weight }) => [why, weight])).toEqual(Array.from({ length: 6 }, () => ['paid', 1]));
    expect(rating).toBeGreaterThan(5);
    expect(rated(scriptJob({ rounds: 1, alter: { 'received/0/0': () => null } }).state).matches).toHaveLength(2);
  });

  it('falls with unpaid marks, and less where money came late', () => {
    const marked = (isPaid: boolean) =>
      scriptJob({
        rounds: 1,
        alter: isPaid ? {} : { 'receipt/0/0': () => null },
        after: {
          'claim/0/0': (script) => {
            const { settlement, payout, amountMsat } = script.at('claim/0/0', 'claim').content;
            const claim = script.at('claim/0/0', 'claim').id;
            script.say(people[0]!, 'unpaid', 'mark', { settlement, payout, claim, amountMsat });
          },
        },
      }).state;
    const [late, unpaid] = [rated(marked(true), [a]), rated(marked(false), [a])];
    expect([late, unpaid].map(({ matches }) => matches.find(({ issuer }) => issuer === a)!.why)).toEqual([
      'paid late',
      'unpaid',
    ]);
    expect(late.mu).toBeLessThan(rated(honest, [a]).mu);
    expect(unpaid.mu).toBeLessThan(late.mu);
  });

  it('falls for an omission that its own signatures prove', () => {
    const script = scriptJob({
      rounds: 1,
      alter: { 'commits/0': (content: { ids: EventId[] }) => ({ ...content, ids: content.ids.slice(1) }) },
      until: 'commits/0',
    });
    const { mu, matches } = rated(script.state, []);
    expect(matches).toMatchObject([{ why: 'omission', weight: 1, issuer: null }]);
    expect(mu).toBeLessThan(NEW_SKILL.mu);
  });
});

it('counts only jobs of the reader’s network, and where sats are real none without pay', () => {
  const free = scriptJob({ rail: 'none', rounds: 1 }).state;
  expect(trainer([of(free, friend)], a).matches).toHaveLength(1);
  const real = { ...free, job: { ...free.job!, content: { ...free.job!.content, network: 'bitcoin' as const } } };
  expect(trainer([of(real, friend)], a).matches).toEqual([]);
  expect(trainer([of(real, friend)], a, { ...trust, network: 'bitcoin' as never }).matches).toEqual([]);
});
