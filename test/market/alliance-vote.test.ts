import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256, sha256Hex, type EventId, type Pubkey } from '../../src/hash.js';
import { tally, voteCommitment, type Ballot, type Vote, type VoteOf } from '../../src/market/alliance/vote.js';

const key = (name: string) => name as Pubkey;
const named = <T>(of: Record<string, T>) => new Map(Object.entries(of) as [Pubkey, T][]);
const hash = (name: string) => sha256Hex(name);
const says = (name: string, vote: 1 | -1): Vote => ({
  ...{ aggregate: hash(name), vote, beforePpm: 900_000, afterPpm: vote === 1 ? 800_000 : 1_000_000 },
});

describe('a tally of votes', () => {
  const stakes = named({ a: 40n, b: 30n, c: 20n, d: 10n });

  it('takes the aggregate that most stake names, and the votes of those that name it', () => {
    const reveals = named({ a: says('x', 1), b: says('x', -1), c: says('y', -1) });
    expect(tally(stakes, reveals)).toEqual({
      ...{ aggregate: hash('x'), sumMsat: 10n, isAccepted: true },
      offSide: named({ b: 'vote', c: 'aggregate', d: 'silent' }),
    });
  });

  it('leaves the model where the sum is negative, or 0, where no vote has lost', () => {
    const against = named({ a: says('x', -1), b: says('x', 1), c: says('x', -1), d: says('x', 1) });
    expect(tally(stakes, against)).toEqual({
      ...{ aggregate: hash('x'), sumMsat: -20n, isAccepted: false },
      offSide: named({ b: 'vote', d: 'vote' }),
    });
    const even = named({ a: says('x', 1), b: says('x', -1), d: says('x', -1) });
    expect(tally(stakes, even)).toEqual({
      ...{ aggregate: hash('x'), sumMsat: 0n, isAccepted: false, offSide: named({ c: 'silent' }) },
    });
  });

  it('takes the lower hash of two with equal stake', () => {
    const [low, high] = [hash('x'), hash('y')].sort() as [Vote['aggregate'], Vote['aggregate']];
    const one = (aggregate: Vote['aggregate']): Vote => ({ ...says('x', 1), aggregate });
    // 40 + 10 against 30 + 20.
    for (const [ad, bc] of [
      [low, high],
      [high, low],
    ] as const) {
      const reveals = named({ a: one(ad), b: one(bc), c: one(bc), d: one(ad) });
      expect(tally(stakes, reveals)).toMatchObject({ aggregate: low, sumMsat: 50n });
    }
  });

  it('counts nobody but voters, and is nothing where none reveals', () => {
    const none = { aggregate: null, sumMsat: 0n, isAccepted: false };
    expect(tally(named({ a: 1n }), named({ stranger: says('x', 1) }))).toEqual({
      ...{ ...none, offSide: named({ a: 'silent' }) },
    });
    expect(tally(new Map(), new Map())).toEqual({ ...none, offSide: new Map() });
  });

  const amount = fc.bigInt(1n, 10n ** 15n);
  const side = fc.constantFrom(1 as const, -1 as const);
  const word = fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 4, arbitrary: fc.tuple(fc.constantFrom('x', 'y', 'z'), side).map(([name, vote]) => says(name, vote)) },
  );

  it('is not moved by a coalition with less than half of the revealed stake, where the others agree', () => {
    const rows = fc.array(fc.record({ stake: amount, word }), { maxLength: 8 });
    fc.assert(
      fc.property(rows, fc.array(amount, { minLength: 1, maxLength: 8 }), side, (coalition, honest, vote) => {
        const theirs = coalition.reduce((sum, row) => (row.word === null ? sum : sum + row.stake), 0n);
        const ours = honest.reduce((sum, stake) => sum + stake, 0n);
        // The first honest voter makes up what is lacking to more than half.
        const lacking = theirs >= ours ? theirs - ours + 1n : 0n;
        const all = new Map([
          ...honest.map((stake, i) => [key(`honest ${i}`), i === 0 ? stake + lacking : stake] as const),
          ...coalition.map((row, i) => [key(`coalition ${i}`), row.stake] as const),
        ]);
        const reveals = new Map([
          ...honest.map((_, i) => [key(`honest ${i}`), says('x', vote)] as const),
          ...coalition.flatMap((row, i) => (row.word === null ? [] : [[key(`coalition ${i}`), row.word] as const])),
        ]);
        const { aggregate, isAccepted, offSide } = tally(all, reveals);
        expect([aggregate, isAccepted]).toEqual([hash('x'), vote === 1]);
        expect([...offSide.keys()].every((one) => one.startsWith('coalition'))).toBe(true);
      }),
    );
  });

  it('is moved by half', () => {
    const half = named({ honest: 5n, other: 5n });
    expect(tally(half, named({ honest: says('x', 1), other: says('x', -1) })).isAccepted).toBe(false);
  });

  it('is the same in any order, and for a stake split over keys that say the same', () => {
    const rows = fc.array(fc.record({ stake: fc.bigInt(2n, 10n ** 15n), word }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(rows, fc.nat(7), (all, at) => {
        const given = all.map((row, i) => ({ ...row, who: key(`voter ${i}`) }));
        const play = (order: typeof given) =>
          tally(
            new Map(order.map(({ who, stake }) => [who, stake])),
            new Map(order.flatMap((row) => (row.word === null ? [] : [[row.who, row.word] as const]))),
          );
        const whole = play(given);
        const turned = play([...given].reverse());
        expect(turned).toEqual(whole);
        expect([...turned.offSide]).toEqual([...whole.offSide]);
        const { stake, word: said, who } = given[at % given.length]!;
        const parts = [
          { stake: stake / 2n, word: said, who },
          { stake: stake - stake / 2n, word: said, who: key(`${who} too`) },
        ];
        const split = play(given.flatMap((row) => (row.who === who ? parts : [row])));
        expect([split.aggregate, split.sumMsat]).toEqual([whole.aggregate, whole.sumMsat]);
        expect(split.offSide.get(key(`${who} too`))).toBe(whole.offSide.get(who));
      }),
    );
  });
});

describe('a commitment to a vote', () => {
  const id = (name: string) => sha256Hex(name) as string as EventId;
  const of: VoteOf = { job: id('job'), round: 258, list: id('list'), voter: id('voter') as string as Pubkey };
  const salt = sha256('salt');
  const ballot: Ballot = { ...says('x', 1), proposals: [id('p'), id('q')] };

  it('is the hash of all that it says, as anybody computes it', () => {
    const bytes = Buffer.concat([
      Buffer.from('nmkt/1/vote'),
      ...[of.job, '00000102', of.list, of.voter, '00000002', id('p'), id('q'), hash('x'), '01'].map((text) =>
        Buffer.from(text, 'hex'),
      ),
      ...['00000000000dbba0', '00000000000c3500'].map((text) => Buffer.from(text, 'hex')),
      salt,
    ]);
    expect(voteCommitment(of, ballot, salt)).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  it('is another one for any other word, voter, round or salt', () => {
    const all = [
      voteCommitment(of, ballot, salt),
      voteCommitment({ ...of, round: 259 }, ballot, salt),
      voteCommitment({ ...of, voter: id('other') as string as Pubkey }, ballot, salt),
      voteCommitment({ ...of, list: id('other') }, ballot, salt),
      voteCommitment(of, { ...ballot, vote: -1 }, salt),
      voteCommitment(of, { ...ballot, aggregate: hash('y') }, salt),
      voteCommitment(of, { ...ballot, beforePpm: 1 }, salt),
      voteCommitment(of, { ...ballot, afterPpm: 1 }, salt),
      voteCommitment(of, { ...ballot, proposals: [id('p')] }, salt),
      voteCommitment(of, { ...ballot, proposals: [id('q'), id('p')] }, salt),
      voteCommitment(of, ballot, sha256('other')),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
