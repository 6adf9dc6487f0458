import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldAlliance } from '../../src/market/alliance/fold.js';
import { baseHashOf } from '../../src/market/alliance/state.js';
import { foldJob } from '../../src/market/fold.js';
import type { ContentOf } from '../../src/protocol/events.js';
import {
  aggregateOf,
  placeOf,
  proposalHash,
  scriptAlliance,
  type AllianceOptions,
  type AllianceScript,
} from '../support/alliance-script.js';
import { customer, hashOf, people } from '../support/job-contents.js';

const whole = scriptAlliance();
const paid = (script: AllianceScript, round: number) =>
  script.at(`settlement/${round}`, 'alliance-settlement').content.plan;
const amounts = (script: AllianceScript, round: number) =>
  paid(script, round).map(({ payee, purpose, amountMsat }) => `${placeOf(payee)} ${purpose} ${amountMsat}`);
const ruleOf = (options: AllianceOptions) => {
  const { phase, firstBad } = scriptAlliance(options).folded;
  return `${phase}: ${firstBad?.rule}`;
};
const rolesOf = (script: AllianceScript, round: number) => {
  const { roles } = script.state.rounds[round]!;
  if (roles?.state !== 'drawn') throw new Error('no roles');
  return { proposers: roles.proposers.map(placeOf), voters: roles.voters.map(placeOf) };
};
const { proposers, voters } = rolesOf(whole, 0);
/** Without its first, or with another order: of any event with ids. */
const less = (of: ContentOf<'list'>) => ({ ...of, ids: of.ids.slice(1) });

describe('an alliance', () => {
  it('pays a round its part of the pot in equal shares where all agree, to the msat', () => {
    expect(whole.folded).toMatchObject({ phase: 'finished', firstBad: null, missing: [] });
    for (const round of [0, 1]) {
      // 500,000 in sixths: 83,333, and 2 msat left for the first two keys.
      const roles = rolesOf(whole, round);
      expect(amounts(whole, round)).toEqual(
        [0, 1, 2, 3, 4, 5].map(
          (i) => `${i} ${roles.voters.includes(i) ? 'fee' : 'trainer'} ${i < 2 ? 83_334 : 83_333}`,
        ),
      );
      expect([roles.proposers.length, roles.voters.length]).toEqual([2, 4]);
    }
    expect(whole.state.paidMsat).toBe(1_000_000n);
  });

  it('goes on from the aggregate that was accepted', () => {
    expect([0, 1, 2].map((round) => baseHashOf(whole.state, round))).toEqual([null, aggregateOf(0), aggregateOf(1)]);
  });

  it('is the same in any order of arrival, and however often events came', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(whole.parsed, { minLength: whole.parsed.length }), (events) => {
        const { phase, state } = foldAlliance(whole.jobId, [...events, ...events.slice(0, 5)]);
        expect({ phase, rounds: state!.rounds }).toEqual({ phase: 'finished', rounds: whole.state.rounds });
      }),
      { numRuns: 10 },
    );
  });

  it('without one of its events breaks no rule, and says that one is missing unless it is the last of its author', () => {
    for (const one of whole.parsed.slice(1)) {
      const rest = whole.parsed.filter((event) => event !== one);
      const { phase, firstBad, missing } = foldAlliance(whole.jobId, rest);
      expect(firstBad, one.type).toBeNull();
      const isLast = one.type === 'alliance-settlement' && one.content.round === 1;
      if (isLast) expect(phase).toBe('decided');
      else expect(missing.length, one.type).toBeGreaterThan(0);
    }
  });

  it('is no federated job', () => {
    expect(foldJob(whole.jobId, whole.parsed).phase).toBe('unknown');
  });

  it('keeps the model where more stake votes against, pays the voters of that side, and carries nothing', () => {
    const [contrary, ...others] = voters;
    const losses = (voter: string, round: number) =>
      round === 0 && placeOf(voter as never) !== contrary
        ? ([800_000, 900_000] as const)
        : ([900_000, 800_000] as const);
    const script = scriptAlliance({ losses });
    expect(script.state.rounds[0]!.tally).toMatchObject({ sumMsat: -2n, isAccepted: false });
    // 500,000 in thirds, 2 msat left.
    expect(amounts(script, 0)).toEqual(others.map((i, at) => `${i} fee ${at < 2 ? 166_667 : 166_666}`));
    expect(baseHashOf(script.state, 1)).toBeNull();
    expect(script.state.paidMsat).toBe(1_000_000n);
  });

  it('accepts an aggregate that is worse by less than the tolerance', () => {
    // 1% of 800,000 ppm is 8,000 ppm.
    const withLoss = (afterPpm: number) => scriptAlliance({ losses: () => [800_000, afterPpm], terms: { rounds: 1 } });
    expect(withLoss(807_999).state.rounds[0]!.tally!.isAccepted).toBe(true);
    expect(withLoss(808_000).state.rounds[0]!.tally!.isAccepted).toBe(false);
  });

  it('pays nothing to a voter of another aggregate', () => {
    const odd = voters[0]!;
    const aggregate = (voter: string, round: number) =>
      round === 0 && placeOf(voter as never) === odd ? hashOf('another') : aggregateOf(round);
    const script = scriptAlliance({ aggregate });
    expect([...script.state.rounds[0]!.tally!.offSide.values()]).toEqual(['aggregate']);
    expect(paid(script, 0).map(({ payee }) => placeOf(payee))).not.toContain(odd);
    expect(paid(script, 0)).toHaveLength(5);
  });

  it('pays nothing to a proposer that revealed nothing', () => {
    const silent = proposers[0]!;
    const script = scriptAlliance({ alter: { [`proposal/0/${silent}`]: () => null } });
    expect(script.folded.phase).toBe('finished');
    expect(paid(script, 0).map(({ payee }) => placeOf(payee))).not.toContain(silent);
  });

  it('pays a proposer where more than half of the stake says that its proposal opens, and not where half of it does', () => {
    const hidden = proposers[0]!;
    const without = (keys: readonly number[]): AllianceOptions => ({
      opens: (voter, proposer, round) => round > 0 || placeOf(proposer) !== hidden || !keys.includes(placeOf(voter)),
    });
    const payees = (keys: readonly number[]) =>
      paid(scriptAlliance(without(keys)), 0).map(({ payee }) => placeOf(payee));
    expect(payees(voters.slice(0, 1))).toContain(hidden);
    expect(payees(voters.slice(0, 2))).not.toContain(hidden);
  });

  it('carries the part of a round with too few members, and gives back what is left after the last', () => {
    const absent = Object.fromEntries([0, 1].map((i) => [`nonce/0/${i}`, () => null]));
    const script = scriptAlliance({ alter: absent, alliance: { minVoters: 4 } });
    expect(script.state.rounds[0]!.roles).toEqual({ state: 'too-few', joined: 4, needed: 6 });
    expect(script.at('settlement/0', 'alliance-settlement').content).toMatchObject({
      ...{ last: script.raw('roles/0').id, aggregate: null, isAccepted: false, plan: [], totalMsat: 0n },
    });
    expect(script.at('settlement/1', 'alliance-settlement').content.totalMsat).toBe(1_000_000n);
    const nobody = scriptAlliance({ members: [] });
    expect(nobody.folded.phase).toBe('finished');
    expect(paid(nobody, 1)).toMatchObject([{ payee: customer.pubkey, purpose: 'refund', amountMsat: 1_000_000n }]);
  });

  it('ends a round early where nobody proposes or nobody votes', () => {
    const none = (step: string, keys: readonly number[]) =>
      Object.fromEntries(keys.map((i) => [`${step}/0/${i}`, () => null]));
    for (const [step, keys, last] of [
      ['commit', proposers, 'commits/0'],
      ['proposal', proposers, 'proposals/0'],
      ['vote-commit', voters, 'vote-commits/0'],
      ['vote', voters, 'votes/0'],
    ] as const) {
      const script = scriptAlliance({ alter: none(step, keys) });
      expect(script.folded.phase, step).toBe('finished');
      const settled = script.at('settlement/0', 'alliance-settlement').content;
      expect(settled, step).toMatchObject({ last: script.raw(last).id, isAccepted: false, totalMsat: 0n });
    }
  });
});

describe('a customer that breaks a rule of an alliance', () => {
  it.each([
    [
      'leaves out a nonce that was seen',
      'roles/0',
      'omission',
      (of: ContentOf<'roles'>) => ({ ...of, nonces: of.nonces.slice(1) }),
    ],
    [
      'names nonces in another order',
      'roles/0',
      'draw',
      (of: ContentOf<'roles'>) => ({ ...of, nonces: of.nonces.toReversed() }),
    ],
    [
      'draws with what is not of its chain',
      'roles/0',
      'draw',
      (of: ContentOf<'roles'>) => ({ ...of, s: new Uint8Array(32) }),
    ],
    [
      'draws for another list',
      'roles/0',
      'draw',
      (of: ContentOf<'roles'>) => ({ ...of, list: hashOf('list') as never }),
    ],
    ['skips a round', 'open/0', 'open', (of: ContentOf<'alliance-open'>) => ({ ...of, round: 1 })],
    [
      'names members in another order',
      'open/0',
      'open',
      (of: ContentOf<'alliance-open'>) => ({ ...of, members: of.members.toReversed() }),
    ],
    [
      'leaves out a member that was drawn',
      'open/1',
      'omission',
      (of: ContentOf<'alliance-open'>) => ({ ...of, members: of.members.slice(1) }),
    ],
    ['leaves out a commitment that was seen', 'commits/0', 'omission', less],
    ['leaves out a proposal that was seen', 'proposals/0', 'omission', less],
    ['leaves out a commitment to a vote', 'vote-commits/0', 'omission', less],
    ['leaves out a vote that was seen', 'votes/0', 'omission', less],
    [
      'lists votes before proposals',
      'commits/0',
      'list',
      (of: ContentOf<'list'>) => ({ ...of, of: 'score-reveal' as const }),
    ],
    [
      'settles one msat less',
      'settlement/0',
      'settlement',
      (of: ContentOf<'alliance-settlement'>) => ({ ...of, totalMsat: of.totalMsat - 1n }),
    ],
    [
      'says that it was not accepted',
      'settlement/0',
      'settlement',
      (of: ContentOf<'alliance-settlement'>) => ({ ...of, isAccepted: false }),
    ],
    [
      'settles another aggregate',
      'settlement/0',
      'settlement',
      (of: ContentOf<'alliance-settlement'>) => ({ ...of, aggregate: hashOf('another') }),
    ],
    [
      'settles from another end',
      'settlement/0',
      'settlement',
      (of: ContentOf<'alliance-settlement'>) => ({ ...of, last: hashOf('end') as never }),
    ],
    [
      'leaves out a payee',
      'settlement/0',
      'settlement',
      (of: ContentOf<'alliance-settlement'>) => ({ ...of, plan: of.plan.slice(1) }),
    ],
  ] as const)('%s', (_, step, rule, change) => {
    expect(ruleOf({ alter: { [step]: change } })).toBe(`frozen: ${rule}`);
  });

  it('opens a round before the one before is settled, or cancels it', () => {
    const again = (so: AllianceScript) =>
      so.say(customer, 'alliance-open', 'again', { round: 1, members: so.idsOf('register', so.members), until: 1 });
    expect(ruleOf({ after: { 'votes/0': again } })).toBe('frozen: open');
    const cancel = (so: AllianceScript) => so.say(customer, 'cancel', 'cancel', { reason: '' });
    expect(ruleOf({ after: { 'votes/0': cancel } })).toBe('frozen: cancel');
    expect(scriptAlliance({ after: { 'settlement/0': cancel } }).folded.phase).toBe('cancelled');
  });
});

describe('a member that breaks a rule of an alliance', () => {
  it('counts not where its proposal is another than it committed to, or its vote not what its losses say', () => {
    const [proposer, voter] = [proposers[0]!, voters[0]!];
    const model = proposalHash(people[proposer]!.pubkey, 1);
    const other = (of: ContentOf<'proposal'>) => ({ ...of, model, pointer: { ...of.pointer, sha256: model } });
    expect(ruleOf({ alter: { [`proposal/0/${proposer}`]: other } })).toBe('frozen: list');
    const against = (of: ContentOf<'vote'>) => ({ ...of, vote: -1 as const });
    expect(ruleOf({ alter: { [`vote/0/${voter}`]: against } })).toBe('frozen: list');
    const losses = (of: ContentOf<'vote'>) => ({ ...of, afterPpm: of.afterPpm - 1 });
    expect(ruleOf({ alter: { [`vote/0/${voter}`]: losses } })).toBe('frozen: list');
  });

  it('proposes nothing as a voter', () => {
    const steal = (so: AllianceScript) => {
      const mine = so.at(`commit/0/${proposers[0]!}`, 'commit').content;
      so.say(people[voters[0]!]!, 'commit', 'stolen', mine);
    };
    const listed = (of: ContentOf<'list'>, so: AllianceScript) => ({ ...of, ids: [...of.ids, so.raw('stolen').id] });
    const options = { after: { [`commit/0/${proposers[0]!}`]: steal }, alter: { 'commits/0': listed } };
    expect(ruleOf(options)).toBe('frozen: list');
  });
});
