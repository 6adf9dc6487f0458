import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Hex, type Pubkey } from '../../src/hash.js';
import { foldAlliance } from '../../src/market/alliance/fold.js';
import { contradicted, lostVotes } from '../../src/market/alliance/lost-votes.js';
import { spentMsat } from '../../src/market/alliance/settle-rules.js';
import { tally, type Vote } from '../../src/market/alliance/vote.js';
import { condemnation } from '../../src/market/keeper-proof.js';
import { afterTable, rowsOf, type StakeEvent } from '../../src/market/stake.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { lockId } from '../../src/protocol/stake.js';
import { placeOf, scriptAlliance, type AllianceOptions, type AllianceScript } from '../support/alliance-script.js';
import { customer, people, person, type Person } from '../support/job-contents.js';

const named = <T>(of: Record<string, T>) => new Map(Object.entries(of) as [Pubkey, T][]);
const says = (name: string, vote: 1 | -1): Vote => ({
  ...{ aggregate: sha256Hex(name), vote, beforePpm: 2, afterPpm: 1 },
});

describe('a vote', () => {
  const stakes = named({ c: 40n, d: 30n, e: 25n, f: 5n });
  const whoContradict = (of: ReadonlyMap<Pubkey, bigint>, votes: ReadonlyMap<Pubkey, Vote>, voter: Pubkey) =>
    contradicted(of, votes, tally(of, votes)).get(voter) ?? null;
  const against = (votes: Record<string, Vote>, voter: string) => whoContradict(stakes, named(votes), voter as Pubkey);

  it('is contradicted by who names the aggregate that won, or voted to the other side', () => {
    const votes = { c: says('x', 1), d: says('x', 1), e: says('x', -1), f: says('y', 1) };
    expect(against(votes, 'e')).toEqual(['c', 'd']);
    expect(against(votes, 'f')).toEqual(['c', 'd', 'e']);
    expect(against(votes, 'c')).toBeNull();
  });

  it('has not lost where half of the stake contradicts it, or nobody can tell', () => {
    const half = { c: says('x', 1), d: says('x', -1), e: says('y', -1) };
    // 40 of 95 for x, 30 against: it is accepted, and no majority says that d was wrong.
    expect(against(half, 'd')).toBeNull();
    expect(against(half, 'e')).toEqual(['c', 'd']);
    expect(against(half, 'f')).toBeNull();
    expect(against({ d: says('x', 1), e: says('x', -1), f: says('x', -1) }, 'e')).toBeNull();
  });

  it('of who agrees with most never loses, whatever the others say', () => {
    const vote = fc.record({
      aggregate: fc.constantFrom(sha256Hex('x'), sha256Hex('y')),
      vote: fc.constantFrom(1, -1),
    });
    const anybody = fc.dictionary(fc.constantFrom('f', 'g', 'h'), vote);
    fc.assert(
      fc.property(anybody, (others) => {
        const said = Object.entries(others).map(([who, of]) => [who, { ...says('', 1), ...of }] as const);
        const votes = new Map([...said, ['c', says('x', 1)], ['d', says('x', 1)]] as [Pubkey, Vote][]);
        const all = new Map([...votes.keys()].map((who) => [who, who === 'c' || who === 'd' ? 8n : 5n]));
        // 16 of at most 31.
        expect(whoContradict(all, votes, 'c' as Pubkey)).toBeNull();
      }),
    );
  });
});

const STAKE_MSAT = 10_000n;
const members = people.slice(0, 6);
const lockOf = (script: AllianceScript, who: Person) => lockId(script.jobId, who.pubkey, who.pubkey, 0);
const terms = {
  rounds: 3,
  stake: { trainerMsat: 5_000n, validatorMsat: 0n, delegatedPpm: 1_000_000, maxDelegated: 4, intervalSec: 3_600 },
};
const table = (script: AllianceScript, step: string, events: readonly StakeEvent[]): void => {
  const { stakes, job } = script.state;
  const prove = (slash: ContentOf<'slash'>) => {
    const found = lostVotes(script.state).find(({ vote }) => slash.evidence.includes(vote.id));
    return found?.proof ?? 'nothing';
  };
  const next = afterTable(stakes, 0, events, ({ content }) => prove(content), job.content.stake !== undefined);
  const rows = typeof next === 'string' ? [] : rowsOf(next);
  script.say(customer, 'stake-table', step, { interval: 0, events: events.map(({ id }) => id), rows });
};
const stakeAll = (script: AllianceScript): void => {
  const stakes = members.map((who) =>
    script.say(who, 'stake', `stake/${placeOf(who.pubkey)}`, {
      ...{ lock: lockOf(script, who), amountMsat: STAKE_MSAT, role: 'trainer', sigmaPpm: 0 },
    })!,
  );
  table(script, 'table', stakes);
};
/** Who votes in round 0 of that job: a draw that follows from its id. */
const votersOf = (alliance: AllianceOptions['alliance']): readonly Person[] => {
  const only = { terms, alliance, after: { job: stakeAll }, alter: { 'settlement/0': () => null } };
  const { roles } = scriptAlliance(only).state.rounds[0]!;
  return roles?.state === 'drawn' ? roles.voters.map((key) => people[placeOf(key)]!) : [];
};
const SLASHING = { allianceSlashPpm: 100_000 };
const voters = votersOf(SLASHING);
const loser = voters[0]!;

/** The first voters of round 0 vote against all others, and `reporter` says so before round 1. */
function slashed(
  { alliance = SLASHING, after }: Pick<AllianceOptions, 'alliance' | 'after'> = {},
  reporter = voters[1]!,
  lockOwner?: Person,
  count = 1,
): AllianceScript {
  const all = votersOf(alliance);
  const against = new Set(all.slice(0, count).map(({ pubkey }) => pubkey));
  return scriptAlliance({
    terms,
    alliance,
    losses: (voter, round) => (round === 0 && against.has(voter) ? [800_000, 900_000] : [900_000, 800_000]),
    after: {
      job: stakeAll,
      'settlement/0': (script) => {
        const vote = script.at(`vote/0/${placeOf(all[0]!.pubkey)}`, 'vote').id;
        const lock = lockOf(script, lockOwner ?? all[0]!);
        table(script, 'slashed', [script.say(reporter, 'slash', 'slash', { lock, evidence: [vote] })!]);
      },
      ...after,
    },
  });
}

describe('an alliance that slashes', () => {
  it('takes the share of who lost, a tenth for the reporter, the rest for those that signed nothing of it', () => {
    const script = slashed();
    const { state, phase, firstBad } = script.folded;
    expect([phase, firstBad, voters.length]).toEqual(['finished', null, 4]);
    expect(state!.rounds[0]!.tally!.offSide).toEqual(new Map([[loser.pubkey, 'vote']]));
    expect(state!.stakes.slashes).toMatchObject([
      {
        guilty: loser.pubkey,
        reporter: voters[1]!.pubkey,
        reporterMsat: 100n,
        potMsat: 900n,
        part: { name: 'vote/0' },
      },
    ]);
    expect(
      rowsOf(state!.stakes)
        .map(({ ownMsat }) => ownMsat)
        .sort(),
    ).toEqual([10_000n, 10_000n, 10_000n, 10_000n, 10_000n, 9_000n].sort());
    expect(state!.rounds[1]!.stakes.get(loser.pubkey)).toBe(9_000n);
    const { plan } = state!.rounds[2]!.settlement!.content;
    const bonuses = plan.filter(({ purpose }) => purpose === 'bonus');
    expect(bonuses.map(({ payee }) => payee)).toEqual(
      members
        .filter((who) => !voters.includes(who))
        .map(({ pubkey }) => pubkey)
        .sort(),
    );
    expect(bonuses.reduce((sum, { amountMsat }) => sum + amountMsat, 0n)).toBe(900n);
    expect(state!.rounds[0]!.settlement!.content.plan.some(({ purpose }) => purpose === 'bonus')).toBe(false);
    // The job's own pot pays what it always pays.
    expect(state!.rounds.reduce((sum, { settlement }) => sum + spentMsat(settlement!.content), 0n)).toBe(1_000_000n);
    expect(state!.paidMsat).toBe(1_000_000n);
  });

  it('comes to the same whatever order events arrive in', () => {
    const { parsed, jobId, state } = slashed();
    const seen = ({ stakes, rounds }: typeof state) => [stakes, rounds.map(({ payouts }) => payouts)];
    fc.assert(
      fc.property(fc.shuffledSubarray(parsed, { minLength: parsed.length }), (events) => {
        expect(seen(foldAlliance(jobId, events).state!)).toEqual(seen(state));
      }),
      { numRuns: 10 },
    );
  });

  it('takes it once, of nobody else, and by nobody who has a part in it', () => {
    const stranger = person('stranger');
    const bad = (script: AllianceScript) => script.folded.firstBad?.detail;
    expect(bad(slashed({}, stranger))).toBeUndefined();
    expect(bad(slashed({}, loser))).toMatch(/reports itself/);
    expect(bad(slashed({}, stranger, voters[2]))).toMatch(/condemns another one/);
    expect(bad(slashed({ alliance: { allianceSlashPpm: null } }, stranger))).toMatch(/condemns nobody/);
    expect(bad(slashed({}, stranger, undefined, 2))).toMatch(/condemns nobody/);
    const twice = slashed({
      after: {
        job: stakeAll,
        'settlement/0': (script) => {
          const vote = script.at(`vote/0/${placeOf(loser.pubkey)}`, 'vote').id;
          const of = { lock: lockOf(script, loser), evidence: [vote] };
          table(script, 'once', [script.say(voters[1]!, 'slash', 'once', of)!]);
          table(script, 'twice', [script.say(voters[2]!, 'slash', 'twice', of)!]);
        },
      },
    });
    expect(bad(twice)).toMatch(/slashed for that before/);
  });

  it('takes nothing of a lock that stood not behind the vote', () => {
    const script = slashed({
      after: {
        job: stakeAll,
        'settlement/0': (now) => {
          const vote = now.at(`vote/0/${placeOf(loser.pubkey)}`, 'vote').id;
          const lock = lockId(now.jobId, loser.pubkey, loser.pubkey, 1);
          const later = now.say(loser, 'stake', 'later', { lock, amountMsat: 700n, role: 'trainer', sigmaPpm: 0 })!;
          table(now, 'more', [later, now.say(voters[1]!, 'slash', 'slash', { lock, evidence: [vote] })!]);
        },
      },
    });
    expect(script.folded.firstBad?.detail).toMatch(/did not stand behind the vote/);
  });

  it('convinces the keeper of the lock by all votes of the round, and by nothing less', () => {
    const script = slashed();
    const [lost, ...others] = lostVotes(script.state);
    expect(others).toEqual([]);
    const shown = script.parsed.filter(({ id }) => {
      return [script.jobId, lost!.list.id, ...lost!.list.content.ids].includes(id);
    });
    expect(shown).toHaveLength(6);
    const of = (who: Person) => ({ lock: lockOf(script, who), job: script.jobId, staker: who.pubkey });
    const stakeOf = () => STAKE_MSAT;
    expect(condemnation(of(loser), shown, stakeOf)).toEqual({ part: { name: 'vote/0', sharePpm: 100_000 } });
    for (const left of shown)
      expect(
        condemnation(
          of(loser),
          shown.filter((one) => one !== left),
          stakeOf,
        ),
        left.type,
      ).toBeNull();
    expect(condemnation(of(voters[1]!), shown, stakeOf)).toBeNull();
    expect(condemnation({ ...of(loser), job: lost!.vote.id }, shown, stakeOf)).toBeNull();
    // Who voted it down has to have locked more than half of what voted.
    expect(condemnation(of(loser), shown, (key) => (key === loser.pubkey ? 30_000n : 10_000n))).toBeNull();
    expect(condemnation(of(loser), shown, (key) => (key === loser.pubkey ? 29_999n : 10_000n))).not.toBeNull();
  });
});
