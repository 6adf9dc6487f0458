import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256, sha256Hex, u32be, type EventId, type Pubkey } from '../../src/hash.js';
import { drawRoles, ROLES, type RoleDraw, type Roles, type RoleTerms } from '../../src/market/alliance/roles-draw.js';

const key = (i: number) => sha256Hex(`key ${i}`) as string as Pubkey;
const id = (name: string) => sha256Hex(name) as string as EventId;
const drawOf = (round: number): RoleDraw => ({ job: id('job'), round, list: id('list'), s: sha256('s', u32be(round)) });
const keysOf = (count: number) => Array.from({ length: count }, (_, i) => key(i));
const noncesOf = (keys: readonly Pubkey[]) => new Map(keys.map((one) => [one, sha256('nonce', one)]));
const stakesOf = (keys: readonly Pubkey[], stake = 1_000n) => new Map(keys.map((one) => [one, stake]));
const terms: RoleTerms = { ...ROLES, minMsat: 1_000n };

function drawn(count: number, rule: RoleTerms = terms, round = 0): Roles {
  const roles = drawRoles(drawOf(round), noncesOf(keysOf(count)), stakesOf(keysOf(count)), rule);
  if (roles.state !== 'drawn') throw new Error(roles.state);
  return roles;
}

describe('a draw of roles', () => {
  it('has the stated number or share of proposers', () => {
    const sizes = (count: number, proposers: RoleTerms['proposers'], minVoters = 3) => {
      const roles = drawn(count, { ...terms, proposers, minVoters });
      return [roles.proposers.length, roles.voters.length];
    };
    expect(sizes(9, { count: 2 })).toEqual([2, 7]);
    expect(sizes(9, { sharePpm: 500_000 })).toEqual([4, 5]);
    expect(sizes(9, { sharePpm: 300_000 })).toEqual([2, 7]);
    // Never none, and never so many that too few vote.
    expect(sizes(9, { sharePpm: 1 })).toEqual([1, 8]);
    expect(sizes(9, { sharePpm: 900_000 })).toEqual([6, 3]);
    expect(sizes(2, { sharePpm: 500_000 }, 1)).toEqual([1, 1]);
  });

  it('is none while too few joined: who has less than the minimum, or opened no nonce, did not', () => {
    const of = (nonces: number, stakes: number, stake = 1_000n) =>
      drawRoles(drawOf(0), noncesOf(keysOf(nonces)), stakesOf(keysOf(stakes), stake), terms);
    expect(of(4, 4).state).toBe('drawn');
    expect(of(3, 4)).toEqual({ state: 'too-few', joined: 3, needed: 4 });
    expect(of(4, 3)).toEqual({ state: 'too-few', joined: 3, needed: 4 });
    expect(of(4, 4, 999n)).toEqual({ state: 'too-few', joined: 0, needed: 4 });
    const five = { ...terms, proposers: { count: 5 } };
    expect(drawRoles(drawOf(0), noncesOf(keysOf(7)), stakesOf(keysOf(7)), five)).toEqual({
      ...{ state: 'too-few', joined: 7, needed: 8 },
    });
  });

  it('goes by the hash of seed and hashed key, as anybody computes it', () => {
    const digest = (...parts: readonly (string | Uint8Array)[]) => {
      const hash = createHash('sha256');
      for (const part of parts) hash.update(part);
      return hash.digest();
    };
    const keys = keysOf(5).sort();
    const { job, list, s } = drawOf(3);
    const [jobBytes, listBytes] = [job, list].map((text) => Buffer.from(text, 'hex')) as [Buffer, Buffer];
    const nonces = keys.map((one) => noncesOf(keys).get(one)!);
    const seed = digest('nmkt/1/draw', 'roles', jobBytes, Uint8Array.of(0, 0, 0, 3), listBytes, s, ...nonces);
    const placeOf = (one: string) => digest(seed, digest(Buffer.from(one, 'hex'))).toString('hex');
    const order = [...keys].sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
    const { proposers, voters } = drawn(5, { ...terms, proposers: { count: 2 } }, 3);
    expect(proposers).toEqual(order.slice(0, 2).sort());
    expect(voters).toEqual(order.slice(2).sort());
  });

  it('puts everybody that joined into exactly one group, in whatever order they come', () => {
    const some = fc.array(fc.record({ stake: fc.bigInt(0n, 2_000n), opens: fc.boolean() }), { maxLength: 16 });
    const proposers = fc.oneof(
      fc.record({ count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ sharePpm: fc.integer({ min: 1, max: 999_999 }) }),
    );
    fc.assert(
      fc.property(some, proposers, fc.integer({ min: 1, max: 4 }), fc.nat(99), (all, rule, minVoters, round) => {
        const rows = all.map((row, i) => ({ ...row, who: key(i) }));
        const play = (order: typeof rows) =>
          drawRoles(
            drawOf(round),
            noncesOf(order.filter(({ opens }) => opens).map(({ who }) => who)),
            new Map(order.map(({ who, stake }) => [who, stake])),
            { minMsat: 1_000n, proposers: rule, minVoters },
          );
        const joined = rows.filter(({ stake, opens }) => opens && stake >= 1_000n).map(({ who }) => who);
        const roles = play(rows);
        expect(play([...rows].reverse())).toEqual(roles);
        if (roles.state === 'too-few') {
          expect(roles.joined).toBe(joined.length);
          return;
        }
        expect([...roles.proposers, ...roles.voters].sort()).toEqual(joined.sort());
        expect(roles.voters.length).toBeGreaterThanOrEqual(minVoters);
        expect(roles.proposers.length).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it('is moved by no nonce of a key without the stake', () => {
    const poor = key(99);
    const nonces = noncesOf([...keysOf(6), poor]);
    const stakes = new Map([...stakesOf(keysOf(6)), [poor, 999n]]);
    expect(drawRoles(drawOf(0), nonces, stakes, terms)).toEqual(drawn(6));
  });

  it('lets every key propose alike over many rounds', () => {
    const counts = new Map<Pubkey, number>();
    for (let round = 0; round < 1_000; round++)
      for (const one of drawn(8, terms, round).proposers) counts.set(one, (counts.get(one) ?? 0) + 1);
    // 500 each in the mean, with a standard deviation of 16.
    for (const one of keysOf(8)) expect(Math.abs(counts.get(one)! - 500)).toBeLessThan(80);
  });
});
