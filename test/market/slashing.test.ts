import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldJob } from '../../src/market/fold.js';
import { condemnation, type KeptLock } from '../../src/market/keeper-proof.js';
import { planOf } from '../../src/market/money-rules.js';
import { rowsOf } from '../../src/market/stake.js';
import type { ContentOf, JobEvent } from '../../src/protocol/events.js';
import { lockId } from '../../src/protocol/stake.js';
import { condemned } from '../../src/roles/slash.js';
import { customer, people, scriptJob, type JobScript, type Person, type ScriptOptions } from '../support/job-script.js';
import { inOrder } from '../support/validator-contents.js';

const twice = (sheet: ContentOf<'scores'>): ContentOf<'scores'> => ({
  ...sheet,
  scores: sheet.scores.map((one) => ({ ...one, lossPpm: 2 * one.lossPpm })),
});
const liarOf = (so: JobScript): Person => inOrder(so, 3)[1]!;
const backer = people[7]!;
const lockOf = (so: JobScript, who: Person) => lockId(so.jobId, who.pubkey, liarOf(so).pubkey, 0);

/** The second of three validators lies in the first round, which the two others prove; it has a stake, and somebody behind it. */
function lyingJob(reporter: (so: JobScript) => Person = () => people[0]!, options: ScriptOptions = {}): JobScript {
  const behind = (own: bigint, delegatedMsat: bigint, so: JobScript) => [
    { operator: liarOf(so).pubkey, role: 'validator' as const, ownMsat: own, delegatedMsat, sigmaPpm: 0 },
  ];
  return scriptJob({
    ...{ trainers: 3, validators: 3, rounds: 2, sheets: { 1: twice }, until: 'settlement/1' },
    ...options,
    terms: { stake: { trainerMsat: 0n, validatorMsat: 0n, delegatedPpm: 1_000_000, maxDelegated: 4, intervalSec: 60 } },
    alter: {
      'score-commit/1/1': () => null,
      'settlement/1': (content: ContentOf<'settlement'>, so) => {
        const { state } = so;
        const { plan, totalMsat } = planOf(state, state.rounds[1]!);
        return { ...content, plan: [...plan], totalMsat };
      },
      ...options.alter,
    },
    after: {
      award: (so) => {
        const operator = liarOf(so);
        const stake = { lock: lockOf(so, operator), amountMsat: 1_000n, role: 'validator', sigmaPpm: 0 } as const;
        so.say(operator, 'stake', 'stake', stake);
        const delegation = { lock: lockOf(so, backer), amountMsat: 505n, operator: operator.pubkey };
        so.say(backer, 'delegate', 'delegate', delegation);
        const events = ['stake', 'delegate'].map((step) => so.raw(step).id);
        so.say(customer, 'stake-table', 'table', { interval: 0, events, rows: behind(1_000n, 505n, so) });
      },
      'close/0': (so) => {
        const evidence = [so.raw('validator-fraud/0/1').id];
        const who = reporter(so);
        so.say(who, 'slash', 'slash/own', { lock: lockOf(so, liarOf(so)), evidence });
        so.say(who, 'slash', 'slash/behind', { lock: lockOf(so, backer), evidence });
        const events = ['slash/own', 'slash/behind'].map((step) => so.raw(step).id);
        so.say(customer, 'stake-table', 'table/slashed', { interval: 0, events, rows: [] });
      },
    },
  });
}

const condemns = (of: KeptLock, events: readonly JobEvent[]) => condemnation(of, events, () => 0n) !== null;

describe('a proven lie of a staked validator', () => {
  it('empties its stake and that behind it, for those that worked: not its witnesses, to the msat', () => {
    const script = lyingJob();
    const { state } = script;
    expect(state).toMatchObject({ firstBad: null, missing: [] });
    expect(rowsOf(state.stakes)).toEqual([]);
    expect(state.stakes.slashes.map(({ reporterMsat, potMsat }) => [reporterMsat, potMsat])).toEqual([
      [100n, 900n],
      [50n, 455n],
    ]);
    const { plan } = script.at('settlement/1', 'settlement').content;
    const bonus = new Map(
      plan.flatMap(({ payee, purpose, amountMsat }) => (purpose === 'bonus' ? [[payee, amountMsat]] : [])),
    );
    // Three trainers that earned alike: 900 / 3, and 455 / 3, where two of them get the msats that are left.
    const [a, b, c] = people.slice(0, 3).map(({ pubkey }) => bonus.get(pubkey)!);
    expect([a, b, c]).toEqual([452n, 452n, 451n]);
    expect(bonus.size).toBe(3);
  });

  it('is paid out only as the rule says, and with the last settlement', () => {
    const { state } = lyingJob(undefined, { alter: { 'settlement/1': (content: object) => content } });
    expect(state.firstBad).toMatchObject({ rule: 'settlement' });
  });

  it.each([
    ['the customer', () => customer, 'out-of-place'],
    ['whom it condemns', liarOf, 'stake-table'],
    ['who stood behind it', () => backer, 'stake-table'],
  ])('counts not where %s reports it', (_name, reporter, rule) => {
    expect(lyingJob(reporter, { until: 'table/slashed' }).state.firstBad).toMatchObject({ rule });
  });

  it('comes to the same whatever the order in which its events arrive', () => {
    const { parsed, jobId, state } = lyingJob();
    const seen = ({ stakes, rounds }: typeof state) => [stakes, rounds.map(({ payouts }) => payouts)];
    fc.assert(
      fc.property(fc.shuffledSubarray(parsed, { minLength: parsed.length }), (events) => {
        expect(seen(foldJob(jobId, events))).toEqual(seen(state));
      }),
      { numRuns: 20 },
    );
  });

  it('convinces the keeper of a lock by all that was signed, and by nothing less', () => {
    const script = lyingJob();
    const { jobId: job, state, parsed } = script;
    const [found, ...others] = condemned(state, parsed);
    expect(others).toEqual([]);
    const liar = liarOf(script);
    expect(found!.guilty).toBe(liar.pubkey);
    const shown = parsed.filter(({ id }) => found!.shown.includes(id));
    expect(shown).toHaveLength(6);
    const own = { lock: lockOf(script, liar), job, staker: liar.pubkey };
    expect(condemns(own, shown)).toBe(true);
    for (const left of shown)
      expect(
        condemns(
          own,
          shown.filter((event) => event !== left),
        ),
        left.type,
      ).toBe(false);
    const behind = { lock: lockOf(script, backer), job, staker: backer.pubkey };
    expect(condemns(behind, shown)).toBe(false);
    expect(condemns(behind, [...shown, script.at('delegate', 'delegate')])).toBe(true);
    const honest = inOrder(script, 3)[0]!;
    expect(condemns({ ...own, staker: honest.pubkey }, shown)).toBe(false);
  });

  it('is not proven by any other events of the job', () => {
    const script = lyingJob();
    const { jobId: job, parsed } = script;
    const proof = script.at('validator-fraud/0/1', 'validator-fraud').id;
    const others = parsed.filter(({ id }) => id !== proof);
    const stakers = [...people.slice(0, 3), ...inOrder(script, 3)].map(({ pubkey }) => pubkey);
    fc.assert(
      fc.property(fc.subarray(others, { maxLength: 24 }), fc.constantFrom(...stakers), (events, staker) => {
        expect(condemns({ lock: lockOf(script, liarOf(script)), job, staker }, events)).toBe(false);
      }),
    );
  });
});
