import type { Pubkey } from '../../hash.js';
import type { PlanLine } from '../../protocol/settlement.js';
import { largestRemainder } from '../stake-reward.js';
import type { Roles } from './roles-draw.js';
import type { Tally } from './vote.js';

/** What a round of an alliance pays (FL Alliance, arXiv:2307.00543): by stake, to those not off-side, settled every round. */

/** What is known when a round ends. */
export interface AllianceRound {
  readonly roles: Pick<Roles, 'proposers' | 'voters'>;
  /** Whose proposals were listed and revealed; the others of the proposers are off-side. */
  readonly proposed: ReadonlySet<Pubkey>;
  readonly tally: Tally;
  /** What counts of everybody's stake, > 0. */
  readonly stakes: ReadonlyMap<Pubkey, bigint>;
}

/** A line of a settlement, but for its payout id. */
export type AllianceLine = Omit<PlanLine, 'payout'>;

/**
 * What a round may pay: what is left of the pot by the rounds that are left, this one included, rounded down; the last one gets all of it.
 *
 * @param roundsLeft  >= 1
 */
export function roundPart(potLeftMsat: bigint, roundsLeft: number): bigint {
  return potLeftMsat / BigInt(roundsLeft);
}

/**
 * Those that earn: proposers with a listed proposal, where the aggregate was accepted, and voters that are not off-side. *Ours*: a refused
 * aggregate pays no proposer, where the source slashes them; nobody knows which of them was at fault, and they lose nothing else.
 */
export function onSide({ roles, proposed, tally }: Omit<AllianceRound, 'stakes'>): Pubkey[] {
  const proposers = tally.isAccepted ? roles.proposers.filter((key) => proposed.has(key)) : [];
  return [...proposers, ...roles.voters.filter((key) => !tally.offSide.has(key))];
}

/**
 * The part of a round among those on-side, by stake: largest remainder, ties by key. A stake split over m keys that do the same gets the
 * same but for a msat per key. Where nobody is on-side all of it carries over, to the pot of the rounds that are left.
 *
 * @returns  lines in order of keys, without those of 0; they and `carriedMsat` sum to the part of the round
 */
export function roundReward(
  potLeftMsat: bigint,
  roundsLeft: number,
  round: AllianceRound,
): { readonly lines: readonly AllianceLine[]; readonly carriedMsat: bigint } {
  const part = roundPart(potLeftMsat, roundsLeft);
  const weights = new Map(onSide(round).map((key) => [key, round.stakes.get(key) ?? 0n]));
  const voters = new Set(round.roles.voters);
  const shares = largestRemainder(part, weights);
  const lines = [...shares]
    .filter(([, amountMsat]) => amountMsat > 0n)
    .map(([payee, amountMsat]): AllianceLine => ({
      ...{ payee, amountMsat },
      purpose: voters.has(payee) ? 'fee' : 'trainer',
    }));
  return { lines, carriedMsat: shares.size === 0 ? part : 0n };
}
