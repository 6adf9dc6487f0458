import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import {
  COOLDOWN,
  NO_STAKES,
  SIGMA_HOLDS,
  afterTable,
  isFree,
  rowsOf,
  type StakeBook,
} from '../../src/market/stake.js';
import {
  EFFECTIVE,
  effectiveStake,
  largestRemainder,
  sidesByStake,
  splitReward,
} from '../../src/market/stake-reward.js';
import { lockId } from '../../src/protocol/stake.js';
import { customer, people, scriptJob, type JobScript, type Person } from '../support/job-script.js';

const [operator, other, delegator] = people as [Person, Person, Person];
const key = (name: string) => name as Pubkey;
const sat = (n: number) => BigInt(n) * 1_000n;

describe('rewards', () => {
  it('of an operator: it keeps sigma, delegators share the rest of their part', () => {
    const worked = { own: 3_000n, by: new Map([[key('d'), 1_000n]]) };
    const shares = splitReward(key('o'), sat(58_084), 400_000, worked);
    expect(shares.get(key('d'))).toBe(8_712_600n);
    expect(shares.get(key('o'))).toBe(sat(58_084) - 8_712_600n);
  });

  it('of the two sides by their stakes', () => {
    const sides = sidesByStake(309_157_680n, 0, 7_500n, 12_000n);
    expect(sides).toEqual({ trainersMsat: 118_906_800n, validatorsMsat: 190_250_880n });
    expect(sidesByStake(1_000n, 0, 0n, 0n)).toEqual({ trainersMsat: 500n, validatorsMsat: 500n });
    expect(sidesByStake(1_000n, 200_000, 0n, 7n).trainersMsat).toBe(200n);
  });

  it('sum to what is paid, to the msat, whoever stands behind', () => {
    const parts = fc.dictionary(fc.string({ minLength: 1, maxLength: 3 }), fc.bigInt(1n, 10n ** 12n), { minKeys: 1 });
    fc.assert(
      fc.property(parts, fc.bigInt(0n, 10n ** 15n), fc.nat(1_000_000), (weights, reward, sigma) => {
        const by = new Map(Object.entries(weights) as [Pubkey, bigint][]);
        const sum = (shares: ReadonlyMap<Pubkey, bigint>) => [...shares.values()].reduce((all, one) => all + one, 0n);
        expect(sum(largestRemainder(reward, by))).toBe(reward);
        expect(sum(splitReward(key('the operator'), reward, sigma, { own: 5n, by }))).toBe(reward);
      }),
    );
  });

  it('of delegators do not change when one of them goes by two names', () => {
    const share = (by: [string, bigint][]) =>
      splitReward(key('o'), 1_000_000n, 250_000, { own: 4n, by: new Map(by as [Pubkey, bigint][]) });
    const [one, two] = [
      share([
        ['a', 2n],
        ['x', 10n],
      ]),
      share([
        ['a', 2n],
        ['x1', 4n],
        ['x2', 6n],
      ]),
    ];
    expect(two.get(key('x1'))! + two.get(key('x2'))!).toBe(one.get(key('x'))!);
  });
});

describe('effective stake', () => {
  it('is the own one and the capped, weighted delegated one; nothing below the minimum', () => {
    const of = (ownMsat: bigint, delegatedMsat: bigint, terms = {}) =>
      effectiveStake({ ownMsat, delegatedMsat }, { ...EFFECTIVE, ...terms });
    expect(of(100n, 300n)).toBe(400n);
    expect(of(100n, 900n)).toBe(500n);
    expect(of(100n, 300n, { delegatedPpm: 500_000 })).toBe(250n);
    expect(of(100n, 300n, { minMsat: 101n })).toBe(0n);
    expect(of(0n, 300n)).toBe(0n);
  });
});

describe('stake tables', () => {
  const number = new Map<string, number>();
  const lockOf = (script: JobScript, who: Person, behind: Person) => {
    const name = `${script.jobId}${who.pubkey}`;
    number.set(name, (number.get(name) ?? -1) + 1);
    return lockId(script.jobId, who.pubkey, behind.pubkey, number.get(name)!);
  };
  const begin = () => scriptJob({ until: 'award' });
  const stake = (script: JobScript, who: Person, amountMsat: bigint, sigmaPpm = 400_000) =>
    script.say(who, 'stake', 'stake', { lock: lockOf(script, who, who), amountMsat, role: 'trainer', sigmaPpm })!;
  const delegate = (script: JobScript, who: Person, behind: Person, amountMsat: bigint) => {
    const content = { lock: lockOf(script, who, behind), amountMsat, operator: behind.pubkey };
    return script.say(who, 'delegate', 'delegate', content)!;
  };
  const row = (who: Person, ownMsat: bigint, delegatedMsat = 0n, sigmaPpm = 400_000) => {
    return { operator: who.pubkey, role: 'trainer' as const, ownMsat, delegatedMsat, sigmaPpm };
  };

  it('are folded: rows follow from events, and a job goes on beside them', () => {
    const script = scriptJob({
      rounds: 1,
      after: {
        award: (so) => {
          const events = [stake(so, operator, 3_000n).id, delegate(so, people[5]!, operator, 1_000n).id];
          so.say(customer, 'stake-table', 'table', { interval: 0, events, rows: [row(operator, 3_000n, 1_000n)] });
        },
      },
    });
    expect(script.state).toMatchObject({ phase: 'finished', firstBad: null, missing: [] });
    expect(rowsOf(script.state.stakes)).toEqual([row(operator, 3_000n, 1_000n)]);
  });

  it.each([
    ['rows that do not follow', { interval: 0, rows: [row(operator, 3_001n)] }],
    ['an event that is no stake', { interval: 0, rows: [row(operator, 3_000n)], more: 'bid/0' }],
  ])('freeze the job with %s', (_name, { more, ...content }: { interval: number; rows: object[]; more?: string }) => {
    const script = begin();
    const events = [stake(script, operator, 3_000n).id, ...(more === undefined ? [] : [script.raw(more).id])];
    script.say(customer, 'stake-table', 'table', { ...content, events } as never);
    expect(script.state).toMatchObject({ phase: 'frozen', firstBad: { rule: 'stake-table' } });
  });

  it('wait for an event that is not at hand, and blame nobody meanwhile', () => {
    const script = begin();
    const { id } = stake(script, operator, 3_000n);
    const rows = [row(operator, 3_000n)];
    script.say(customer, 'stake-table', 'table', { interval: 0, events: [id], rows });
    const at = script.parsed.findIndex((event) => event.id === id);
    script.parsed.splice(at, 1);
    expect(script.state).toMatchObject({ firstBad: null, missing: [id] });
  });

  it('refuse a lock twice, a delegation to nobody, another role, a sigma that holds, and an earlier interval', () => {
    const script = begin();
    const first = stake(script, operator, 3_000n);
    const book = afterTable(NO_STAKES, 5, [first]) as StakeBook;
    expect(afterTable(book, 5, [])).toMatch(/not after 5/);
    expect(afterTable(book, 6, [first])).toMatch(/in use/);
    expect(afterTable(NO_STAKES, 0, [delegate(script, delegator, other, 1n)])).toMatch(/no stake of its own/);
    expect(afterTable(book, 6, [delegate(script, operator, operator, 1n)])).toMatch(/oneself/);
    expect(afterTable(book, 5 + SIGMA_HOLDS - 1, [stake(script, operator, 1n, 0)])).toMatch(/sigma holds/);
    expect(afterTable(book, 5 + SIGMA_HOLDS, [stake(script, operator, 1n, 0)])).toMatchObject({ interval: 29 });
    const validator = {
      ...first,
      content: { ...first.content, lock: lockOf(script, operator, operator), role: 'validator' as const },
    };
    expect(afterTable(book, 40, [validator])).toMatch(/is a trainer/);
  });

  it('let nobody take back what is another’s, and free it after the cooldown', () => {
    const script = begin();
    const [mine, theirs] = [stake(script, operator, 3_000n), delegate(script, delegator, operator, 1_000n)];
    const book = afterTable(NO_STAKES, 0, [mine, theirs]) as StakeBook;
    const takes = (who: Person, of: typeof mine | typeof theirs) => script.say(who, 'withdraw', 'w', { of: of.id })!;
    expect(afterTable(book, 1, [takes(other, theirs)])).toMatch(/nothing of its author/);
    const left = afterTable(book, 1, [takes(delegator, theirs)]) as StakeBook;
    expect(rowsOf(left)).toEqual([row(operator, 3_000n)]);
    expect(afterTable(left, 2, [takes(delegator, theirs)])).toMatch(/before/);
    const lock = left.locks.get(theirs.content.lock)!;
    expect([isFree(lock, COOLDOWN), isFree(lock, 1 + COOLDOWN)]).toEqual([false, true]);
  });

  it('count amount times intervals: a delegation just before the payout earns almost nothing', () => {
    const script = begin();
    const steady = delegate(script, delegator, operator, 1_000n);
    const early = afterTable(NO_STAKES, 0, [stake(script, operator, 3_000n), steady]) as StakeBook;
    const flash = delegate(script, other, operator, 100_000n);
    const late = afterTable(early, 239, [flash]) as StakeBook;
    const { worked } = afterTable(late, 240, []) as StakeBook;
    expect(worked.get(operator.pubkey)).toEqual({
      own: 720_000n,
      by: new Map([
        [delegator.pubkey, 240_000n],
        [other.pubkey, 100_000n],
      ]),
    });
    const shares = splitReward(operator.pubkey, 1_060_000n, 0, worked.get(operator.pubkey)!);
    // A hundred times the stake, for a 240th of the time.
    expect(shares.get(delegator.pubkey)).toBe(240_000n);
    expect(shares.get(other.pubkey)).toBe(100_000n);
  });
});
