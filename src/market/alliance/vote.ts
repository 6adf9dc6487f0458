import { fromHex, sha256Hex, u32be, u64be, type Bytes, type EventId, type Pubkey, type Sha256 } from '../../hash.js';

/** What the voters of a round say together (FL Alliance, arXiv:2307.00543). */

/** One voter's word. */
export interface Vote {
  /** Of what it aggregated from the listed proposals: the same for everybody who computed it. */
  readonly aggregate: Sha256;
  /** +1: it is better than the model before on the voter's own test data, which nobody else can measure. */
  readonly vote: 1 | -1;
  /** On that data with the model before and with the aggregate; integers in ppm, >= 0. */
  readonly beforePpm: number;
  readonly afterPpm: number;
}

/** What a voter commits to: with which proposals it could open, in order of their authors' keys, for they earn by it. */
export interface Ballot extends Vote {
  readonly proposals: readonly EventId[];
}

export interface VoteOf {
  readonly job: EventId;
  readonly round: number;
  /** Of the proposals. */
  readonly list: EventId;
  readonly voter: Pubkey;
}

/**
 * SHA-256("nmkt/1/vote" || job || u32 round || list || voter || u32 number of proposals || proposals || aggregate || u8 1 for +1, 0 for -1 ||
 * u64 before || u64 after || salt): nobody repeats what others say before the list of commitments, nor under its own key.
 *
 * @param salt  32 random bytes
 */
export function voteCommitment({ job, round, list, voter }: VoteOf, ballot: Ballot, salt: Bytes): Sha256 {
  const { proposals, aggregate, vote, beforePpm, afterPpm } = ballot;
  const place = [fromHex(job), u32be(round), fromHex(list), fromHex(voter)];
  const opened = [u32be(proposals.length), ...proposals.map((id) => fromHex(id))];
  const losses = [beforePpm, afterPpm].map((ppm) => u64be(BigInt(ppm)));
  const word = [fromHex(aggregate), Uint8Array.of(vote === 1 ? 1 : 0), ...losses];
  return sha256Hex('nmkt/1/vote', ...place, ...opened, ...word, salt);
}

/** Why a voter earns nothing in a round. It never loses stake by it, unless a job says so. */
export type OffSide =
  /** No reveal, or one that does not open its commitment. */
  | 'silent'
  /** Another aggregate than the one that won. */
  | 'aggregate'
  /** The vote that lost. */
  | 'vote';

export interface Tally {
  /** The aggregate that most stake names; null: nobody revealed. */
  readonly aggregate: Sha256 | null;
  /** Stake for it less stake against it. */
  readonly sumMsat: bigint;
  /** The aggregate is the next model; else the one before stays. */
  readonly isAccepted: boolean;
  /** In order of keys; all other voters are on-side. */
  readonly offSide: ReadonlyMap<Pubkey, OffSide>;
}

/**
 * The aggregate with most stake wins, of equal ones the lower hash. Only who names it votes on it, by stake: a positive sum makes it the
 * model, else the old one stays. *Ours*: votes on other aggregates say nothing about this one; at a sum of 0 no vote has lost; who is
 * off-side earns nothing, where the source slashes.
 *
 * Assumption: honest voters hold more than half of the stake that is revealed. Then, where they agree, a coalition of the others
 * changes neither aggregate nor model, whatever it reveals or holds back. Honest voters agree on the aggregate, which follows from the
 * list; on the vote they need not, since each has its own data: what they are divided by, a coalition may decide.
 *
 * @param stakes   of the voters of the round, > 0
 * @param reveals  that open a listed commitment; of others than voters they count not
 */
export function tally(stakes: ReadonlyMap<Pubkey, bigint>, reveals: ReadonlyMap<Pubkey, Vote>): Tally {
  const voters = [...stakes].sort(([a], [b]) => (a < b ? -1 : 1));
  const cast = voters.flatMap(([voter, stake]) => {
    const vote = reveals.get(voter);
    return vote === undefined ? [] : [{ stake, ...vote }];
  });
  const aggregate = mostStake(cast);
  const sumMsat = cast
    .filter((one) => one.aggregate === aggregate)
    .reduce((sum, { stake, vote }) => (vote === 1 ? sum + stake : sum - stake), 0n);
  const offSide = new Map<Pubkey, OffSide>();
  for (const [voter] of voters) {
    const reason = offSideOf(reveals.get(voter), { aggregate, sumMsat });
    if (reason !== null) offSide.set(voter, reason);
  }
  return { aggregate, sumMsat, isAccepted: sumMsat > 0n, offSide };
}

function mostStake(cast: readonly { readonly aggregate: Sha256; readonly stake: bigint }[]): Sha256 | null {
  const sums = new Map<Sha256, bigint>();
  for (const { aggregate, stake } of cast) sums.set(aggregate, (sums.get(aggregate) ?? 0n) + stake);
  const [first] = [...sums].sort(([a, x], [b, y]) => (x !== y ? (x > y ? -1 : 1) : a < b ? -1 : 1));
  return first?.[0] ?? null;
}

function offSideOf(
  vote: Vote | undefined,
  { aggregate, sumMsat }: Pick<Tally, 'aggregate' | 'sumMsat'>,
): OffSide | null {
  if (vote === undefined) return 'silent';
  if (vote.aggregate !== aggregate) return 'aggregate';
  return (vote.vote === 1 ? sumMsat < 0n : sumMsat > 0n) ? 'vote' : null;
}
