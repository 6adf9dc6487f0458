import { fromHex, hex, sha256, u32be, type Bytes, type EventId, type Pubkey } from '../../hash.js';

/** Who proposes and who votes in a round of an alliance (FL Alliance, arXiv:2307.00543, which draws roles anew every round). */

const PPM = 1_000_000;

/** How many propose: so many keys, >= 1, or a share of those that joined in ppm, in (0, 1,000,000), rounded down, but one at least. */
export type Proposers = { readonly count: number } | { readonly sharePpm: number };

export interface RoleTerms {
  /** Whoever has less has not joined; > 0. */
  readonly minMsat: bigint;
  readonly proposers: Proposers;
  /** *Ours*: fewer voters than that decide nothing, >= 1; a share of proposers leaves so many. */
  readonly minVoters: number;
}
export const ROLES = { proposers: { sharePpm: 500_000 }, minVoters: 3 } as const;

/** One draw, as its customer signed it. */
export interface RoleDraw {
  readonly job: EventId;
  readonly round: number;
  /** The list of those that joined; whose nonces open after it. */
  readonly list: EventId;
  /** Of the chain that the job committed to, for this round. */
  readonly s: Bytes;
}

/** Everybody that joined is in exactly one of both, in order of keys. */
export interface Roles {
  readonly state: 'drawn';
  readonly proposers: readonly Pubkey[];
  readonly voters: readonly Pubkey[];
}

/** No round: so many joined, so many it takes. */
export interface TooFew {
  readonly state: 'too-few';
  readonly joined: number;
  readonly needed: number;
}

/**
 * Those that joined are those that opened their nonce and whose stake is the minimum or more. They stand in the order of
 * SHA-256(seed || SHA-256(key)), seed = SHA-256("nmkt/1/draw" || "roles" || job || u32 round || list || s || nonces of those that joined,
 * in order of their keys); the first ones propose, the others vote.
 *
 * Each key is drawn alike, whatever its stake: votes and rewards go by stake, so that a stake split over keys gets the same of both in
 * the mean, and the minimum bounds how many it can be split over. Nobody can choose a key or a nonce for its place: both are fixed before
 * the nonces open. Who holds back k nonces chooses among 2^k draws, and is out of the round with those keys; a key without the stake has
 * no nonce to hold back.
 *
 * Honest stake of more than half of all is more than half of the voters' only in the mean: the fewer voters, the more a draw may stray.
 *
 * @param nonces  opened, by key
 * @param stakes  what counts of the stake, by key
 */
export function drawRoles(
  draw: RoleDraw,
  nonces: ReadonlyMap<Pubkey, Bytes>,
  stakes: ReadonlyMap<Pubkey, bigint>,
  { minMsat, proposers, minVoters }: RoleTerms,
): Roles | TooFew {
  const joined = [...nonces].filter(([key]) => (stakes.get(key) ?? 0n) >= minMsat).sort(([a], [b]) => (a < b ? -1 : 1));
  const needed = minVoters + ('count' in proposers ? proposers.count : 1);
  if (joined.length < needed) return { state: 'too-few', joined: joined.length, needed };
  const seed = rolesSeed(
    draw,
    joined.map(([, nonce]) => nonce),
  );
  const order = joined
    .map(([key]) => ({ key, place: hex(sha256(seed, sha256(fromHex(key)))) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .map(({ key }) => key);
  const count = proposersOf(joined.length, proposers, minVoters);
  return { state: 'drawn', proposers: order.slice(0, count).sort(), voters: order.slice(count).sort() };
}

/** @param nonces  in order of their authors' keys */
function rolesSeed({ job, round, list, s }: RoleDraw, nonces: readonly Bytes[]): Bytes {
  return sha256('nmkt/1/draw', 'roles', fromHex(job), u32be(round), fromHex(list), s, ...nonces);
}

function proposersOf(joined: number, proposers: Proposers, minVoters: number): number {
  if ('count' in proposers) return proposers.count;
  const share = Math.floor((joined * proposers.sharePpm) / PPM);
  return Math.max(1, Math.min(share, joined - minVoters));
}
